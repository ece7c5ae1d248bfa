"""The page while nodes die and come back."""

from __future__ import annotations

from typing import TYPE_CHECKING

from playwright.sync_api import expect

if TYPE_CHECKING:
    from conftest import Visit
    from nodes import Nodes


def test_the_leader_is_killed_while_looking(own_nodes: Nodes, visit: Visit) -> None:
    leader = own_nodes.leader()
    other, third = (node for node in own_nodes.nodes if node is not leader)
    own_nodes.ask("PUT", "/key/k", b"before")
    its_page, page = visit(leader), visit(other)
    for one in (its_page, page):
        expect(one.locator("#health")).to_contain_text("well")
    page.get_by_role("link", name="Keys", exact=True).click()
    page.get_by_role("list", name="Keys").get_by_role("button", name="k", exact=True).click()
    page.get_by_label("Value", exact=True).fill("written while nobody leads")
    leader.kill()
    page.get_by_role("button", name="Save").click()

    # The page of the dead node names the others, and keeps what it knew.
    alarms = its_page.get_by_role("alert").and_(its_page.locator("#alarms"))
    expect(alarms).to_contain_text(f"{leader.name} has not answered since")
    for node in (other, third):
        link = alarms.get_by_role("link", name=node.url)
        expect(link).to_have_attribute("href", f"{node.url}/ui")
    expect(its_page.locator("#members")).to_contain_text(f"{other.name}")

    # The page of another shows who leads now, and the write got through, once.
    new = own_nodes.leader()
    expect(page.locator("#entry-facts")).to_contain_text("26 B")
    page.get_by_role("link", name="Overview", exact=True).click()
    expect(page.locator("#leaders")).to_contain_text(new.name)
    expect(page.locator("#leaders li").last).to_contain_text(leader.name)
    assert own_nodes.ask("GET", "/key/k?raw", node=new)[1] == b"written while nobody leads"

    # The page of the one that leads, whichever it is by now, says who is silent, in words.
    pages = [page, visit(third)]

    def told(place: str, words: str) -> bool:
        return any(words in one.locator(place).inner_text() for one in pages)

    alarm = f"{leader.name} is silent. No other voter may be lost."
    own_nodes.until(lambda: told("#alarms", alarm), "a page tells of the silence")
    own_nodes.until(lambda: told("#members tbody", "silent"), "a row tells of it")

    own_nodes.restart(leader)
    expect(its_page.locator("#alarms")).to_be_empty()
    expect(its_page.locator("#health")).to_contain_text("well")
    own_nodes.until(lambda: not told("#alarms", "silent"), "nobody is silent")
    own_nodes.until(lambda: told("#health", "All is well"), "all is well")


def test_without_a_majority_the_page_says_so_and_a_watch_goes_on_afterwards(
    own_nodes: Nodes, visit: Visit
) -> None:
    left = own_nodes.nodes[0]
    page = visit(left)
    page.get_by_role("link", name="Watch", exact=True).click()
    page.get_by_role("button", name="Start").click()
    expect(page.locator("#watch-state")).to_contain_text("Watching")
    for node in own_nodes.nodes[1:]:
        node.kill()
    expect(page.locator("#alarms")).to_contain_text("No leader")
    expect(page.locator("#pill")).to_have_text("no leader")
    left.kill()
    expect(page.locator("#watch-state")).to_contain_text("Interrupted")
    for node in own_nodes.nodes:
        own_nodes.start(node)
    for node in own_nodes.nodes:
        own_nodes.wait_ready(node)
    own_nodes.ask("PUT", "/key/afterwards", b"seen")
    expect(page.locator("#changes tbody")).to_contain_text("afterwards")
    expect(page.locator("#alarms")).to_be_empty()
