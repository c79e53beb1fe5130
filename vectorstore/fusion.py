"""Combines full-text and vector results into one ranking, and several rankings into one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

__all__ = ["blend", "fuse"]

_RANK_CONSTANT = 60


def blend(
    lexical: Sequence[tuple[int, float]], most: float, near: Mapping[int, float], weight: float
) -> list[tuple[int, float]]:
    """Return (id, score) of the passages that full text or vectors found, by a weighted mean, the best first.

    BM25 is divided by the largest value that the question could reach, so that even the best passage counts for
    little where full text finds little of the question. Cosines are scaled to the range of these passages, since
    each model has its own range. Ties keep the order of full text, then that of `near`; so at a weight of 0 full
    text decides, and vectors only add passages that it has not found. After Bruch, Gai and Ingber, 2023, "An
    Analysis of Fusion Functions for Hybrid Retrieval".

    Args:
        lexical: (id, BM25), the best first.
        most: the largest BM25 that the question's terms could reach.
        near: the cosine of each passage that either found; passages that full text did not find in their order of
            preference.
        weight: the weight of the vectors, 0 to 1; full text has the rest.
    """
    scores = {passage: (1 - weight) * score / most for passage, score in lexical}
    low, high = min(near.values(), default=0.0), max(near.values(), default=0.0)
    for passage, cosine in near.items():
        scaled = (cosine - low) / (high - low) if high > low else 0.0
        scores[passage] = scores.get(passage, 0.0) + weight * scaled
    return sorted(scores.items(), key=lambda found: -found[1])


def fuse(rankings: Sequence[tuple[float, Sequence[int]]]) -> list[int]:
    """Return the ids of all (weight, ids) rankings, by the weighted sum of 1 / (60 + rank).

    After Cormack, Clarke and Buettcher, 2009, "Reciprocal Rank Fusion Outperforms Condorcet and
    Individual Rank Learning Methods".
    """
    scores: dict[int, float] = {}
    for weight, ids in rankings:
        for rank, chunk_id in enumerate(ids, start=1):
            scores[chunk_id] = scores.get(chunk_id, 0.0) + weight / (_RANK_CONSTANT + rank)
    return sorted(scores, key=lambda chunk_id: (-scores[chunk_id], chunk_id))
