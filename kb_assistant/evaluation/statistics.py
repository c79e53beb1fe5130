"""Confidence intervals by bootstrap, a paired test, and how well refusal separates questions.

Questions are resampled with a fixed seed, so the same results give the same figures.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

__all__ = ["Difference", "Interval", "RefusalFigures", "intervals", "paired_difference", "refusal_figures"]

RESAMPLES = 1_000
_SEED = 20240229
_ROWS_AT_ONCE = 50  # resamples in memory at a time
_REFUSED_ANSWERABLE = 0.03
"""Share of answerable questions refused at the threshold of `caught_at_3`."""

Interval = tuple[float, float]
"""A 95 % confidence interval, low and high."""


@dataclass(frozen=True, slots=True)
class Difference:
    """The difference of two settings' means over the same questions.

    Attributes:
        interval: of the difference, by bootstrap; None for fewer than two questions.
        p: how often a difference as large arises if each question's two results are swapped at random (two-sided
            permutation test).
    """

    value: float
    interval: Interval | None
    p: float


@dataclass(frozen=True, slots=True)
class RefusalFigures:
    """How well refusal separates answerable from unanswerable questions.

    Refusing is the positive class; a figure is None where no question counts for it.

    Attributes:
        answerable: how many of the questions the documents answer.
        unanswerable: how many they do not answer.
        auroc: the chance that an answerable question scores above an unanswerable one.
        auroc_interval: its 95 % confidence interval, both kinds resampled.
        precision: share of the refused questions that are unanswerable.
        recall: share of the unanswerable questions that were refused.
        answerable_refused: share of the answerable questions that were refused.
        caught_at_3: recall at the threshold where 3 % of the answerable questions are refused.
    """

    answerable: int
    unanswerable: int
    auroc: float | None
    auroc_interval: Interval | None
    precision: float | None
    recall: float | None
    answerable_refused: float | None
    caught_at_3: float | None


def intervals(values: np.ndarray) -> list[Interval | None]:
    """Return the 95 % confidence intervals of the rows' means, by percentile bootstrap of the columns.

    Args:
        values: float, of shape (metrics, questions).
    """
    if values.shape[1] < 2:
        return [None] * len(values)
    found = _bootstrap(values[None], _mean)
    return [_interval(low, high) for low, high in zip(*found, strict=True)]


def paired_difference(new: Sequence[float], old: Sequence[float]) -> Difference:
    """Return how the mean of `new` differs from that of `old`, question by question."""
    from scipy.stats import permutation_test  # type: ignore[import-untyped,unused-ignore]

    left, right = np.asarray(new, dtype=float), np.asarray(old, dtype=float)
    if len(left) < 2:
        return Difference(float(left.sum() - right.sum()), None, 1.0)
    found = permutation_test(
        (left, right),
        lambda left, right, axis: np.mean(left - right, axis=axis),
        permutation_type="samples",
        vectorized=True,
        n_resamples=RESAMPLES,
        batch=_ROWS_AT_ONCE,
        rng=np.random.default_rng(_SEED),
    )
    return Difference(float(np.mean(left - right)), intervals((left - right)[None])[0], float(found.pvalue))


def refusal_figures(relevance: Sequence[float], refused: Sequence[bool], answerable: Sequence[bool]) -> RefusalFigures:
    """Return how well refusal works, given each question's relevance, 0 to 1, and whether it was refused."""
    scores, was_refused, held = np.asarray(relevance, dtype=float), np.asarray(refused), np.asarray(answerable)
    inside, outside = scores[held], scores[~held]
    both = len(inside) > 0 and len(outside) > 0
    enough = min(len(inside), len(outside)) > 1
    return RefusalFigures(
        answerable=len(inside),
        unanswerable=len(outside),
        auroc=float(_auroc(inside, outside)) if both else None,
        auroc_interval=_interval(*_bootstrap((inside, outside), _auroc)) if enough else None,
        precision=_share(~held[was_refused]) if len(outside) else None,
        recall=_share(was_refused[~held]),
        answerable_refused=_share(was_refused[held]),
        caught_at_3=float(np.mean(outside < np.quantile(inside, _REFUSED_ANSWERABLE))) if both else None,
    )


def _mean(values: np.ndarray, axis: int) -> np.ndarray:
    return np.asarray(np.mean(values, axis=axis))


def _auroc(inside: np.ndarray, outside: np.ndarray, axis: int = -1) -> np.ndarray:
    """Return the area under the ROC curve: the share of correctly ordered pairs.

    Hanley and McNeil, 1982, "The Meaning and Use of the Area under a Receiver Operating
    Characteristic (ROC) Curve".
    """
    from scipy.stats import mannwhitneyu  # type: ignore[import-untyped,unused-ignore]

    right = mannwhitneyu(inside, outside, axis=axis, method="asymptotic").statistic
    return np.asarray(right / (inside.shape[axis] * outside.shape[axis]))


def _share(chosen: np.ndarray) -> float | None:
    return float(np.mean(chosen)) if len(chosen) else None


def _interval(low: float, high: float) -> Interval:
    return float(low), float(high)


def _bootstrap(samples: Any, statistic: Any) -> Any:
    from scipy.stats import bootstrap  # type: ignore[import-untyped,unused-ignore]

    found = bootstrap(
        samples,
        statistic,
        n_resamples=RESAMPLES,
        batch=_ROWS_AT_ONCE,
        method="percentile",
        vectorized=True,
        axis=-1,
        rng=np.random.default_rng(_SEED),
    ).confidence_interval
    return found.low, found.high
