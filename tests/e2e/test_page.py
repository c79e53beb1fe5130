"""The page of `kb serve` in a real browser."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from browsing import CHROMIUM, OPTIONS, ask, needs_chromium, open_page
from paths import ROOT, SAMPLES
from serving import served

from kb_assistant import Assistant
from kb_assistant.evaluation.questions import read_questions

BATTERIES = "How long is the warranty on rechargeable batteries?"
HOTEL = "去一类城市出差，酒店每晚最多可以报多少钱？"
NOWHERE = "公司班车早上几点从地铁站发车？"
STATION = "气象站的防护等级是多少？"
HOSTILE = "<img src=x onerror=\"document.title='pwned'\">\u202e.md"

pytestmark = needs_chromium


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The handbook and a hostile document."""
    home, docs = tmp_path_factory.mktemp("home"), tmp_path_factory.mktemp("docs")
    (docs / HOSTILE).write_text(
        "# Zebra <b>notice</b>\n\nThe zebra quota is 42 ![x](http://192.0.2.1/leak.png) "
        "<script>document.title='pwned'</script> <img src=x onerror=\"document.title='pwned'\"> "
        "[here](javascript:document.title='pwned') \u202eesrever per year.\n"
        "\nThe lynx quota is 7 animals <b>per</b> year.\n"
    )
    (docs / "rare.md").write_text("# Caracal\n\n😀😀😀 𠮷𠮷\n\nThe 😀 𠮷野家 caracal quota is 23 animals per year.\n")
    with Assistant.open(home) as kb:
        kb.ingest(SAMPLES, docs)
    return home


@pytest.fixture(scope="module")
def address(home: Path) -> Iterator[str]:
    """Where a real `kb serve` listens."""
    with served(home) as url:
        yield url


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=OPTIONS)
        yield chromium
        chromium.close()


def test_questions_in_chinese_and_english_are_answered_with_citations(browser: Any, address: str) -> None:
    page = open_page(browser, address)
    chinese = ask(page, HOTEL)
    assert "580 元" in chinese.locator(".text").inner_text()
    assert "差旅报销.docx line 8" in " ".join(chinese.locator(".source").first.inner_text().split())
    english = ask(page, BATTERIES)
    assert english.locator("strong").inner_text() == "9 months"
    assert "warranty-returns.html" in english.locator(".source").first.inner_text()
    assert page.errors == []


def test_a_refusal_looks_like_one_and_offers_the_nearest_passages(browser: Any, address: str) -> None:
    turn = ask(open_page(browser, address, locale="zh-CN"), NOWHERE)
    assert turn.locator(".refused .badge").inner_text() == "文档中没有答案"
    assert turn.locator(".text").inner_text().startswith("这些文档里没有这个问题的答案。")
    assert turn.locator(".label").inner_text() == "最接近的段落"
    assert turn.locator(".source").count() == 3


def test_a_citation_opens_at_its_words_by_keyboard_alone(browser: Any, address: str) -> None:
    page = open_page(browser, address)
    turn = ask(page, STATION)
    cite = turn.locator(".cite").first
    cite.focus()
    page.keyboard.press("Enter")
    passage = page.locator("dialog.passage")
    assert passage.locator("mark").inner_text() == "| 防护等级 | IP65 | IP67 |"
    assert passage.locator("h2").inner_text() == "[1] product-specs.pdf"
    assert passage.locator(".names .place").inner_text().startswith("page 1 · ")
    box = passage.locator(".page .box").first
    box.wait_for()
    picture, marked = passage.locator(".page img").bounding_box(), box.bounding_box()
    assert picture["y"] < marked["y"] < picture["y"] + picture["height"]
    page.keyboard.press("Escape")
    passage.wait_for(state="detached")
    assert page.evaluate("document.activeElement.className") == "cite"


def test_the_right_words_are_marked_after_characters_outside_the_basic_plane(browser: Any, address: str) -> None:
    page = open_page(browser, address)
    turn = ask(page, "How many animals is the 𠮷野家 caracal quota per year?")
    assert turn.locator("strong").first.inner_text() == "23 animals"
    turn.locator(".cite").first.click()
    assert page.locator("dialog mark").inner_text().startswith("The 😀 𠮷野家 caracal quota is 23 animals per year.")


def test_a_remembered_collection_that_does_not_exist_is_not_selected(browser: Any, address: str) -> None:
    page = open_page(browser, address)
    page.evaluate("localStorage.setItem('kb-collection', '别处的')")
    page.reload()
    page.locator(".suggested button").first.wait_for()
    picker = page.get_by_label("Collection", exact=True)
    assert (picker.input_value(), "别处的" in picker.inner_text()) == ("default", False)


def test_nothing_is_loaded_from_elsewhere_and_documents_are_only_text(browser: Any, address: str) -> None:
    page = open_page(browser, address)
    turn = ask(page, "What is the zebra quota per year?")
    answer = turn.locator(".text").inner_text()
    for words in ("<script>document.title='pwned'</script>", "<img src=x onerror=", "![x](http://192.0.2.1/leak.png)"):
        assert words in answer
    turn.locator(".source").first.click()
    page.locator("dialog mark").wait_for()
    assert "[here](javascript:document.title='pwned')" in page.locator("dialog mark").inner_text()
    assert page.locator("#kb :is(img, script, a[href^=javascript])").count() == 0
    page.keyboard.press("Escape")
    page.get_by_role("tab", name="Documents").click()
    page.locator(".documents-list").get_by_text("<img src=x onerror").wait_for()
    assert page.locator("#kb :is(img, script)").count() == 0
    assert "\u202e" not in page.locator("#kb").inner_text()
    assert page.title() == "kb"
    assert page.hosts == {address.removeprefix("http://")}


@pytest.mark.parametrize(("locale", "label"), [("zh-CN", "提问"), ("en-US", "Ask"), ("de-DE", "Ask")])
def test_the_page_speaks_the_browsers_language(browser: Any, address: str, locale: str, label: str) -> None:
    page = open_page(browser, address, locale=locale)
    page.get_by_role("button", name=label, exact=True).wait_for()
    assert page.evaluate("document.documentElement.lang") == ("zh-CN" if locale == "zh-CN" else "en")


def test_every_word_is_there_in_both_languages() -> None:
    file = ROOT / "kb_assistant" / "web" / "page" / "static" / "words.json"
    words = json.loads(file.read_text(encoding="utf-8"))
    assert words["zh"].keys() == words["en"].keys()
    for key, said in words["en"].items():
        assert sorted(part[: part.index("}")] for part in said.split("{")[1:]) == sorted(
            part[: part.index("}")] for part in words["zh"][key].split("{")[1:]
        ), key


def test_suggested_questions_are_answered(browser: Any, address: str) -> None:
    page = open_page(browser, address)
    suggested = page.locator(".suggested button")
    suggested.first.wait_for()
    assert suggested.count() == 4
    question = suggested.nth(1).inner_text()
    suggested.nth(1).click()
    page.locator(".turn .actions").wait_for()
    assert page.locator(".question").inner_text().endswith(question)
    assert page.locator(".refused").count() == 0


def test_conversations_are_kept_renamed_exported_and_deleted(browser: Any, address: str) -> None:
    page = open_page(browser, address)
    ask(page, BATTERIES)
    page.reload()
    chat = page.locator("#kb-chats .chat", has_text="How long is the warranty").first
    chat.click()
    page.locator(".turn .cite").first.wait_for()
    line = page.locator("#kb-chats li", has=page.locator("[aria-current]"))
    line.hover()
    line.locator(".tools .icon").nth(0).click()
    page.get_by_label("New title").fill("电池保修")
    page.get_by_role("button", name="Save").click()
    line.get_by_text("电池保修").wait_for()
    line.hover()
    with page.expect_download() as download:
        line.locator(".tools .icon").nth(1).click()
    assert download.value.suggested_filename == "电池保修.md"
    exported = Path(download.value.path()).read_text(encoding="utf-8")
    assert exported.startswith("# 电池保修\n")
    assert "9 months" in exported
    line.hover()
    line.locator(".tools .icon").nth(2).click()
    page.locator("dialog").get_by_role("button", name="Delete").click()
    page.locator(".welcome").wait_for()
    page.get_by_text("电池保修").wait_for(state="detached")


def test_answers_are_rated_repeated_and_copied(browser: Any, address: str, tmp_path: Path) -> None:
    page = open_page(browser, address, permissions=["clipboard-read", "clipboard-write"])
    turn = ask(page, BATTERIES)
    turn.get_by_role("button", name="Copy").click()
    page.get_by_text("Copied").wait_for()
    copied = page.evaluate("navigator.clipboard.readText()")
    assert "9 months" in copied
    assert "[1] warranty-returns.html" in copied
    turn.get_by_role("button", name="Answer again").click()
    page.locator(".turn .actions").wait_for()
    assert page.locator(".turn").count() == 1
    turn.get_by_role("button", name="Good answer", exact=True).click()
    turn.get_by_label("Why?").fill("出处正确")
    turn.get_by_role("button", name="Send").click()
    page.get_by_text("Thanks for your feedback.").wait_for()
    page.get_by_role("tab", name="Settings").click()
    with page.expect_download() as download:
        page.get_by_role("button", name="Export question set").click()
    download.value.save_as(tmp_path / "set.jsonl")
    questions = read_questions(tmp_path / "set.jsonl").questions
    assert [(one.text, one.answers) for one in questions] == [(BATTERIES, (("9 months",),))]


def test_settings_take_effect_and_stay(browser: Any, address: str, home: Path) -> None:
    page = open_page(browser, address)
    page.get_by_role("tab", name="Settings").click()
    page.get_by_label("Passages per answer").fill("2")
    temperature = page.get_by_label("Temperature (0 to 1)")
    assert not temperature.is_visible()  # nothing is drawn by chance without a model
    page.get_by_label("Engine", exact=True).select_option("openvino")
    temperature.fill("0.3")
    page.get_by_label("Engine", exact=True).select_option("auto")
    page.get_by_role("button", name="Save").click()
    page.get_by_text("Saved.").wait_for()
    assert {"passages = 2", "temperature = 0.3"} <= set((home / "kb.toml").read_text().splitlines())
    page.get_by_text("no engine sends anything off this machine").wait_for()
    page.get_by_label("Language", exact=True).select_option("zh")
    page.get_by_role("tab", name="对话").click()
    turn = ask(page, NOWHERE)
    assert turn.locator(".source").count() == 2
    page.reload()
    page.get_by_role("button", name="提问", exact=True).wait_for()
    (home / "kb.toml").unlink()


def test_everything_fits_on_a_phone(browser: Any, address: str) -> None:
    page = open_page(browser, address, viewport={"width": 390, "height": 800}, locale="zh-CN", has_touch=True)
    turn = ask(page, STATION)

    def fits() -> bool:
        wide = "[...document.querySelectorAll('#kb *')].filter(e => e.scrollWidth > e.clientWidth + 1"
        ordinary = " && !e.closest('.away, select, .chat') && getComputedStyle(e).overflowX !== 'visible')"
        count = page.evaluate(f"{wide}{ordinary}.map(e => e.className).length")
        return int(page.evaluate("document.documentElement.scrollWidth")) <= 390 and count == 0

    assert fits()
    turn.locator(".source").first.tap()
    page.locator("dialog mark").wait_for()
    page.locator(".page .box").first.wait_for()
    assert fits()
    page.get_by_role("button", name="关闭").tap()
    for tab in ("文档", "设置", "对话"):
        page.get_by_role("tab", name=tab).tap()
        assert fits()
    page.get_by_role("button", name="历史对话").tap()
    page.get_by_role("button", name="新对话").tap()
    page.locator(".welcome").wait_for()


@pytest.mark.parametrize(
    ("scheme", "rules"),
    [("light", ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "best-practice"]), ("dark", ["color-contrast"])],
)
def test_no_rule_of_accessibility_is_broken(browser: Any, address: str, scheme: str, rules: list[str]) -> None:
    page = open_page(browser, address, color_scheme=scheme)

    def broken() -> list[str]:
        found = Axe().run(page, options={"runOnly": rules}).response["violations"]
        return [f"{one['id']}: {node['html'][:200]} {node['failureSummary']}" for one in found for node in one["nodes"]]

    page.locator(".suggested button").first.wait_for()
    assert broken() == []
    ask(page, NOWHERE)
    ask(page, STATION)
    assert broken() == []
    page.locator(".cite").first.click()
    page.locator(".page .box").first.wait_for()
    assert broken() == []
    page.keyboard.press("Escape")
    for tab in ("Documents", "Settings"):
        page.get_by_role("tab", name=tab).click()
        page.wait_for_timeout(500)
        assert broken() == []


def test_another_host_name_is_refused(address: str) -> None:
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
