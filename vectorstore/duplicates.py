"""Nearly the same text twice says nothing more: boilerplate, or one contract in two versions.

Two passages are that if nine in ten of their terms are the same, after Broder, 1997, "On the
resemblance and containment of documents", and no number and no negation differs: the rates of 2022
and those of 2023 are two answers.
"""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict

from vectorstore.analysis import terms
from vectorstore.records import Passage

__all__ = ["Distinct"]

_ALIKE = 0.9
"""Share of the terms of both that both hold."""
_TELLING = re.compile(
    r"\d+|[〇零一二三四五六七八九十百千万萬亿億两兩]+|[不没沒无無非未勿]|"
    r"\b(?:one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|(?:thir|four|fif|six|seven|eigh|nine)teen|"
    r"(?:twen|thir|for|fif|six|seven|eigh|nine)ty|hundred|thousand|million|billion|"
    r"first|second|third|not|no|never|without|cannot)\b|n['’]t\b"
)
"""What makes another statement of the same words."""


class Distinct:
    """Takes passages one after the other, and tells which of them are not nearly the same as one before."""

    def __init__(self) -> None:
        """Begin with none."""
        self._kept: defaultdict[tuple[str, ...], list[str]] = defaultdict(list)
        self._found: dict[str, frozenset[str]] = {}

    def add(self, passage: Passage) -> bool:
        """Return whether the passage is unlike all that were added, and add it if it is."""
        shown = unicodedata.normalize("NFKC", " ".join((passage.title or "", *passage.heading, passage.text)))
        alike = self._kept[tuple(_TELLING.findall(shown.casefold()))]
        if any(_resemblance(self._terms(passage.text), self._terms(text)) >= _ALIKE for text in alike):
            return False
        alike.append(passage.text)
        return True

    def _terms(self, text: str) -> frozenset[str]:
        if text not in self._found:  # few need theirs: most passages have numbers of their own
            self._found[text] = frozenset(terms(text))
        return self._found[text]


def _resemblance(one: frozenset[str], other: frozenset[str]) -> float:
    """The share of their terms that both hold, 0 to 1."""
    shared = len(one & other)
    either = len(one) + len(other) - shared
    return shared / either if either else 0.0
