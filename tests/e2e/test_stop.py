"""A long answer really ends: by the page's stop button, and when an API's client has gone."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import pytest

from kb_assistant import Assistant

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
QUESTION = {"role": "user", "content": "How many days of annual leave?"}
SERVER = Path(__file__).with_name("talking_server.py")


@pytest.fixture
def talking(tmp_path: Path, own_home: Path) -> Iterator[tuple[str, Path]]:
    """The address of a page whose engine talks for a minute, and the file that says how far it has come."""
    (tmp_path / "a.md").write_text("Staff get 15 days of annual leave.\n")
    with Assistant.open() as kb:
        kb.ingest(tmp_path / "a.md")
    said = tmp_path / "said"
    command = [sys.executable, str(SERVER), str(own_home), str(said)]
    environment = {**os.environ, "PYTHONPATH": str(SERVER.parents[1])}  # for what it shares with other tests
    server = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)
    assert server.stdout is not None
    yield server.stdout.readline().strip(), said
    server.send_signal(signal.SIGINT)
    _, errors = server.communicate(timeout=20)
    assert errors == ""


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")
def test_stop_ends_the_answer_and_the_next_question_is_taken(talking: tuple[str, Path]) -> None:
    from playwright.sync_api import sync_playwright

    address, said = talking
    options = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=options)
        page = browser.new_page(locale="en-US")
        page.goto(address)
        page.wait_for_selector("textarea")
        page.locator("textarea").first.fill("How many days of annual leave?")
        page.locator("textarea").first.press("Enter")
        page.get_by_text("word5 ").wait_for()
        page.get_by_role("button", name="Stop", exact=True).click()
        page.wait_for_timeout(1500)
        stopped_at = int(said.read_text())
        page.wait_for_timeout(1500)
        assert int(said.read_text()) == stopped_at < 100
        page.locator("textarea").first.fill("Annual leave: how many days?")
        page.locator("textarea").first.press("Enter")
        page.wait_for_function("() => document.body.innerText.match(/word5\\b/g).length === 2")
        page.get_by_role("button", name="Stop", exact=True).click()
        browser.close()


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/api/ask", {"question": "How many days of annual leave?"}),
        ("/v1/chat/completions", {"model": "kb", "stream": True, "messages": [QUESTION]}),
        ("/v1/chat/completions", {"model": "kb", "messages": [QUESTION]}),
    ],
)
def test_a_client_that_has_gone_frees_the_model(talking: tuple[str, Path], path: str, body: dict[str, Any]) -> None:
    address, said = talking
    with suppress(httpx.ReadTimeout), httpx.stream("POST", address + path, json=body, timeout=3) as response:
        next(line for line in response.iter_lines() if "word3 " in line)
    time.sleep(1.5)
    stopped_at = int(said.read_text())
    time.sleep(1.5)
    assert int(said.read_text()) == stopped_at < 100
