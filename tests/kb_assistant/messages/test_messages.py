"""Messages in Chinese: the catalogue is complete, and help, errors and notes are shown in it."""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from message_templates import all_templates
from paths import ROOT

from kb_assistant.messages import translate, user_language

FILES: dict[str, dict[str, str]] = {
    file.stem: json.loads(file.read_text(encoding="utf-8"))
    for file in sorted((ROOT / "kb_assistant" / "messages" / "zh").iterdir())
}
ZH = {template: chinese for file in FILES.values() for template, chinese in file.items()}
HAN = re.compile(r"[\u3400-\u9fff]")


def placeholders(text: str) -> list[str]:
    return sorted(set(re.findall(r"\{(\w+)\}", text)))


def test_each_message_has_its_chinese_once() -> None:
    assert {template: file for template, file in all_templates().items() if template not in ZH} == {}
    assert len(ZH) == sum(map(len, FILES.values()))


def test_no_chinese_is_left_of_a_message_that_is_gone() -> None:
    left = {template for name, file in FILES.items() if name != "words" for template in file} - all_templates().keys()
    assert left == set(), "what the system, click or another library says belongs to words.json"
    assert FILES["words"].keys() & all_templates().keys() == set()


def test_each_value_of_a_message_stands_in_its_translation() -> None:
    without_plurals = {text: re.sub(r"(?<=[a-z])\{\w+\}", "", text) for text in ZH}  # as in "byte{plural}"
    assert {
        text: chinese
        for text, chinese in ZH.items()
        if placeholders(chinese) not in (placeholders(text), placeholders(without_plurals[text]))
    } == {}


def test_a_message_with_values_is_translated() -> None:
    english = "no model 'qwen' in /home/me/models; did you mean qwen2?"
    assert translate(english, "en") == english
    chinese = translate(english, "zh")
    assert HAN.search(chinese)
    assert "'qwen'" in chinese
    assert "/home/me/models" in chinese
    assert translate("what is in no catalogue", "zh") == "what is in no catalogue"


@pytest.mark.parametrize(
    ("note", "chinese"),
    [
        ("a.pdf: not a PDF, or broken; open it and print it to a new PDF", "a.pdf：不是 PDF，或已损坏；请"),
        ("not a PDF, or broken; open it and print it to a new PDF", "不是 PDF，或已损坏；请"),
        ("pages 2-4, 7 read by OCR", "第 2-4, 7 页由 OCR 识别"),
        ("read as gb18030, 2 unreadable bytes", "按 gb18030 编码读取，有 2 个字节无法识别"),
        ("2 broken lines skipped: 3, 4 and 7 more", "已跳过 2 个错误的行：3, 4，另有 7 个"),
        ("inner.docx: an embedded document was skipped", "inner.docx：已跳过一个嵌入的文档"),
        (
            "2 of its files could not be read: b.json (not JSON (line 1, column 4: Expecting value)), "
            "c.docx (it is encrypted) and 3 more",
            "其中 2 个文件无法读取：b.json（不是 JSON（第 1 行第 4 列：此处缺少值））、c.docx（已加密），另有 3 个",
        ),
        (
            "x.zip: none of its files could be read: b.docx (and 3 more): it is encrypted; "
            "give its password with --password, or save a copy without",
            "x.zip：其中的文件均无法读取：b.docx（及另外 3 个）：已加密；请用 --password",
        ),
        ("no loader for such a file; known: .a .b", "不支持这种格式；支持的格式：.a .b"),
    ],
)
def test_a_note_is_translated_with_and_without_the_file_and_the_remedy(note: str, chinese: str) -> None:
    assert translate(note, "zh").startswith(chinese)


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


@pytest.fixture
def chinese(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LC_ALL", "zh_CN.UTF-8")


@pytest.mark.usefixtures("chinese")
def test_help_and_errors_of_the_command_line_are_chinese(kb: Callable[..., Any], tmp_path: Path) -> None:
    helped = kb("ask", "--help").out
    assert "用法：kb ask" in helped
    assert "回答一个问题并附引用" in helped
    assert "回答一个问题并附引用" in kb("--help").out
    missing = kb("models", "remove", "nothing")
    assert missing.code == 2
    assert "没有模型 'nothing'" in missing.err
    assert "缺少参数 'QUESTION'" in kb("ask").err
    assert "隐私" in kb("doctor", "--home", tmp_path).out
    as_json = kb("models", "remove", "nothing", "--json").json()
    assert as_json["error"]["message"].startswith("no model 'nothing'")  # programs read English


@pytest.mark.usefixtures("chinese")
def test_reports_and_notes_on_files_are_chinese_and_their_json_is_not(kb: Callable[..., Any], tmp_path: Path) -> None:
    folder, home = tmp_path / "docs", ("--home", tmp_path / "home")
    folder.mkdir()
    (folder / "broken.pdf").write_bytes(b"no PDF")
    (folder / "leave.txt").write_text("年假为十五天。", encoding="utf-8")
    report = kb("ingest", folder, *home).out
    assert "     失败  broken.pdf：不是 PDF，或已损坏；请打开后重新打印为 PDF\n新增 1，失败 1；" in report
    assert "          失败  broken.pdf  (0 个片段)  不是 PDF，或已损坏；" in kb("sources", *home).out
    assert "default：2 个文档，1 个片段" in kb("collections", *home).out
    assert f"{folder}：2 个文档" in kb("folders", *home).out
    (stored,) = (row for row in kb("sources", *home, "--json").json() if row["status"] == "failed")
    assert stored["notes"] == ["not a PDF, or broken; open it and print it to a new PDF"]
    missing = kb("remove", "nothing.pdf", *home)
    assert missing.err == "kb: 知识库中没有文档 'nothing.pdf'；可用 kb sources 查看\n"


@pytest.mark.usefixtures("chinese")
def test_lines_of_help_fit_a_terminal_and_break_between_words(kb: Callable[..., Any]) -> None:
    for command in ([], ["ask"], ["models", "convert"], ["serve"]):
        for line in kb(*command, "--help").out.splitlines():
            assert sum(2 if unicodedata.east_asian_width(sign) in "WF" else 1 for sign in line) <= 80, line
            assert not line.strip().startswith(("，", "。", "；", "）"))


def test_the_setting_goes_before_the_locale(
    kb: Callable[..., Any], own_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "Usage: kb" in kb("--help").out
    own_home.mkdir()
    (own_home / "kb.toml").write_text('language = "zh"\n', encoding="utf-8")
    assert "用法：kb" in kb("--help").out
    monkeypatch.setenv("KB_LANGUAGE", "en")
    assert "Usage: kb" in kb("--help").out


def test_demo_speaks_the_users_language(kb: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KB_LANGUAGE", "zh")
    shown = kb("demo", "年假有几天？")
    assert shown.out.startswith("已在 ")
    assert "Ingested" not in shown.out
