from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vectorstore import coverage, terms
from vectorstore.fusion import blend, fuse
from vectorstore.scores import similarity

IDS = st.lists(st.integers(0, 30), unique=True, max_size=20)
LEXICAL = st.dictionaries(st.integers(0, 30), st.floats(0, 9), max_size=20).map(
    lambda found: sorted(found.items(), key=lambda one: -one[1])
)
NEAR = st.dictionaries(st.integers(0, 30), st.floats(0, 1), max_size=20)
WEIGHTS = st.dictionaries(
    st.text("年假天酒店", min_size=1, max_size=2) | st.sampled_from(["batteri", "month", "vpn"]),
    st.floats(1e-6, 20),
    max_size=12,
)


@given(LEXICAL, NEAR)
def test_at_no_weight_vectors_only_add_what_full_text_has_not_found(
    lexical: list[tuple[int, float]], near: dict[int, float]
) -> None:
    found = [one for one, _ in lexical]
    assert [one for one, _ in blend(lexical, 9.0, near, 0.0)] == [*found, *(one for one in near if one not in found)]


@given(LEXICAL, NEAR, st.floats(0, 1))
def test_a_blend_holds_every_id_once_at_0_to_1(
    lexical: list[tuple[int, float]], near: dict[int, float], weight: float
) -> None:
    blended = blend(lexical, 9.0, near, weight)
    assert len(blended) == len(dict(blended))
    assert set(dict(blended)) == set(dict(lexical)) | set(near)
    assert all(0 <= score <= 1 + 1e-9 for _, score in blended)


def test_vectors_decide_where_full_text_finds_little_of_the_question() -> None:
    near = {1: 0.5, 2: 0.9}
    assert blend([(1, 8.0), (2, 5.0)], 10.0, near, 0.2)[0][0] == 1
    assert blend([(1, 0.8), (2, 0.5)], 10.0, near, 0.2)[0][0] == 2


def test_the_range_of_a_models_cosines_does_not_matter() -> None:
    wide, narrow = {1: 0.0, 2: 1.0, 3: 0.5}, {1: 0.8, 2: 0.84, 3: 0.82}
    lexical = [(1, 4.0), (3, 3.9), (2, 1.0)]
    orders = [[one for one, _ in blend(lexical, 5.0, near, 0.2)] for near in (wide, narrow)]
    assert orders[0] == orders[1] == [3, 1, 2]


def test_what_both_rankings_name_comes_first() -> None:
    assert fuse([(1.0, [1, 2, 3]), (1.0, [4, 2, 5])])[0] == 2


def test_weights_decide_between_rankings() -> None:
    assert fuse([(1.0, [1]), (0.02, [2])]) == [1, 2]
    assert fuse([(0.02, [1]), (1.0, [2])]) == [2, 1]


@given(IDS, IDS, st.floats(0.01, 2), st.floats(0.01, 2))
def test_the_order_of_the_rankings_does_not_matter(one: list[int], other: list[int], a: float, b: float) -> None:
    assert fuse([(a, one), (b, other)]) == fuse([(b, other), (a, one)])


@given(st.lists(st.tuples(st.floats(0.01, 2), IDS), max_size=4))
def test_every_id_comes_out_once(rankings: list[tuple[float, list[int]]]) -> None:
    fused = fuse(rankings)
    assert len(fused) == len(set(fused))
    assert set(fused) == {chunk_id for _, ids in rankings for chunk_id in ids}


@given(IDS, st.floats(0.01, 2))
def test_one_ranking_stays_as_it_is(ids: list[int], weight: float) -> None:
    assert fuse([(weight, ids)]) == ids


@given(WEIGHTS, st.text(max_size=40) | st.sampled_from(["年假十二天，酒店", "12 months vpn battery"]))
def test_coverage_is_a_share(weights: dict[str, float], text: str) -> None:
    assert 0.0 <= coverage(weights, text) <= 1.0


@given(WEIGHTS)
def test_coverage_is_all_or_nothing_at_the_ends(weights: dict[str, float]) -> None:
    assert coverage(weights, "") == 0.0
    whole = " ".join(weights)
    if weights and set(weights) <= set(terms(whole)):
        assert coverage(weights, whole) == 1.0


@given(WEIGHTS, st.text("年假天酒店", max_size=6), st.text("年假天酒店", max_size=6))
def test_more_text_never_covers_less(weights: dict[str, float], text: str, more: str) -> None:
    assert coverage(weights, f"{text} {more}") >= coverage(weights, text)


def test_coverage_goes_by_weight() -> None:
    assert coverage({"年": 1.0, "vpn": 3.0}, "VPN 说明") == 0.75


@pytest.mark.parametrize(
    ("left", "right", "expected"), [([1, 0], [1, 0], 1), ([1, 0], [0, 1], 0), ([1, 0], [-1, 0], 0)]
)
def test_similarity(left: list[float], right: list[float], expected: float) -> None:
    assert similarity(np.array(left, np.float32), np.array(right, np.float32)) == expected
