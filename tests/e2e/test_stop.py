"""A long answer really ends: by the page's stop button, and when an API client disconnects."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest
from browsing import CHROMIUM, OPTIONS, needs_chromium, open_page

from kb_assistant import Assistant

QUESTION = {"role": "user", "content": "How many days of annual leave?"}
SERVER = Path(__file__).with_name("talking_server.py")
WORDS = 600
"""How many it says unless it is stopped."""

Talking = tuple[str, Path, subprocess.Popen[str]]


@pytest.fixture
def talking(tmp_path: Path, own_home: Path) -> Iterator[Talking]:
    """A page whose engine talks for a minute: its address, the file with the words counted so far, its process."""
    (tmp_path / "a.md").write_text("Staff get 15 days of annual leave.\n")
    with Assistant.open() as kb:
        kb.ingest(tmp_path / "a.md")
    said = tmp_path / "said"
    command = [sys.executable, str(SERVER), str(own_home), str(said)]
    paths = [str(SERVER.parents[1]), os.environ.get("PYTHONPATH", "")]  # for what it shares with other tests
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))}
    server = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)
    assert server.stdout is not None
    yield server.stdout.readline().strip(), said, server
    server.send_signal(signal.SIGINT)
    _, errors = server.communicate(timeout=20)
    assert errors == ""


@needs_chromium
def test_stop_ends_the_answer_where_it_is_and_in_the_queue(talking: Talking) -> None:
    from playwright.sync_api import sync_playwright

    address, said, _ = talking
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=OPTIONS)
        first = begin(browser, address)
        first.get_by_text("word5 ").wait_for()
        second = begin(browser, address)
        second.locator(".phase", has_text="1 ahead of you").wait_for()
        assert "a.md" in second.locator(".early .source").inner_text()  # passages first
        second.get_by_role("button", name="Stop", exact=True).click()
        second.locator(".badge", has_text="Stopped").wait_for()
        first.get_by_role("button", name="Stop", exact=True).click()
        first.locator(".badge", has_text="Stopped").wait_for()
        assert "word5 " in first.locator(".text").inner_text()
        assert_stays(said)
        first.reload()
        first.locator("#kb-chats .chat").nth(1).click()  # the second one's is the latest
        first.locator(".badge", has_text="Stopped").wait_for()
        assert "word5 " in first.locator(".text").inner_text()
        third = begin(browser, address)
        third.get_by_text("word5 ").wait_for()
        third.close()
        assert_stays(said)  # a closed tab frees the model
        browser.close()


@needs_chromium
def test_the_old_answer_returns_when_its_replacement_is_stopped(talking: Talking) -> None:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=OPTIONS)
        page = begin(browser, talking[0])
        stop, turns = page.get_by_role("button", name="Stop", exact=True), page.locator(".turn")
        for count in (1, 2):
            turns.nth(count - 1).get_by_text("word5 ").wait_for()
            stop.click()
            turns.nth(count - 1).locator(".actions").wait_for()
            if count == 1:
                page.locator("#kb-question").fill("How many days of annual leave do staff get?")
                page.locator("#kb-question").press("Enter")
        texts = page.locator(".turn .text")
        before = texts.all_inner_texts()
        turns.first.get_by_role("button", name="Answer again").click()
        page.locator(".phase", has_text="Writing").wait_for()
        assert turns.count() == 1
        stop.click()
        turns.nth(1).wait_for()
        assert texts.all_inner_texts() == before
        page.reload()
        page.locator("#kb-chats .chat").first.click()
        turns.nth(1).wait_for()
        assert texts.all_inner_texts() == before
        assert page.errors == []
        browser.close()


@needs_chromium
def test_an_unfinished_answer_is_kept_when_the_server_is_interrupted(talking: Talking, own_home: Path) -> None:
    from playwright.sync_api import sync_playwright

    address, _, server = talking
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=OPTIONS)
        page = begin(browser, address)
        page.get_by_text("word5 ").wait_for()
        started = time.monotonic()
        server.send_signal(signal.SIGINT)
        server.wait(timeout=20)
        assert time.monotonic() - started < 10  # three or so; other tests may run beside this one
        browser.close()
    with Assistant.open(own_home) as kb:
        (chat,) = kb.chats.list("")
        (turn,) = kb.chats.open("", chat.id)[1]
        assert (turn.state, turn.text.startswith("word1 word2 ")) == ("interrupted", True)


def begin(browser: Any, address: str) -> Any:
    page = open_page(browser, address)
    page.locator("#kb-question").fill("How many days of annual leave?")
    page.locator("#kb-question").press("Enter")
    return page


def assert_stays(said: Path) -> None:
    """Assert that no more words come; a disconnected client is noticed within a second or two."""
    until = time.monotonic() + 20
    before, now = -1, int(said.read_text())
    while now != before:
        assert time.monotonic() < until
        time.sleep(1.5)
        before, now = now, int(said.read_text())
    assert now < WORDS


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/api/ask", {"question": "How many days of annual leave?"}),
        ("/v1/chat/completions", {"model": "kb", "stream": True, "messages": [QUESTION]}),
        ("/v1/chat/completions", {"model": "kb", "messages": [QUESTION]}),
    ],
)
def test_a_client_that_disconnects_frees_the_model(talking: Talking, path: str, body: dict[str, Any]) -> None:
    address, said, _ = talking
    connection = HTTPConnection(address.removeprefix("http://"))
    connection.request("POST", path, json.dumps(body), {"Content-Type": "application/json"})
    until = time.monotonic() + 30
    while not said.exists():
        assert time.monotonic() < until
        time.sleep(0.1)
    connection.close()
    assert_stays(said)
