"""How rare a term is in its language at large, whatever a collection makes of it.

A collection's own frequencies take "nickname", which it happens to lack, for as telling as a
name that it lacks, and its own subject for something common. Word frequencies are those of
wordfreq: Speer, 2022, "rspeer/wordfreq: v3.0".
"""

from __future__ import annotations

import math
import threading
from collections import defaultdict
from collections.abc import Iterable, Mapping
from functools import cache

from vectorstore import terms

__all__ = ["RAREST", "rarities"]

_COMMON = -2.5
"""Decimal logarithm of the share in texts from which on a term says nothing: 1 word of 316."""
RAREST = 4.0
"""The rarity of words and characters that are in no list, and of numbers: 1 word of 3 million, or fewer."""

_counting = threading.Lock()


def rarities(wanted: Iterable[str]) -> dict[str, float]:
    """Return how rare each index term is: by how many powers of ten rarer than a common word, 0 to `RAREST`.

    Two characters that no word holds side by side most often belong to two words: they are as rare as the rarer one.
    """
    with _counting:  # else the first questions, where many come at once, would each count all words
        shares = _shares()
    found = {}
    for term in wanted:
        parts = [term] if term in shares or term.isascii() else list(term)
        found[term] = max(_rarity(shares.get(part, 0.0)) for part in parts)
    return found


def _rarity(share: float) -> float:
    return min(RAREST, max(0.0, _COMMON - math.log10(share))) if share > 0 else RAREST


@cache
def _shares() -> Mapping[str, float]:
    """The share of each index term in texts: English words by their stems, Chinese ones by characters and pairs."""
    from wordfreq import get_frequency_dict

    found: defaultdict[str, float] = defaultdict(float)
    for language in ("en", "zh"):
        for word, share in get_frequency_dict(language, wordlist="small").items():
            if word.isascii() is (language == "en"):  # the Chinese list has English words as Chinese texts use them
                for term in terms(word):
                    found[term] += share
    return dict(found)
