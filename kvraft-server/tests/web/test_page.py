"""The page at /ui, as somebody with a browser meets it."""

from __future__ import annotations

import re
from importlib.resources import files
from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest
from playwright.sync_api import Page, expect

if TYPE_CHECKING:
    from conftest import Visit
    from nodes import Nodes

HOSTILE = {
    "<img src=x onerror=alert(1)>": "<script>alert(1)</script>",
    "'\"><svg/onload=alert(2)>": "javascript:alert(2)",
    "{{constructor.constructor('alert(3)')()}}": "${alert(3)}",
}


RULES = (files("axe_playwright_python") / "axe.min.js").read_text()
"""The rules of access that a program can check: names, roles, contrast."""


def violations(page: Page) -> list[str]:
    page.evaluate(RULES)
    found = page.evaluate("axe.run()")["violations"]
    return [f"{rule['id']}: {node['html']}" for rule in found for node in rule["nodes"]]


def path(key: str | bytes) -> str:
    return f"/key/{quote(key, safe='')}"


def show(page: Page, view: str) -> None:
    page.get_by_role("link", name=view, exact=True).click()


def search(page: Page, prefix: str) -> None:
    show(page, "Keys")
    page.get_by_label("Prefix").and_(page.locator("#prefix")).fill(prefix)
    page.get_by_role("button", name="Search").click()
    expect(page.locator("#found")).to_contain_text(f"with the prefix {prefix}")


def open_key(page: Page, key: str) -> None:
    page.get_by_role("list", name="Keys").get_by_role("button", name=key, exact=True).click()
    expect(page.get_by_role("heading", name=key, exact=True)).to_be_visible()


def test_the_page_comes_to_everyone_whole_and_under_a_strict_policy(nodes: Nodes) -> None:
    headers, _page = nodes.ask("GET", "/ui", headers={"Authorization": ""})
    policy = headers["content-security-policy"]
    for rule in ["default-src 'none'", "frame-ancestors 'none'", "base-uri 'none'"]:
        assert rule in policy
    assert "unsafe" not in policy
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["content-type"] == "text/html; charset=utf-8"


def test_a_token_is_asked_for_once_in_a_tab_and_a_wrong_one_is_told(
    nodes: Nodes, visit: Visit
) -> None:
    page = visit(nodes.nodes[0], None)
    dialog = page.get_by_role("dialog", name="Token")
    expect(dialog).to_be_visible()
    expect(page.get_by_label("Bearer token")).to_be_focused()
    page.keyboard.type("kvraft_wrong")
    page.keyboard.press("Enter")
    expect(dialog).to_contain_text("not one of this server's")
    page.keyboard.type(nodes.tokens["read"])
    page.keyboard.press("Enter")
    expect(page.locator("#health")).to_contain_text("well")
    expect(dialog).to_be_hidden()

    page.reload()
    expect(page.locator("#health")).to_contain_text("well")
    expect(dialog).to_be_hidden()
    page.get_by_role("button", name="Token", exact=True).click()
    page.get_by_role("button", name="Forget it").click()
    expect(dialog).to_be_visible()


def test_the_overview_names_the_leader_and_how_every_member_is(nodes: Nodes, visit: Visit) -> None:
    leader = nodes.leader()
    page = visit(leader)
    expect(page.locator("#health")).to_contain_text(f"{leader.name} leads 3 voters")
    rows = page.get_by_role("table").get_by_role("row")
    expect(rows).to_have_count(4)
    for node in nodes.nodes:
        role = "leader" if node is leader else "voter"
        row = rows.filter(has_text=f"127.0.0.1:{node.raft}")
        expect(row).to_contain_text(re.compile(f"^{node.name}.*{role}(answers|follows|up to date)"))
    expect(page.locator("#leaders li")).to_have_count(1)
    expect(page.locator("#alarms")).to_be_empty()

    follower = next(node for node in nodes.nodes if node is not leader)
    page = visit(follower)
    expect(page.locator("#health")).to_contain_text(f"follows {leader.name}")
    link = page.get_by_role("link", name=f"the page of {leader.name}")
    expect(link).to_have_attribute("href", f"{leader.url}/ui")


def test_rates_latencies_and_storage_are_told_live(nodes: Nodes, visit: Visit, prefix: str) -> None:
    leader = nodes.leader()
    page = visit(leader)
    writes = page.get_by_role("img", name=re.compile("Requests of clients"))
    expect(writes).to_have_accessible_name(re.compile("reads 0 /s, writes 0 /s"))
    # It looks every two seconds: some of these fall between two looks, whenever they come.
    for number in range(50):
        nodes.ask("PUT", path(f"{prefix}{number}"), b"x" * 100, node=leader)
    expect(writes).to_have_accessible_name(re.compile(r"at most [1-9][\d.]* /s"))
    latency = page.get_by_role("img", name=re.compile("Latency of writes"))
    expect(latency).to_have_accessible_name(re.compile(r"at most [\d.]+ m?s"))
    flush = page.get_by_role("img", name=re.compile("Flushes of the log"))
    expect(flush).to_have_accessible_name(re.compile(r"at most [\d.]+ m?s"))
    # Figures change around a link that has the focus.
    link = page.locator("#members").get_by_role("link").first
    link.focus()
    revision = page.locator("#figures").get_by_text(re.compile("^[0-9,]+$")).nth(1)
    before = revision.inner_text()
    nodes.ask("PUT", path(prefix), b"one more", node=leader)
    expect(revision).not_to_have_text(before)
    expect(link).to_be_focused()
    expect(page.locator("#storage")).to_contain_text(re.compile(r"State file[\d.]+ KiB"))
    expect(page.locator("#storage")).to_contain_text(re.compile(r"Taken of the disk[\d.]+ MiB"))
    expect(page.locator("#leaders-note")).to_contain_text("since it was started")
    expect(page.locator("#figures")).to_contain_text(re.compile(r"Revision\d+"))


def test_hostile_keys_and_values_are_text(nodes: Nodes, visit: Visit, prefix: str) -> None:
    for key, value in HOSTILE.items():
        nodes.ask("PUT", path(prefix + key), value.encode())
    page = visit(nodes.nodes[0])
    show(page, "Watch")
    page.get_by_role("button", name="Start").click()
    expect(page.locator("#watch-state")).to_contain_text("Watching")
    search(page, prefix)
    for key, value in HOSTILE.items():
        open_key(page, prefix + key)
        expect(page.get_by_label("Value", exact=True)).to_have_value(value)
        nodes.ask("PUT", path(prefix + key), value.encode() * 2)
    show(page, "Watch")
    for key, value in HOSTILE.items():
        row = page.locator("#changes tbody tr").filter(has_text=prefix + key)
        expect(row).to_contain_text(value * 2)
    assert page.locator("main img, main script, main iframe").count() == 0


def test_bytes_that_are_no_text_are_shown_typed_and_kept(
    nodes: Nodes, visit: Visit, prefix: str
) -> None:
    key, value = prefix.encode() + b"\xff\x00\xe2\x80\xae\\", bytes(range(256))
    nodes.ask("PUT", path(key), value)
    page = visit(nodes.nodes[0])
    search(page, f"{prefix}\\xff")
    open_key(page, f"{prefix}\\xff\\u{{0}}\\u{{202e}}\\\\")
    field = page.get_by_label("Value", exact=True)
    expect(page.get_by_label("hex")).to_be_checked()
    expect(page.get_by_label("text", exact=True)).to_be_disabled()
    expect(field).to_have_value(re.compile("^00 01 02 "))
    page.get_by_label("base64").check()
    expect(field).to_have_value(re.compile("^AAEC"))
    page.get_by_label("hex").check()
    field.fill("ff 0")
    page.get_by_role("button", name="Save").click()
    expect(page.locator("#entry-error")).to_contain_text("not hex")
    field.fill("ff 00 fe")
    page.get_by_role("button", name="Save").click()
    expect(page.locator("#entry-facts")).to_contain_text("3 B")
    assert nodes.ask("GET", path(key) + "?raw")[1] == b"\xff\x00\xfe"


def test_a_key_is_made_with_a_time_to_live_changed_and_deleted(
    nodes: Nodes, visit: Visit, prefix: str
) -> None:
    page = visit(nodes.nodes[1])
    search(page, prefix)
    expect(page.locator("#found")).to_contain_text("No key")
    page.get_by_role("button", name="New key").click()
    page.get_by_label("Key", exact=True).fill(f"{prefix}é")
    page.get_by_label("Value", exact=True).fill("line 1\nline 2")
    page.get_by_label("Time to live").fill("10m")
    page.get_by_role("button", name="Save").click()
    open_key(page, f"{prefix}é")
    expect(page.locator("#entry-facts")).to_contain_text(re.compile("Lease.*10 min left"))
    assert nodes.ask("GET", path(f"{prefix}é") + "?raw")[1] == b"line 1\nline 2"

    page.get_by_label("Value", exact=True).fill("stays with its lease")
    page.get_by_role("button", name="Save").click()
    expect(page.locator("#announce")).to_contain_text("Saved")
    lease = re.search(rb'"lease":"(\w+)"', nodes.ask("GET", path(f"{prefix}é"))[1])
    assert lease
    expect(page.locator("#entry-facts")).to_contain_text(lease[1].decode())

    page.get_by_role("button", name="Delete…").click()
    expect(page.get_by_role("dialog")).to_contain_text(f"{prefix}é")
    page.get_by_role("button", name="Cancel").click()
    expect(page.get_by_role("heading", name=f"{prefix}é")).to_be_visible()
    page.get_by_role("button", name="Delete…").click()
    page.get_by_role("button", name="Delete", exact=True).click()
    expect(page.locator("#entry-note")).to_contain_text("is deleted")
    expect(page.locator("#found")).to_contain_text("No key")


def test_a_change_by_somebody_else_is_told_and_never_overwritten_unseen(
    nodes: Nodes, visit: Visit, prefix: str
) -> None:
    key = f"{prefix}k"
    nodes.ask("PUT", path(key), b"first")
    page = visit(nodes.nodes[0])
    search(page, prefix)
    open_key(page, key)
    page.get_by_label("Value", exact=True).fill("mine")
    nodes.ask("PUT", path(key), b"theirs")
    expect(page.locator("#entry-note")).to_contain_text("Somebody changed it")
    page.get_by_role("button", name="Save").click()
    conflict = page.get_by_role("region", name="Somebody else was faster")
    expect(conflict.get_by_label("Your value")).to_have_text("mine")
    expect(conflict.get_by_label("Their value")).to_have_text("theirs")
    assert nodes.ask("GET", path(key) + "?raw")[1] == b"theirs"
    conflict.get_by_role("button", name="Overwrite with mine").click()
    expect(conflict).to_be_hidden()
    assert nodes.ask("GET", path(key) + "?raw")[1] == b"mine"

    nodes.ask("PUT", path(key), b"theirs again")
    page.get_by_role("button", name="Delete…").click()
    page.get_by_role("button", name="Delete", exact=True).click()
    expect(page.locator("#entry-error")).to_contain_text("nothing was deleted")
    page.get_by_role("button", name="Read again").click()
    expect(page.get_by_label("Value", exact=True)).to_have_value("theirs again")

    page.get_by_role("button", name="New key").click()
    page.get_by_label("Key", exact=True).fill(key)
    page.get_by_label("Value", exact=True).fill("new")
    page.get_by_role("button", name="Save").click()
    expect(conflict.get_by_label("Their value")).to_have_text("theirs again")
    conflict.get_by_role("button", name="Take theirs").click()
    expect(page.get_by_label("Value", exact=True)).to_have_value("theirs again")


def test_many_keys_come_page_by_page(nodes: Nodes, visit: Visit, prefix: str) -> None:
    keys = [{"op": "put", "key": f"{prefix}{number:03}", "body": ""} for number in range(250)]
    body = str({"then": keys}).replace("'", '"').encode()
    nodes.ask("POST", "/txn", body, headers={"Content-Type": "application/json"})
    page = visit(nodes.nodes[2])
    search(page, prefix)
    items = page.get_by_role("list", name="Keys").get_by_role("button")
    expect(items).to_have_count(200)
    page.get_by_role("button", name="More keys").click()
    expect(items).to_have_count(250)
    expect(items.nth(200)).to_be_focused()
    expect(page.get_by_role("button", name="More keys")).to_be_hidden()


def test_a_watch_tells_changes_and_holds_still_while_it_is_paused(
    nodes: Nodes, visit: Visit, prefix: str
) -> None:
    page = visit(nodes.nodes[0])
    show(page, "Watch")
    page.get_by_label("Prefix").and_(page.locator("#watch-prefix")).fill(prefix)
    page.keyboard.press("Enter")
    state, rows = page.locator("#watch-state"), page.locator("#changes tbody tr")
    expect(state).to_have_text("Watching: 0 changes.")
    nodes.ask("PUT", path(f"{prefix}a"), b"1")
    nodes.ask("PUT", path("elsewhere"), b"1")
    nodes.ask("DELETE", path(f"{prefix}a"))
    expect(rows).to_have_text([re.compile("deleted"), re.compile("created.*a1$")])
    page.get_by_role("button", name="Pause").click()
    nodes.ask("PUT", path(f"{prefix}b"), b"2")
    expect(state).to_contain_text("paused, 1 wait")
    expect(rows).to_have_count(2)
    page.get_by_role("button", name="Go on").click()
    expect(rows).to_have_count(3)
    page.get_by_role("button", name="Stop").click()
    expect(state).to_have_text("Not watching.")


def test_a_token_that_may_only_read_is_told_so(nodes: Nodes, visit: Visit, prefix: str) -> None:
    nodes.ask("PUT", path(f"{prefix}k"), b"value")
    page = visit(nodes.nodes[0], "read")
    search(page, prefix)
    open_key(page, f"{prefix}k")
    page.get_by_label("Value", exact=True).fill("other")
    page.get_by_role("button", name="Save").click()
    expect(page.locator("#entry-error")).to_contain_text("needs write")


def test_a_keyboard_is_enough(nodes: Nodes, visit: Visit, prefix: str) -> None:
    for name in "abc":
        nodes.ask("PUT", path(f"{prefix}{name}"), name.encode())
    page = visit(nodes.nodes[0])
    expect(page.locator("#health")).to_contain_text("well")
    press = page.keyboard.press
    press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    for _ in range(2):
        press("Tab")
    expect(page.get_by_role("link", name="Keys")).to_be_focused()
    press("Enter")
    expect(page.locator("#prefix")).to_be_visible()
    press("Tab")
    expect(page.locator("#prefix")).to_be_focused()
    page.keyboard.type(prefix)
    press("Enter")
    expect(page.locator("#found")).to_contain_text("3 keys")
    for _ in range(4):
        press("Tab")
    press("ArrowDown")
    press("End")
    press("ArrowUp")
    press("Enter")
    expect(page.get_by_role("heading", name=f"{prefix}b")).to_be_focused()
    # Past the form of the value, to the value.
    for _ in range(2):
        press("Tab")
    expect(page.get_by_label("Value", exact=True)).to_be_focused()
    press("Control+A")
    page.keyboard.type("by hand")
    for _ in range(3):
        press("Tab")
    expect(page.get_by_role("button", name="Save")).to_be_focused()
    press("Enter")
    expect(page.locator("#announce")).to_contain_text("Saved")
    assert nodes.ask("GET", path(f"{prefix}b") + "?raw")[1] == b"by hand"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_small_phone_shows_all_and_rules_of_access_hold(
    nodes: Nodes, visit: Visit, prefix: str, scheme: str
) -> None:
    long = prefix + "long" * 100
    nodes.ask("PUT", path(long), b"x" * 500)
    page = visit(
        nodes.leader(), viewport={"width": 320, "height": 568}, color_scheme=scheme, has_touch=True
    )
    expect(page.locator("#health")).to_contain_text("well")
    for view in ("Overview", "Keys", "Watch"):
        show(page, view)
        if view == "Keys":
            search(page, prefix)
            page.get_by_role("list", name="Keys").get_by_role("button").tap()
            expect(page.get_by_label("Value", exact=True)).to_have_value("x" * 500)
        assert page.evaluate("document.documentElement.scrollWidth") == 320
        assert violations(page) == []
