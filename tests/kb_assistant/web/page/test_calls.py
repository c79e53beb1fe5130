"""Calls of the page's script, without a browser."""

import asyncio
import threading
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from starlette.requests import Request

from kb_assistant import Assistant
from kb_assistant.answering.types import Citation
from kb_assistant.errors import EmptyStoreError, ModelError, PageImageError, SettingsError, StoreError, UsageError
from kb_assistant.web.page.answers import PageAnswers
from kb_assistant.web.page.calls import describe_error, expose
from kb_assistant.web.page.chat import ChatCalls
from kb_assistant.web.page.passages import PassageCalls
from kb_assistant.web.page.settings import SettingCalls
from kb_assistant.web.running_answers import RunningAnswers


@pytest.mark.parametrize("kind", [ModelError, SettingsError, StoreError, PageImageError, EmptyStoreError])
def test_an_error_that_may_name_a_path_is_reported_by_its_kind_alone(kind: type[Exception]) -> None:
    assert "secret" not in str(describe_error(kind("cannot open /home/secret/catalog.db")))


def test_an_error_of_the_request_itself_is_reported() -> None:
    assert describe_error(UsageError("the title is empty; write one"))["detail"] == "the title is empty; write one"


def test_the_page_knows_where_questions_are_sent(own_home: Path) -> None:
    with Assistant.open(own_home, base_url="https://llm.example.com/v1", model="some-model") as kb:
        assert ChatCalls(kb, PageAnswers(kb, RunningAnswers())).begin("", {})["sends_to"] == "llm.example.com"
        told = SettingCalls(kb)
        assert told.settings("", {})["sends_to"] == "llm.example.com"
        assert any("llm.example.com" in one["detail"] for one in told.machine("", {}) if one["check"] == "privacy")
    with Assistant.open(own_home) as kb:
        assert SettingCalls(kb).settings("", {})["sends_to"] is None


def test_settings_have_bounds_and_only_those_of_the_page_can_be_changed(own_home: Path) -> None:
    with Assistant.open(own_home) as kb:
        told = SettingCalls(kb)
        assert told.settings("", {})["bounds"] == {
            "max_new_tokens": {"least": 1, "most": 8192},
            "passages": {"least": 1, "most": 50},
            "temperature": {"least": 0, "most": 2},
        }
        told.change_settings(
            "", {"passages": 7, "temperature": 0.3, "system_prompt": "简短。\n", "trust_remote_code": True}
        )
        assert (kb.settings.passages, kb.settings.temperature, kb.settings.system_prompt) == (7, 0.3, "简短。\n")
        assert not kb.settings.trust_remote_code
        with pytest.raises(SettingsError):
            told.change_settings("", {"passages": "many"})
        with pytest.raises(UsageError):
            told.change_settings("ann", {"passages": 1})


def test_the_first_page_of_an_empty_home_suggests_nothing(own_home: Path) -> None:
    with Assistant.open(own_home) as kb:
        calls = ChatCalls(kb, PageAnswers(kb, RunningAnswers()))
        assert calls.suggestions("", {}) == []
        assert calls.begin("", {})["chats"] == []


class SlowToDraw:
    """An assistant that draws no page before it is released."""

    def __init__(self) -> None:
        self.let = threading.Event()

    def page_image(self, *_: Any) -> Any:
        self.let.wait(20)
        raise PageImageError("it is broken")


def page_calls(*groups: Any) -> dict[str, Any]:
    """The calls as the page's script makes them, by name."""
    return {call.__name__: expose(call) for group in groups for call in group.all()}


CITED = asdict(Citation(1, "a.md", None, 1, 1, "", "The zebra quota is 42.", 0.5))
REQUEST: Any = Request({"type": "http", "headers": [], "state": {"user": ""}})


def test_a_stop_does_not_wait_for_other_calls(own_home: Path) -> None:
    async def busy(stop_answer: Any) -> None:
        let = threading.Event()
        others = [asyncio.create_task(asyncio.to_thread(let.wait, 20)) for _ in range(40)]
        await asyncio.sleep(0)
        try:
            assert await asyncio.wait_for(stop_answer({"key": "x"}, REQUEST), 5) is False
        finally:
            let.set()
            await asyncio.gather(*others)

    with Assistant.open(own_home) as kb:
        asyncio.run(busy(page_calls(ChatCalls(kb, PageAnswers(kb, RunningAnswers())))["stop_answer"]))


def test_pages_being_drawn_hold_up_no_other_call(own_home: Path) -> None:
    slow: Any = SlowToDraw()

    async def drawing(calls: dict[str, Any]) -> None:
        drawn = [asyncio.create_task(calls["draw_page"]({"citation": CITED}, REQUEST)) for _ in range(40)]
        await asyncio.sleep(0.1)
        try:
            assert await asyncio.wait_for(calls["chats"]({}, REQUEST), 5) == []
        finally:
            slow.let.set()
            assert {one["error"] for one in await asyncio.gather(*drawn)} == {"not_drawn"}

    with Assistant.open(own_home) as kb:
        asyncio.run(drawing(page_calls(PassageCalls(slow), ChatCalls(kb, PageAnswers(kb, RunningAnswers())))))


@pytest.mark.parametrize("number", [10**20, -(10**20), float("inf"), float("nan"), "x", [], None])
def test_odd_numbers_are_malformed(own_home: Path, number: Any) -> None:
    with Assistant.open(own_home) as kb:
        calls = page_calls(ChatCalls(kb, PageAnswers(kb, RunningAnswers())))
        for name in ("open_chat", "delete_chat", "export_chat", "rate"):
            told = asyncio.run(calls[name]({"chat_id": number, "turn_id": number, "verdict": 1}, REQUEST))
            assert told == {"error": "malformed", "detail": ""}


@pytest.mark.parametrize("field", ["source", "page", "quote"])
@pytest.mark.parametrize("value", [[], {"a": 1}, 1.5])
def test_an_odd_citation_is_malformed(handbook: Assistant, field: str, value: Any) -> None:
    calls = page_calls(PassageCalls(handbook))
    for name in ("open_citation", "draw_page"):
        told = asyncio.run(calls[name]({"citation": {**CITED, field: value}}, REQUEST))
        assert told == {"error": "malformed", "detail": ""}


def test_a_browser_in_chinese_gets_the_reason_in_chinese() -> None:
    def refuse(_owner: str, _arguments: dict[str, Any]) -> None:
        raise UsageError("the question is empty; ask something")

    browser: Any = Request({**REQUEST.scope, "headers": [(b"accept-language", b"zh-CN,zh;q=0.9")]})
    assert asyncio.run(expose(refuse)(None, browser)) == {"error": "usage", "detail": "问题为空；请输入问题"}
    english = {"error": "usage", "detail": "the question is empty; ask something"}
    assert asyncio.run(expose(refuse)(None, REQUEST)) == english
