"""A passage that a search found."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any

from vectorstore.records import Passage

__all__ = ["Hit"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Hit(Passage):
    """A passage, and how well it matches a question.

    Attributes:
        rank: 1 is the best. A prompt numbers its passages anew; then it is that number.
        score: the reranker's, or without a reranker the similarity to the question, 0 to 1, higher is better.
            Without a reranker the order comes from `fusion.blend`, so scores need not fall with each rank.
        coverage: the share of the question's weight in terms that the passage holds, 0 to 1.
        cosine: of its vector and the question's, negative ones as 0; None where vectors have no weight.
        neighbour: whether it was not found itself, but stands next to a hit, whose rank and score it has.
    """

    rank: int
    score: float
    coverage: float = 0.0
    cosine: float | None = None
    neighbour: bool = False

    @classmethod
    def of(
        cls, passage: Passage, *, rank: int, score: float, coverage: float = 0.0, cosine: float | None = None
    ) -> Hit:
        """Return a passage as a hit."""
        return cls(**_fields(passage), rank=rank, score=score, coverage=coverage, cosine=cosine)

    def beside(self, passage: Passage) -> Hit:
        """Return a passage of the same section as this hit's neighbour."""
        return replace(self, **_fields(passage), neighbour=True)


def _fields(passage: Passage) -> dict[str, Any]:
    return {field.name: getattr(passage, field.name) for field in fields(Passage)}
