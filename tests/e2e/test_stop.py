"""The page's stop button ends a long answer for real."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from kb_assistant import Assistant

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
SERVER = Path(__file__).with_name("talking_server.py")

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")


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
