"""The page of `kb serve` in a real browser."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from serving import served

from kb_assistant import Assistant

SAMPLES = Path(__file__).parents[2] / "kb_assistant" / "samples"
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Where a real `kb serve` listens, over the handbook and a hostile document."""
    home, docs = tmp_path_factory.mktemp("home"), tmp_path_factory.mktemp("docs")
    (docs / "hostile.md").write_text(
        "# Zebra notice\n\nThe zebra quota is 42 ![x](http://192.0.2.1/leak.png) "
        "<script>document.title='pwned'</script> <img src=x onerror=\"document.title='pwned'\"> per year.\n"
        "\nThe lynx quota is 7 animals <b>per</b> year.\n"
    )
    with Assistant.open(home) as kb:
        kb.ingest(SAMPLES, docs)
    with served(home) as url:
        yield url


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    options = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=options)
        yield chromium
        chromium.close()


def open_page(browser: Any, address: str, **context: Any) -> Any:
    """A page that writes down which hosts it asks for anything."""
    page = browser.new_context(**context).new_page()
    page.hosts = set()
    page.on("request", lambda request: page.hosts.add(request.url.split("/")[2]))
    page.goto(address)
    page.wait_for_selector("textarea")
    return page


def ask(page: Any, question: str) -> str:
    """Put a question as a person does, and return the finished answer."""
    box = page.locator("textarea").first
    box.fill(question)
    box.press("Enter")
    answer = page.locator(".message.bot").last
    page.wait_for_function("n => document.querySelectorAll('.message.user').length > n", arg=count(page) - 1)
    page.wait_for_function("() => !document.querySelector('.generating, .progress-text')")
    page.wait_for_timeout(800)
    return str(answer.inner_text())


def count(page: Any) -> int:
    return max(1, int(page.locator(".message.user").count()))


def test_questions_in_chinese_and_english_are_answered_with_citations(browser: Any, address: str) -> None:
    page = open_page(browser, address)
    chinese = ask(page, "去一类城市出差，酒店每晚最多可以报多少钱？")
    assert "580 元" in chinese
    assert "[1] 差旅报销.docx:9" in chinese
    english = ask(page, "How long is the warranty on rechargeable batteries?")
    assert "9 months" in english
    assert "warranty-returns.html:55" in english


def test_what_the_documents_do_not_hold_is_refused(browser: Any, address: str) -> None:
    page = open_page(browser, address)
    assert ask(page, "公司班车早上几点从地铁站发车？").startswith("这些文档里没有这个问题的答案。")


def test_nothing_is_loaded_from_elsewhere_and_documents_are_only_text(browser: Any, address: str) -> None:
    page = open_page(browser, address)
    answer = ask(page, "What is the zebra quota per year?")
    assert "<script>document.title='pwned'</script>" in answer
    assert "<img src=x onerror=" in answer
    assert "![x](http://192.0.2.1/leak.png)" in answer
    assert page.locator(".message.bot img, .message.bot script").count() == 0
    assert page.title() != "pwned"
    assert page.hosts == {address.removeprefix("http://")}


def test_the_words_that_answer_are_bold(browser: Any, address: str) -> None:
    page = open_page(browser, address)
    for question, words in (
        ("How long is the warranty on rechargeable batteries?", "9 months"),
        ("How many animals is the lynx quota per year?", "7 animals"),
    ):
        answer = ask(page, question)
        assert words in answer
        assert "<strong>" not in answer
        assert words in page.locator(".message.bot").last.locator("strong").inner_text()
    assert "<b>per</b> year" in answer


@pytest.mark.parametrize(("locale", "label"), [("zh-CN", "提问"), ("en-US", "Ask"), ("de-DE", "Ask")])
def test_the_page_speaks_the_browsers_language(browser: Any, address: str, locale: str, label: str) -> None:
    page = open_page(browser, address, locale=locale)
    page.get_by_role("button", name=label, exact=True).wait_for()


def test_a_phone_shows_all_of_it(browser: Any, address: str) -> None:
    page = open_page(browser, address, viewport={"width": 390, "height": 800})
    assert "9 months" in ask(page, "How long is the warranty on rechargeable batteries?")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    for name in ("Ask", "Stop", "New conversation"):
        box = page.get_by_role("button", name=name, exact=True).bounding_box()
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= 390


def test_a_new_conversation_is_empty(browser: Any, address: str) -> None:
    page = open_page(browser, address)
    ask(page, "How long is the warranty on rechargeable batteries?")
    page.get_by_role("button", name="New conversation", exact=True).click()
    page.wait_for_function("() => document.querySelectorAll('.message').length === 0")


def test_nobody_can_leave_files(address: str) -> None:
    import urllib.error
    import urllib.request

    request = urllib.request.Request(f"{address}/gradio_api/upload", data=b"x", headers={"Origin": "http://a.example"})
    with pytest.raises(urllib.error.HTTPError, match="404") as error:
        urllib.request.urlopen(request)
    error.value.close()


def test_another_host_name_is_turned_away(address: str) -> None:
    import urllib.error
    import urllib.request

    request = urllib.request.Request(address, headers={"Host": "kb.example.com"})
    with pytest.raises(urllib.error.HTTPError, match="400") as error:
        urllib.request.urlopen(request)
    error.value.close()


@pytest.mark.parametrize(
    "path",
    [
        "gradio_api/file=/etc/passwd",
        "gradio_api/file=../../../../etc/passwd",
        "gradio_api/file=%2Fetc%2Fpasswd",
        "static/../../../../etc/passwd",
        "assets/..%2f..%2f..%2fetc/passwd",
        "file=/etc/passwd",
    ],
)
def test_no_file_of_the_machine_is_served(address: str, path: str) -> None:
    import http.client

    host, port = address.removeprefix("http://").split(":")
    connection = http.client.HTTPConnection(host, int(port), timeout=10)
    connection.request("GET", f"/{path}")
    response = connection.getresponse()
    body = response.read()
    connection.close()
    assert b"root:" not in body
    assert response.status >= 400 or b"<html" in body.lower()
