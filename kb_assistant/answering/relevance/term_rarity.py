"""Tells how rare a term is in its language, whatever its frequency in a collection.

A collection's own frequencies mislead: a common word that happens to be missing, such as
"nickname", looks as significant as a missing name, and the collection's own subject looks common.
Word frequencies come from wordfreq: Speer, 2022, "rspeer/wordfreq: v3.0".
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
"""Decimal logarithm of the frequency from which on a term says nothing: 1 word in 316."""
RAREST = 4.0
"""The rarity of numbers, and of words and characters that no list has: 1 word in 3 million or rarer."""

_counting = threading.Lock()


def rarities(wanted: Iterable[str]) -> dict[str, float]:
    """Return how rare each index term is: how many powers of ten rarer than a common word, 0 to `RAREST`.

    A pair of characters that occurs in no word usually spans two words, so it is as rare as its rarer character.
    """
    found = {}
    for term in wanted:
        with _counting:  # otherwise each of several simultaneous first questions would count all words
            shares = _shares("en" if term.isascii() else "zh")
        parts = [term] if term in shares or term.isascii() else list(term)
        found[term] = max(_rarity(shares.get(part, 0.0)) for part in parts)
    return found


def _rarity(share: float) -> float:
    return min(RAREST, max(0.0, _COMMON - math.log10(share))) if share > 0 else RAREST


@cache
def _shares(language: str) -> Mapping[str, float]:
    """Return the frequency of each index term: stems in English, characters and pairs in Chinese."""
    found: defaultdict[str, float] = defaultdict(float)
    for word, share in _words(language):
        if word.isascii() is (language == "en"):  # the Chinese list also has the English words of Chinese texts
            for term in terms(word):
                found[term] += share
    return dict(found)


def _words(language: str) -> Iterator[tuple[str, float]]:
    """Yield the words of wordfreq's small list with their frequencies.

    Reads the file directly, in the format that `wordfreq.read_cBpack` documents: importing wordfreq, with its
    tokenizers for forty languages, takes longer than all the work with the list.
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
