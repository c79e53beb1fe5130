"""A real browser on a real page, for the tests of the page."""

from __future__ import annotations

import shutil
from typing import Any

import pytest

__all__ = ["CHROMIUM", "OPTIONS", "ask", "needs_chromium", "open_page", "wait_until_drawn"]

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
OPTIONS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")


def open_page(browser: Any, address: str, **context: Any) -> Any:
    """Open a page that records the hosts it contacts, and its errors."""
    page = browser.new_context(**{"locale": "en-US", **context}).new_page()
    page.set_default_timeout(30_000)
    page.hosts, page.errors = set(), []
    page.on("request", lambda request: page.hosts.add(request.url.split("/")[2]))
    page.on("pageerror", lambda error: page.errors.append(str(error)))
    page.on("console", lambda said: page.errors.append(said.text) if "Content Security Policy" in said.text else None)
    page.goto(address)
    wait_until_drawn(page)
    return page


def wait_until_drawn(page: Any) -> None:
    """Wait until the page has loaded everything that it opens with."""
    page.locator("#kb[aria-busy=false]").wait_for()


def ask(page: Any, question: str) -> Any:
    """Ask a question as a person does, and return the turn once its answer is finished."""
    turns = page.locator("#kb .turn")
    before = turns.count()
    page.locator("#kb-question").fill(question)
    page.locator("#kb-question").press("Enter")
    turn = turns.nth(before)
    turn.locator(".actions").wait_for()
    return turn
