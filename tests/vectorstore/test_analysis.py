from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vectorstore import query_terms, terms


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("年休假", ["年", "休", "假", "年休", "休假"]),
        ("batteries battery", ["batteri", "batteri"]),
        ("ＷｉｒｅＧｕａｒｄ", ["wireguard"]),
        ("⽤户", ["用", "户", "用户"]),
        ("Café naïve", ["cafe", "naiv"]),
        ("臺灣開發", ["台", "湾", "开", "发", "台湾", "湾开", "开发"]),
        ("SEV1, 2025-06-17", ["sev1", "2025", "06", "17"]),
        ("用VPN登录", ["用", "vpn", "登", "录", "登录"]),
        ("。！? _ -", []),
    ],
)
def test_terms(text: str, expected: list[str]) -> None:
    assert list(terms(text)) == expected


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        ("年假有多少天？", {"年", "假", "年假", "有", "假有", "天"}),
        ("What is the warranty on batteries?", {"warranti", "batteri"}),
        ("請假有多長？", {"请", "假", "请假", "有", "假有"}),
        ("How many days of leave?", {"day", "leav"}),
        ("是什么", {"是", "什", "么", "是什", "什么"}),
        ("who are you", {"who", "are", "you"}),
        ("？", set()),
    ],
)
def test_query_terms(question: str, expected: set[str]) -> None:
    assert set(query_terms(question)) == expected


@given(st.text(max_size=80))
def test_a_questions_terms_are_distinct_and_terms_of_its_text(text: str) -> None:
    found = query_terms(text)
    assert len(found) == len(set(found))
    assert set(found) <= set(terms(text))
    assert bool(found) == bool(list(terms(text)))


@given(st.text(max_size=80))
def test_terms_hold_nothing_that_full_text_would_take_for_syntax(text: str) -> None:
    assert not any(character in term for term in terms(text) for character in "\"'*() \n\t^:")


@pytest.mark.parametrize(
    ("written", "typed"),
    [
        ("⽤⼿册", "用手册"),
        ("co\u00adoperate", "cooperate"),
        ("oﬀer", "offer"),
        ("年假\n十二 天", "年假十二 天"),
        ("ＶＰＮ", "vpn"),
    ],
)
def test_what_is_only_written_otherwise_has_the_same_terms(written: str, typed: str) -> None:
    assert list(terms(written)) == list(terms(typed))
