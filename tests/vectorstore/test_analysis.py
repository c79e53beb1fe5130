from __future__ import annotations

import hashlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vectorstore import ANALYSIS_VERSION, HashedEmbeddings, query_terms, terms

WRITTEN = """\
第一章 员工手册：年休假满五年的员工每年十七天，没有用完的年假可以结转五天。
臺灣開發部門的請假規則與簡體版本相同，後續更新請見內部網站。
用VPN登录；端口是51877。SEV1 事故须在 30 分钟内响应，编号 HT-2024-0871。
東京オフィスの営業時間は9時から18時まで。서울 사무소는 09:00에 문을 엽니다.
Rechargeable batteries are covered for 12 months; the warranties exclude misuse.
Café naïve résumé, Straße, Ægir, İstanbul, ΑΘΉΝΑ, Москва ёлка, שלום עולם.
ＦｕｌｌＷｉｄｔｈ １２３，co\u00adoperate, zero\u200bwidth, oﬀer ﬁle, ⽤⼿册, x² ½ ㎏ №5.
跨行的中文
接在一起 而 English
lines are not. don't O'Neill's e-mail user@example.com C++ snake_case 3.14 1,000,000
"""
OUTPUT_OF_VERSION = {2: ("9a54bbdb76142005", "fadfc3cb534126ba")}
"""Digests of the terms and of the built-in vectors of `WRITTEN`. Where they change, what is stored becomes stale: raise
ANALYSIS_VERSION, and note the new digests under the new number."""


def test_the_version_moves_with_the_output() -> None:
    vectors = np.rint(HashedEmbeddings().embed(WRITTEN.splitlines()) * 1000).astype("<i2")
    found = [" ".join(terms(WRITTEN)).encode(), vectors.tobytes()]
    digests = tuple(hashlib.sha256(one).hexdigest()[:16] for one in found)
    assert OUTPUT_OF_VERSION[ANALYSIS_VERSION] == digests, "raise ANALYSIS_VERSION, and note the digests here"
    assert HashedEmbeddings.model_id == f"builtin-{ANALYSIS_VERSION}"


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
