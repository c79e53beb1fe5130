"""What the page does with the conversation when a question fails."""

import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from browsing import CHROMIUM, OPTIONS, needs_chromium, open_page
from serving import served

from kb_assistant import Assistant

ZEBRA = "斑马的配额是每年多少只？"
NO_MODEL = "Something went wrong: the store or the language model cannot be used. See the server’s log."

pytestmark = needs_chromium


@pytest.fixture
def page(own_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A page with a stored conversation, whose model is no longer there."""
    from playwright.sync_api import sync_playwright

    (tmp_path / "斑马.md").write_text("# 斑马\n\n斑马的配额是每年 42 只。\n", encoding="utf-8")
    with Assistant.open(own_home) as kb:
        kb.ingest(tmp_path / "斑马.md")
        assert list(kb.chats.ask(ZEBRA))
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        monkeypatch.setenv("KB_BASE_URL", f"http://127.0.0.1:{unused.getsockname()[1]}/v1")
        monkeypatch.setenv("KB_MODEL", "gone")
        with served(own_home, "(.*Error: .*\n)*") as address, sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=OPTIONS)
            page = open_page(browser, address)
            page.locator("#kb-chats .chat").click()
            page.locator(".turn .actions").wait_for()
            yield page
            browser.close()


def fail(page: Any) -> str:
    """Ask a question that fails, and return the message."""
    turns = page.locator("#kb .turn")
    before = turns.count()
    page.locator("#kb-question").fill(ZEBRA)
    page.locator("#kb-question").press("Enter")
    return str(turns.nth(before).locator(".failure").inner_text())


def test_a_failed_question_leaves_the_conversation_unchanged(page: Any) -> None:
    page.get_by_role("button", name="Answer again").click()
    page.locator(".toast", has_text=NO_MODEL).wait_for()
    assert "42" in page.locator(".turn .text").inner_text()
    assert fail(page) == NO_MODEL
    assert page.locator("#kb-chats .chat[aria-current]").count() == 1  # it is kept
    page.get_by_role("button", name="New conversation").click()
    page.locator(".welcome").wait_for()
    assert [fail(page) for _ in range(3)] == [NO_MODEL] * 3
    page.locator("#kb-chats .chat").nth(1).wait_for(state="detached")
    assert page.errors == []


def test_a_question_in_a_deleted_conversation_starts_a_new_one(page: Any, own_home: Path) -> None:
    with Assistant.open(own_home) as kb:
        kb.chats.delete("", kb.chats.list("")[0].id)
    assert [fail(page), fail(page)] == ["This conversation no longer exists.", NO_MODEL]
