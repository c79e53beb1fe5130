from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest import sentence_spans


def sentences(text: str) -> list[str]:
    return [text[start:end] for start, end in sentence_spans(text)]


LONG = "this remark is written without any line break" + " at all" * 20


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("今天下雨。明天呢？晴！", ["今天下雨。", "明天呢？", "晴！"]),
        ("他说：“走吧。”然后走了。", ["他说：“走吧。”", "然后走了。"]),
        (
            "It rains. Dr. Smith stays at home. Why? Because.",
            ["It rains.", "Dr. Smith stays at home.", "Why?", "Because."],
        ),
        ("Version 4.2.1 costs 3.50 euros, e.g. here. Next.", ["Version 4.2.1 costs 3.50 euros, e.g. here.", "Next."]),
        ("- one\n- two. Three\n1. four", ["- one", "- two.", "Three", "1. four"]),
        ("| a | b |\n| --- | --- |\n| 1 | 2 |", ["| a | b |", "| --- | --- |", "| 1 | 2 |"]),
        ("# Title\nThe text begins.", ["# Title", "The text begins."]),
        (
            "This line of a printed page runs on\nto the next one. And so on.",
            ["This line of a printed page runs on\nto the next one.", "And so on."],
        ),
        (
            "The inspection of the eastern spillway has to be done by\nthe engineer every nineteen days.\n\n" + LONG,
            ["The inspection of the eastern spillway has to be done by\nthe engineer every nineteen days.", LONG],
        ),
        (
            "游泳馆自七月一日起实行夏季开放时间，每天开放的时间段为\n上午九点至中午十二点。\n\n" + LONG,
            ["游泳馆自七月一日起实行夏季开放时间，每天开放的时间段为\n上午九点至中午十二点。", LONG],
        ),
        ("Tea\nMilk\nSugar\n\n" + LONG, ["Tea", "Milk", "Sugar", LONG]),
        ("```\nrun the program\n```", ["```", "run the program", "```"]),
        ("第一段没有句号\n\n第二段", ["第一段没有句号", "第二段"]),
        ("", []),
        (" \n\t\n", []),
    ],
)
def test_sentences(text: str, expected: list[str]) -> None:
    assert sentences(text) == expected


TEXTS = st.lists(
    st.sampled_from(
        [
            "中文",
            "句子。",
            "问？",
            "”",
            "word",
            "Dr.",
            "e.g.",
            "end. ",
            "3.14",
            " ",
            "\n",
            "\n\n",
            "|",
            "- ",
            "1. ",
            "（一）",
            "#",
            "\t",
            "…",
            "\u3000",
            "\x1c",
            "\u2028",
        ]
    ),
    max_size=40,
).map("".join)


@given(TEXTS | st.text(max_size=120))
@settings(deadline=None)
def test_spans_are_in_order_do_not_overlap_and_leave_out_only_white_space(text: str) -> None:
    covered = [False] * len(text)
    position = 0
    for start, end in sentence_spans(text):
        assert position <= start < end <= len(text)
        assert text[start:end] == text[start:end].strip()
        covered[start:end] = [True] * (end - start)
        position = end
    assert [character for character, seen in zip(text, covered, strict=True) if not seen and character.strip()] == []
