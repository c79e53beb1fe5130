"""Messages in Chinese: the catalogue is complete, and help, errors and notes are shown in it."""

from __future__ import annotations

import json
import re

import pytest
from paths import ROOT

from kb_assistant.messages import translate, user_language

ZH: dict[str, str] = {
    template: chinese
    for file in sorted((ROOT / "kb_assistant" / "messages" / "zh").iterdir())
    for template, chinese in json.loads(file.read_text(encoding="utf-8")).items()
}
HAN = re.compile(r"[\u3400-\u9fff]")


def placeholders(text: str) -> list[str]:
    return sorted(set(re.findall(r"\{(\w+)\}", text)))


def test_each_value_of_a_message_stands_in_its_translation() -> None:
    assert {text: chinese for text, chinese in ZH.items() if placeholders(text) != placeholders(chinese)} == {}


def test_a_message_with_values_is_translated() -> None:
    english = "no model 'qwen' in /home/me/models; did you mean qwen2?"
    assert translate(english, "en") == english
    chinese = translate(english, "zh")
    assert HAN.search(chinese)
    assert "'qwen'" in chinese
    assert "/home/me/models" in chinese
    assert translate("what is in no catalogue", "zh") == "what is in no catalogue"


@pytest.mark.parametrize(
    ("environment", "language"),
    [
        ({"LANG": "zh_CN.UTF-8"}, "zh"),
        ({"LANG": "en_US.UTF-8", "LC_ALL": "zh_TW.UTF-8"}, "zh"),
        ({"LANG": "zh_CN.UTF-8", "LC_MESSAGES": "de_DE.UTF-8"}, "en"),
        ({"LANG": "en_GB.UTF-8", "LANGUAGE": "zh_CN:en"}, "zh"),
        ({"LANG": "C", "LANGUAGE": "zh_CN"}, "en"),
        ({}, "en"),
    ],
)
def test_the_language_is_that_of_the_locale(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], language: str
) -> None:
    for name in ("LC_ALL", "LC_MESSAGES", "LANG", "LANGUAGE"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert user_language() == language
    assert user_language("zh") == "zh"
