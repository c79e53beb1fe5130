"""How much of a question a text holds: shares of weights, and runs of words in common."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet

__all__ = ["common", "runs", "share", "short_for", "words"]


def share(weights: Mapping[str, float], found: AbstractSet[str]) -> float:
    """Return the share of the weights whose terms were found, 0 to 1; 0 where nothing weighs."""
    total = sum(weights.values())
    return sum(weight for term, weight in weights.items() if term in found) / total if total > 0 else 0.0


def words(tokens: Iterable[str]) -> list[str]:
    """Return the words and single characters among index terms, without the pairs of characters."""
    return [token for token in tokens if token.isascii() or len(token) != 2]


def runs(tokens: Sequence[str], size: int) -> frozenset[tuple[str, ...]]:
    """Return all runs of `size` tokens."""
    return frozenset(tuple(tokens[i : i + size]) for i in range(len(tokens) - size + 1))


def common(wanted: AbstractSet[tuple[str, ...]], found: AbstractSet[tuple[str, ...]]) -> float:
    """Return the share of the wanted runs that were found, 0 to 1; 0 where none is wanted."""
    return len(wanted & found) / len(wanted) if wanted else 0.0


def short_for(terms: Iterable[str]) -> dict[str, re.Pattern[str]]:
    """Return what each pair of Han characters among index terms may be short for: 年假 for 年休假."""
    return {
        term: re.compile(f"{re.escape(term[0])}[\u3400-\u9fff]{{1,2}}{re.escape(term[1])}")
        for term in terms
        if len(term) == 2 and not term.isascii()
    }
