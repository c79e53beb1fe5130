"""Measures how much of a question a text holds: shares of weights, and common runs of words."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet

__all__ = ["common", "pairs", "runs", "share", "spelled_out", "words"]


def share(weights: Mapping[str, float], found: AbstractSet[str]) -> float:
    """Return the share of the weights whose terms were found, 0 to 1; 0 without weights."""
    total = sum(weights.values())
    return sum(weight for term, weight in weights.items() if term in found) / total if total > 0 else 0.0


def words(tokens: Iterable[str]) -> list[str]:
    """Return the words and single characters among index terms, without the pairs of characters."""
    return [token for token in tokens if token.isascii() or len(token) != 2]


def runs(tokens: Sequence[str], size: int) -> frozenset[tuple[str, ...]]:
    """Return all runs of `size` tokens."""
    return frozenset(tuple(tokens[i : i + size]) for i in range(len(tokens) - size + 1))


def common(wanted: AbstractSet[tuple[str, ...]], found: AbstractSet[tuple[str, ...]]) -> float:
    """Return the share of the wanted runs that were found, 0 to 1; 0 if none are wanted."""
    return len(wanted & found) / len(wanted) if wanted else 0.0


def pairs(terms: Iterable[str]) -> tuple[str, ...]:
    """Return the pairs of Han characters among index terms."""
    return tuple(term for term in terms if len(term) == 2 and not term.isascii())


def spelled_out(pairs: Sequence[str], text: str) -> list[str]:
    """Return the pairs that may abbreviate words of `text`: 年假 for 年休假, with one or two characters left out.

    >>> spelled_out(["年假", "病假"], "每年休假五天")
    ['年假']
    """
    wanted, found = set(pairs), set()
    for place in range(1, len(text) - 1):
        if _is_han(text[place]):
            found.add(text[place - 1] + text[place + 1])
            if _is_han(text[place + 1]) and place + 2 < len(text):
                found.add(text[place - 1] + text[place + 2])
    found &= wanted
    return [pair for pair in pairs if pair in found]


def _is_han(character: str) -> bool:
    return "\u3400" <= character <= "\u9fff"
