"""Leaves out passages that nearly repeat another: boilerplate, or two versions of a contract.

Two passages are near duplicates if they share nine tenths of their terms, after Broder, 1997, "On the resemblance and
containment of documents", and no number and no negation differs: the rates of 2022 and of 2023 are two answers.
"""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict

from vectorstore.analysis import terms
from vectorstore.records import Passage

__all__ = ["Distinct"]

_ALIKE = 0.9
"""Share of their terms that near duplicates have in common."""
_TELLING = re.compile(
    r"\d+|[〇零一二三四五六七八九十百千万萬亿億两兩]+|[不没沒无無非未勿]|"
    r"\b(?:one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|(?:thir|four|fif|six|seven|eigh|nine)teen|"
    r"(?:twen|thir|for|fif|six|seven|eigh|nine)ty|hundred|thousand|million|billion|"
    r"first|second|third|not|no|never|without|cannot)\b|n['’]t\b"
)
"""Words that change what the same sentence says."""


class Distinct:
    """Takes passages one after the other, and tells which of them repeat no earlier passage."""

    def __init__(self) -> None:
        """Begin with none."""
        self._kept: defaultdict[tuple[str, ...], list[str]] = defaultdict(list)
        self._found: dict[str, frozenset[str]] = {}

    def add(self, passage: Passage) -> bool:
        """Add the passage and return True, unless it nearly repeats a passage that was added before."""
        shown = unicodedata.normalize("NFKC", " ".join((passage.title or "", *passage.heading, passage.text)))
        alike = self._kept[tuple(_TELLING.findall(shown.casefold()))]
        if any(_resemblance(self._terms(passage.text), self._terms(text)) >= _ALIKE for text in alike):
            return False
        alike.append(passage.text)
        return True

    def _terms(self, text: str) -> frozenset[str]:
        if text not in self._found:  # computed on demand: most passages differ in a number already
            self._found[text] = frozenset(terms(text))
        return self._found[text]


def _resemblance(left: frozenset[str], right: frozenset[str]) -> float:
    """Return the share of their terms that both have, 0 to 1."""
    shared = len(left & right)
    either = len(left) + len(right) - shared
    return shared / either if either else 0.0
