"""How rare a term is in its language at large, whatever a collection makes of it.

A collection's own frequencies take "nickname", which it happens to lack, for as telling as a
name that it lacks, and its own subject for something common. Word frequencies are those of
wordfreq: Speer, 2022, "rspeer/wordfreq: v3.0".
"""

from __future__ import annotations

import gzip
import math
import threading
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import msgpack

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
    found = {}
    for term in wanted:
        with _counting:  # else the first questions, where many come at once, would each count all words
            shares = _shares("en" if term.isascii() else "zh")
        parts = [term] if term in shares or term.isascii() else list(term)
        found[term] = max(_rarity(shares.get(part, 0.0)) for part in parts)
    return found


def _rarity(share: float) -> float:
    return min(RAREST, max(0.0, _COMMON - math.log10(share))) if share > 0 else RAREST


@cache
def _shares(language: str) -> Mapping[str, float]:
    """The share of each index term in texts: English words by their stems, Chinese ones by characters and pairs."""
    found: defaultdict[str, float] = defaultdict(float)
    for word, share in _words(language):
        if word.isascii() is (language == "en"):  # the Chinese list has English words as Chinese texts use them
            for term in terms(word):
                found[term] += share
    return dict(found)


def _words(language: str) -> Iterator[tuple[str, float]]:
    """Words of wordfreq's small list with their shares in texts.

    Its file is read here, in the form that `wordfreq.read_cBpack` tells of: to import wordfreq, which can cut texts
    of forty languages into words, takes longer than all that is done with the list.
    """
    package = find_spec("wordfreq")
    assert package
    assert package.origin
    path = Path(package.origin).parent / "data" / f"small_{language}.msgpack.gz"
    with gzip.open(path) as file:
        _, *levels = msgpack.load(file)
    for level, words in enumerate(levels):  # a hundred levels are a power of ten
        for word in words:
            yield word, 10 ** (-level / 100)
