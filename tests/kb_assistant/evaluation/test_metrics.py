"""The metrics against published definitions and other implementations of them."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kb_assistant.evaluation.metrics import contains, exact_match, f1, ndcg, recall, reciprocal_rank
from kb_assistant.evaluation.statistics import intervals, paired_difference, refusal_figures

SOME = ["the", "a", "Black", "Forest,", "black-and", "2,850", "km.", "U.S.", "rises", "(in)"]
WORDS = st.lists(st.sampled_from(SOME), max_size=8)


@settings(deadline=None)
@given(WORDS, WORDS.filter(bool))
def test_english_em_and_f1_are_those_of_squad(given_words: list[str], gold_words: list[str]) -> None:
    from transformers.data.metrics import squad_metrics

    given_text, gold = " ".join(given_words), " ".join(gold_words)
    assert exact_match(given_text, [[gold]], "Where?") == squad_metrics.compute_exact(gold, given_text)
    assert f1(given_text, [[gold]], "Where?") == pytest.approx(squad_metrics.compute_f1(gold, given_text))


def test_chinese_f1_is_by_the_longest_run_of_characters_in_common() -> None:
    # "浙江杭州" of 7 characters given and 4 wanted: precision 4/7, recall 1.
    assert f1("它产于浙江杭州。", [["浙江杭州"]], "产于哪里？") == pytest.approx(8 / 11)
    # The runs in common are 浙江 and 杭州, and only the longest one counts.
    assert f1("浙江的杭州", [["浙江杭州"]], "产于哪里？") == pytest.approx(2 * 2 / 9)
    assert f1("1909 年", [["1909年"]], "哪一年？") == 1
    assert exact_match("“浙江杭州”。[1]", [["浙江省", "浙江杭州"]], "产于哪里？") == 1
    assert exact_match("浙江", [["浙江杭州"]], "产于哪里？") == 0


@pytest.mark.parametrize(
    ("text", "answer", "held"),
    [
        ("It has 308 points. [1]", "308", True),
        ("It has 1308 points.", "308", False),
        ("失去了1308分", "308", False),
        ("失去了 308 分", "308分", True),
        ("a six-time winner", "six", True),
        ("owned by Walt Disney Company", "The Walt Disney Company", True),
        ("ＡＢＣ公司", "abc 公司", True),
        ("see the source [3]", "3", False),
        ("", "x", False),
    ],
)
def test_containment_is_of_whole_words(text: str, answer: str, held: bool) -> None:
    assert contains(text, [[answer]]) == held


def test_every_part_must_be_contained_in_one_of_its_wordings() -> None:
    parts = [["1月3日", "元月三日"], ["1月12日"]]
    assert contains("先是元月三日，后是1月12日。", parts) == 1
    assert contains("1月3日", parts) == 0


def test_rank_metrics_by_hand() -> None:
    assert recall([2, 7], 2, 1) == 0
    assert recall([2, 7], 2, 5) == 0.5
    assert recall([2, 7], 2, 10) == 1
    assert reciprocal_rank([2, 7]) == 0.5
    assert reciprocal_rank([]) == reciprocal_rank([11]) == 0
    assert ndcg([1, 2], 2) == 1
    assert ndcg([], 2) == 0


@pytest.mark.parametrize("ranks", [[1], [4], [10], [1, 3], [2, 9]])
def test_ndcg_is_that_of_scikit_learn(ranks: list[int]) -> None:
    from sklearn.metrics import ndcg_score

    relevant = [float(rank in ranks) for rank in range(1, 11)]
    assert ndcg(ranks, len(ranks)) == pytest.approx(ndcg_score([relevant], [list(range(10, 0, -1))]))


def test_intervals_hold_the_mean_and_narrow_with_more_questions() -> None:
    draw = np.random.default_rng(1)
    few, many = (draw.random((2, size)) < 0.8 for size in (50, 2000))
    for values in (few.astype(float), many.astype(float)):
        for row, found in zip(values, intervals(values), strict=True):
            assert found is not None
            assert found[0] < row.mean() < found[1]
    (wide, _), (narrow, _) = intervals(few.astype(float)), intervals(many.astype(float))
    assert wide is not None
    assert narrow is not None
    # The normal approximation's 2 · 1.96 · sqrt(p (1 - p) / n).
    assert narrow[1] - narrow[0] == pytest.approx(3.92 * np.sqrt(0.16 / 2000), rel=0.15)
    assert wide[1] - wide[0] > 3 * (narrow[1] - narrow[0])
    assert intervals(few.astype(float)) == intervals(few.astype(float)), "the seed is fixed"
    assert intervals(np.ones((1, 1))) == [None]


def test_a_paired_difference_is_told_from_chance() -> None:
    old = [0.0] * 40 + [1.0] * 60
    better = paired_difference([0.0] * 20 + [1.0] * 80, old)
    assert better.value == pytest.approx(0.2)
    assert better.p < 0.01
    assert better.interval is not None
    assert better.interval[0] > 0
    same = paired_difference(old, old)
    assert (same.value, same.p) == (0, 1)
    swapped = [1.0, 0.0, *old[2:38], 1.0, 0.0, *old[40:]]
    assert paired_difference(swapped, old).p > 0.3


def test_refusal_figures_by_hand() -> None:
    found = refusal_figures(
        [0.9, 0.8, 0.2, 0.7, 0.1, 0.3], [False, False, True, False, True, True], [True, True, True, False, False, False]
    )
    assert (found.answerable, found.unanswerable) == (3, 3)
    assert found.auroc == pytest.approx(7 / 9)  # of nine pairs, 0.2 is below 0.7 and 0.3
    assert found.precision == pytest.approx(2 / 3)
    assert found.recall == pytest.approx(2 / 3)
    assert found.answerable_refused == pytest.approx(1 / 3)
    assert found.auroc_interval is not None
    assert found.auroc_interval[0] <= found.auroc <= found.auroc_interval[1]


def test_refusal_figures_without_anything_to_refuse() -> None:
    found = refusal_figures([0.9, 0.1], [False, True], [True, True])
    assert found.auroc is found.recall is found.precision is found.caught_at_3 is None
    assert found.answerable_refused == 0.5


def test_auroc_is_that_of_scikit_learn() -> None:
    from sklearn.metrics import roc_auc_score

    draw = np.random.default_rng(2)
    held = draw.random(200) < 0.6
    relevance = np.round(draw.random(200) + 0.4 * held, 1)  # with ties
    found = refusal_figures(relevance.tolist(), [False] * 200, held.tolist())
    assert found.auroc == pytest.approx(roc_auc_score(held, relevance))
    assert found.auroc_interval is not None
    assert found.auroc_interval[0] < found.auroc < found.auroc_interval[1]
