"""What no passage supports, as each face shows it: a server answers with a true list, a true table and an invention."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from browsing import CHROMIUM, OPTIONS, ask, needs_chromium, open_page
from chat_server import chat_app, running
from parrot import Parrot
from serving import served

from kb_assistant import Assistant

QUESTION = "How many days of leave do staff get?"
INVENTED = "Parental leave is 500 days 😀."
SAYS = (
    "The leave is as follows:\n1. Annual leave is 15 days. [1]\n2. Sick leave is 8 days.\n"
    f"3. {INVENTED} [1]\n\nThat is `a[1]`."
)
SHOWN = f"The leave is as follows:\n1. Annual leave is 15 days. [1]\n2. Sick leave is 8 days. [1]\n3. {INVENTED}"


@pytest.fixture
def home(tmp_path: Path, own_home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    (tmp_path / "leave.md").write_text("# Leave\n\nAnnual leave is 15 days. Sick leave is 8 days.\n")
    with running(chat_app(Parrot(says=SAYS), "parrot")) as url:
        monkeypatch.setenv("KB_BASE_URL", f"{url}/v1")
        monkeypatch.setenv("KB_MODEL", "parrot")
        with Assistant.open(own_home) as kb:
            kb.ingest(tmp_path / "leave.md")
        yield own_home


def spans(answer: dict[str, Any], text: str = "answer") -> list[str]:
    return [answer[text][start:end] for start, end in answer["unsupported"]]


@pytest.mark.usefixtures("home")
def test_the_command_line(kb: Callable) -> None:
    printed = kb("ask", QUESTION, "--json").json()
    assert spans(printed) == [INVENTED, "That is `a[1]`."]
    assert printed["answer"].startswith(SHOWN)
    shown = kb("ask", QUESTION).out
    checked = shown.partition("(checked against the documents:)\n")[2]
    assert checked.startswith(
        f"{SHOWN} (not in the documents)\n\nThat is `a[1]`. (not in the documents)\n\n[1] leave.md"
    )


def test_the_api(home: Path) -> None:
    with served(home) as address:
        with httpx.stream("POST", f"{address}/api/ask", json={"question": QUESTION}) as response:
            last = [line for line in response.iter_lines() if line.startswith("data: ")][-1]
        answer = httpx.Response(200, text=last.removeprefix("data: ")).json()
        assert spans(answer) == [INVENTED, "That is `a[1]`."]
        body = {"model": "kb", "messages": [{"role": "user", "content": QUESTION}]}
        chat = httpx.post(f"{address}/v1/chat/completions", json=body, timeout=30).json()
    content = chat["choices"][0]["message"]["content"]
    assert content.startswith(
        f"{SHOWN}\n\nThat is `a[1]`.\n\nNot in the documents:\n- “{INVENTED}”\n- “That is `a[1]`.”\n\n[1] leave.md"
    )
    assert spans({**chat, "answer": content}) == [INVENTED, "That is `a[1]`."]


@needs_chromium
def test_the_page_and_its_stored_conversation(home: Path) -> None:
    from playwright.sync_api import sync_playwright

    with served(home) as address, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=OPTIONS)
        page = open_page(browser, address)
        ask(page, QUESTION)
        for _ in range(2):
            text = page.locator("#kb .turn .text")
            assert text.locator(".note").all_inner_texts() == ["(not in the documents)"] * 2
            assert text.locator(".cite").count() == 2  # and not the one in the code
            assert text.locator(".unsupported").all_inner_texts() == [INVENTED, "That is `a[1]`."]
            page.reload()
            page.locator("#kb-chats .chat").first.click()
            page.locator("#kb .turn .actions").wait_for()
        assert page.errors == []
        browser.close()
    with Assistant.open(home) as kb:
        (chat,) = kb.chats.list("")
        assert f"{INVENTED} (not in the documents)" in kb.chats.markdown("", chat.id)
