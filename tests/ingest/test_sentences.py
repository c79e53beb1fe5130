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


@pytest.mark.parametrize(
    "text",
    [
        "The library opens at 9 a.m. and closes at 6 p.m. on weekdays. ‖ It is closed on Sunday.",
        "The shuttle leaves at 5 p.m. ‖ Bring your badge. ‖ Another leaves at 8 p.m. Monday.",
        "The webcast began at 5 p.m. ET. ‖ It ended at 6 p.m. Eastern Time.",
        "The case of Roe v. Wade was cited. ‖ Smith vs. Jones was not.",
        "The Art. 7 penalty applies from Jan. 2025 on. ‖ See Sec. 4 for details.",
        "Under Sec. 12, Arts. 5 to 6 and para. 3 the fee is waived. ‖ Otherwise it is due.",
        "See Fig. 3, Ex. A and Exh. B, Nos. 4 and 5, on p. 12. ‖ The Reg. No. is 42.",
        "Approx. 40 people came, i.e. half of the staff. ‖ The rest stayed home.",
        "Dr. Smith and Messrs. Li and Wang met on Feb. 3. ‖ They talked.",
        "W. E. B. Du Bois and Mrs T. R. P. Hole wrote it. ‖ They agreed.",
        "Acme Inc. Tokyo was founded in 1990. ‖ He works for Acme Inc. ‖ He likes it.",
        "She works in the U.S. for a bank. ‖ They moved to the U.S. ‖ They like it there.",
        "It rained in Sept. and in Oct. of last year. ‖ We met in Jan. ‖ Snow fell.",
        "Tools, screws, etc. are in the box. ‖ Bring pens, paper, etc. ‖ Nails are there.",
        "The max. load is 5 kg, the box 10 in. wide. ‖ This is the max. ‖ That is not.",
        "Smith et al. found this (cf. Lee et al. 2010). ‖ It holds.",
        "The answer is no. ‖ Ask again. ‖ I like art. ‖ So does she. ‖ They drew a fig. ‖ It was ripe.",
        "So do I. ‖ Nobody else does.",
        "Paul I. B. Smith came. ‖ The GmbH & Co. KG pays. ‖ He lives in Wash. or Calif. today.",
        "型号 No. 5 的价格见 Sec. 二。‖另见 Fig. 3。‖不含税。",
    ],
)
def test_abbreviations_end_sentences_only_where_a_new_one_begins(text: str) -> None:
    expected = [sentence.strip() for sentence in text.split("‖")]
    assert sentences("".join(text.split("‖ " if " ‖ " in text else "‖"))) == expected


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
            "No. ",
            "p.m. ",
            "Inc. ",
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
def test_spans_are_in_order_without_overlap_and_omit_only_white_space(text: str) -> None:
    covered = [False] * len(text)
    position = 0
    for start, end in sentence_spans(text):
        assert position <= start < end <= len(text)
        assert text[start:end] == text[start:end].strip()
        covered[start:end] = [True] * (end - start)
        position = end
    assert [character for character, seen in zip(text, covered, strict=True) if not seen and character.strip()] == []
