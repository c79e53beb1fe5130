"""What the page's script is told, without a browser."""

from pathlib import Path

import pytest

from ingest import UnreadableError
from kb_assistant import Assistant
from kb_assistant.errors import ModelError, SettingsError, UsageError
from kb_assistant.web.page.calls import failure
from kb_assistant.web.page.chat import Answering, ChatCalls
from kb_assistant.web.page.settings import SettingCalls
from vectorstore import EmptyStoreError, StoreError


@pytest.mark.parametrize("kind", [ModelError, SettingsError, StoreError, UnreadableError, EmptyStoreError])
def test_an_error_that_may_name_a_path_is_told_by_its_kind_alone(kind: type[Exception]) -> None:
    assert "secret" not in str(failure(kind("cannot open /home/secret/catalog.db")))


def test_an_error_of_the_question_itself_is_told() -> None:
    assert failure(UsageError("the title is empty; write one"))["detail"] == "the title is empty; write one"


def test_the_page_is_told_where_questions_go(own_home: Path) -> None:
    with Assistant.open(own_home, base_url="https://llm.example.com/v1", model="some-model") as kb:
        assert ChatCalls(kb, Answering(kb)).begin("", {})["sends_to"] == "llm.example.com"
        told = SettingCalls(kb)
        assert told.settings("", {})["sends_to"] == "llm.example.com"
        assert any("llm.example.com" in one["detail"] for one in told.machine("", {}) if one["check"] == "privacy")
    with Assistant.open(own_home) as kb:
        assert SettingCalls(kb).settings("", {})["sends_to"] is None


def test_settings_are_bounded_and_only_those_of_the_page_are_taken(own_home: Path) -> None:
    with Assistant.open(own_home) as kb:
        told = SettingCalls(kb)
        assert told.settings("", {})["bounds"] == {
            "max_new_tokens": {"least": 1, "most": 8192},
            "passages": {"least": 1, "most": 50},
            "temperature": {"least": 0, "most": 2},
        }
        told.change_settings("", {"passages": 7, "temperature": 0.3, "trust_remote_code": True})
        assert (kb.settings.passages, kb.settings.temperature) == (7, 0.3)
        assert not kb.settings.trust_remote_code
        with pytest.raises(SettingsError):
            told.change_settings("", {"passages": "many"})
        with pytest.raises(UsageError):
            told.change_settings("ann", {"passages": 1})


def test_the_first_page_of_an_empty_home_suggests_nothing(own_home: Path) -> None:
    with Assistant.open(own_home) as kb:
        calls = ChatCalls(kb, Answering(kb))
        assert calls.suggestions("", {}) == []
        assert calls.begin("", {})["chats"] == []
