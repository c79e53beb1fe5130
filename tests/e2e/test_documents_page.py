"""Documents on the page, at the width of a phone: added, asked about and removed while an ingest runs."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from browsing import CHROMIUM, OPTIONS, ask, needs_chromium, open_page
from paths import SAMPLES
from serving import served

from kb_assistant import Assistant

STATION = "气象站的防护等级是多少？"
BACKUPS = "How long are daily backups kept?"

pytestmark = needs_chromium


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home, docs = tmp_path_factory.mktemp("home"), tmp_path_factory.mktemp("docs")
    (docs / "zebra.md").write_text("# Zebra\n\nThe zebra quota is 42 per year.\n")
    with Assistant.open(home) as kb:
        kb.ingest(docs)
    return home


@pytest.fixture(scope="module")
def page(home: Path) -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    with served(home) as address, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=OPTIONS)
        yield open_page(browser, address, viewport={"width": 390, "height": 800})
        browser.close()


@pytest.fixture
def ingest_beside(home: Path, tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A `kb ingest` of another collection that takes a while."""
    for number in range(300):
        (tmp_path / f"{number}.md").write_text(f"# Note {number}\n\n" + f"Widget {number} weighs {number} g.\n\n" * 40)
    command = [sys.executable, "-m", "kb_assistant", "ingest", str(tmp_path), "--collection", "widgets"]
    run = subprocess.Popen(command, env={**os.environ, "KB_HOME": str(home)}, stdout=subprocess.DEVNULL)
    yield run
    assert run.wait(timeout=300) == 0


def upload(page: Any, *files: Path) -> Any:
    page.get_by_role("tab", name="Documents").click()
    with page.expect_file_chooser() as chooser:
        page.get_by_role("button", name="Choose files").click()
    chooser.value.set_files(files)
    return page.locator(".adding li")


def remove(page: Any, name: str) -> None:
    page.get_by_role("tab", name="Documents").click()
    page.get_by_role("button", name=f"Delete: {name}").click()
    page.locator("dialog").get_by_role("button", name="Delete").click()
    page.locator(".documents-list").get_by_text(name).wait_for(state="detached")


def test_documents_are_added_asked_about_and_removed_while_an_ingest_runs(page: Any, ingest_beside: Any) -> None:
    assert ingest_beside.poll() is None
    assert "42" in ask(chat(page), "What is the zebra quota?").locator(".text").inner_text()
    lines = upload(page, SAMPLES / "product-specs.pdf", SAMPLES / "data-retention.docx")
    for name in ("product-specs.pdf", "data-retention.docx"):
        lines.filter(has_text=name).locator(".result.ready").wait_for(timeout=60_000)
    listed = page.locator(".documents-list li")
    assert "2 pages" in listed.filter(has_text="product-specs.pdf").inner_text()
    page.get_by_label("Filter by name").fill("RETENTION")
    assert listed.count() == 1
    page.get_by_label("Filter by name").fill("")
    turn = ask(chat(page), STATION)
    assert "IP67" in turn.locator(".text").inner_text()
    turn.locator(".cite").first.click()
    assert page.locator("dialog mark").inner_text() == "| 防护等级 | IP65 | IP67 |"
    page.locator("dialog .page .box").first.wait_for()
    page.keyboard.press("Escape")
    assert "data-retention.docx" in ask(page, BACKUPS).locator(".source").first.inner_text()
    remove(page, "product-specs.pdf")
    turn = ask(chat(page), STATION)
    assert turn.locator(".refused").count() == 1
    page.locator(".turn .cite").first.click()  # of the first answer, whose document is gone
    page.locator("dialog mark").wait_for()
    page.keyboard.press("Escape")
    assert page.errors == []


def test_a_file_of_the_same_name_replaces_the_first_on_request(page: Any, tmp_path: Path) -> None:
    note = tmp_path / "猞猁.md"
    for quota in (7, 9):
        note.write_text(f"# 猞猁\n\n猞猁的配额是每年 {quota} 只。\n", encoding="utf-8")
        line = upload(page, note).last
        if quota == 9:
            line.locator(".result.failed", has_text="Not added").wait_for()
            line.get_by_role("button", name="Replace").click()
        line.locator(".result.ready").wait_for()
    assert "9 只" in ask(chat(page), "猞猁的配额是每年多少只？").locator(".text").inner_text()


def test_unreadable_files_are_explained_and_encrypted_ones_take_a_password(page: Any, tmp_path: Path) -> None:
    from pypdf import PdfReader, PdfWriter

    writer = PdfWriter(PdfReader(SAMPLES / "product-specs.pdf"))
    writer.encrypt("开门", algorithm="AES-256")
    writer.write(tmp_path / "locked.pdf")
    (tmp_path / "empty.md").write_text("")
    (tmp_path / "broken.pdf").write_bytes(b"%PDF-1.7 no")
    upload(page, tmp_path / "locked.pdf", tmp_path / "broken.pdf", tmp_path / "empty.md")
    lines = page.locator(".adding li")
    locked = lines.filter(has_text="locked.pdf")
    locked.locator(".result.failed", has_text="Password needed").wait_for()
    lines.filter(has_text="broken.pdf").locator(".result.failed", has_text="not a PDF, or broken").wait_for()
    lines.filter(has_text="empty.md").locator(".result.failed", has_text="Empty").wait_for()
    locked.get_by_role("button", name="Enter password").click()
    page.get_by_label("Password", exact=True).fill("开门")
    page.get_by_role("button", name="OK", exact=True).click()
    locked.locator(".result.ready").wait_for()


def test_the_chinese_page_gives_remedies_in_chinese(page: Any, tmp_path: Path) -> None:
    (tmp_path / "坏了.pdf").write_bytes(b"%PDF-1.7 no")
    chinese = open_page(page.context.browser, page.url, locale="zh-CN")
    chinese.get_by_role("tab", name="文档").click()
    with chinese.expect_file_chooser() as chooser:
        chinese.get_by_role("button", name="选择文件", exact=True).click()
    chooser.value.set_files([tmp_path / "坏了.pdf"])
    said = chinese.locator(".adding li .result.failed", has_text="请用原程序打开并重新保存")
    assert "not a PDF, or broken" in said.inner_text()  # and the server's own words after it


def test_a_file_whose_progress_is_lost_does_not_hold_up_the_next(page: Any, tmp_path: Path) -> None:
    for name in ("lost.md", "下一个.md"):
        (tmp_path / name).write_text(f"# {name}\n\nThe walrus quota is 3.\n", encoding="utf-8")
    page.route("**/api/ingest/*", lambda route: route.fulfill(status=404, json={"error": {"message": "no"}}), times=1)
    lines = upload(page, tmp_path / "lost.md", tmp_path / "下一个.md")
    lines.filter(has_text="lost.md").locator(".result.failed", has_text="The server was restarted").wait_for()
    lines.filter(has_text="下一个.md").locator(".result.ready").wait_for()


def test_a_new_collection_is_made_by_its_first_document(page: Any, tmp_path: Path) -> None:
    (tmp_path / "lynx.md").write_text("# Lynx\n\nThe lynx quota is 5 per year.\n")
    page.get_by_label("Collection", exact=True).select_option("New collection…")
    page.get_by_label("Name of the new collection").fill("动物")
    page.get_by_role("button", name="OK", exact=True).click()
    page.locator(".documents-list .none").wait_for()
    upload(page, tmp_path / "lynx.md").last.locator(".result.ready").wait_for()
    assert "5 per year" in ask(chat(page), "What is the lynx quota?").locator(".text").inner_text()
    assert ask(page, BACKUPS).locator(".refused").count() == 1  # it is in the other collection
    page.reload()
    page.get_by_label("Collection", exact=True).wait_for()
    assert page.get_by_label("Collection", exact=True).input_value() == "动物"


def chat(page: Any) -> Any:
    page.get_by_role("tab", name="Chat").click()
    return page
