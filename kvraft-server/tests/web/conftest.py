"""A cluster, a browser, and pages of which every request and every complaint is looked at."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, Request, expect, sync_playwright

from nodes import Node, Nodes

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

CHROMIUM = os.environ.get("KVRAFT_CHROMIUM", "/usr/bin/chromium")
QUIET = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
PATIENCE_MS = 15_000


@pytest.fixture(scope="session")
def nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nodes]:
    with Nodes(tmp_path_factory.mktemp("nodes")) as nodes:
        yield nodes


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    expect.set_options(timeout=PATIENCE_MS)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        yield browser
        browser.close()


class Visit(Protocol):
    """Opens the page of a node."""

    def __call__(self, node: Node, role: str | None = "admin", **options: Any) -> Page: ...


class Witness:
    """Remembers what a page must not do."""

    def __init__(self, tokens: dict[str, str]) -> None:
        self.tokens = tokens
        self.faults: list[str] = []

    def watch(self, page: Page, node: Node) -> None:
        own = urlsplit(node.url).netloc

        def asked(request: Request) -> None:
            parts = urlsplit(request.url)
            if parts.scheme not in {"data", "blob"} and parts.netloc != own:
                self.faults.append(f"a request to elsewhere: {request.url}")
            if any(token in request.url for token in self.tokens.values()):
                self.faults.append(f"a token in a URL: {request.url}")

        page.on("request", asked)
        page.on("pageerror", lambda error: self.faults.append(f"an error of the script: {error}"))
        page.on("dialog", lambda dialog: self.faults.append(f"a dialog: {dialog.message}"))
        page.on("popup", lambda popup: self.faults.append(f"a window: {popup.url}"))
        page.on("console", lambda message: self.said(message.text))

    def said(self, text: str) -> None:
        if "Content Security Policy" in text or "Trusted" in text:
            self.faults.append(text)


@pytest.fixture
def visit(browser: Browser, nodes: Nodes) -> Iterator[Visit]:
    """Open pages with a token at hand, unless another is said; no page may do what it must not."""
    witness = Witness(nodes.tokens)
    contexts: list[BrowserContext] = []

    def visit(node: Node, role: str | None = "admin", **options: Any) -> Page:
        context = browser.new_context(reduced_motion="reduce", **options)
        contexts.append(context)
        if role:
            secret = json.dumps(nodes.tokens[role])
            context.add_init_script(f"sessionStorage.setItem('kvraft-token', {secret})")
        page = context.new_page()
        page.set_default_timeout(PATIENCE_MS)
        witness.watch(page, node)
        page.goto(f"{node.url}/ui")
        return page

    yield visit
    for context in contexts:
        context.close()
    assert witness.faults == []


@pytest.fixture
def prefix(request: pytest.FixtureRequest) -> str:
    """Return a part of the map for this test alone."""
    return f"{request.node.name.removeprefix('test_')[:40]}/"


@pytest.fixture
def own_nodes(tmp_path: Path, nodes: Nodes) -> Iterator[Nodes]:
    """Start a cluster whose nodes a test may kill; it knows the same tokens."""
    with Nodes(tmp_path, tokens=nodes.made) as own:
        yield own
