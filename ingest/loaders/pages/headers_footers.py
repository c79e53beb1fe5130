"""Headers and footers: lines that repeat on a document's pages, such as titles and page numbers."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from statistics import median

from ingest.cleaning import clean_line
from ingest.loaders.pages.layout import PageLayout
from ingest.loaders.pages.words import Line

__all__ = ["RepeatedLines", "words_elsewhere"]

_ZONE = 0.13
"""Share of the page height, at top and bottom, where headers and footers are looked for."""
_MOST_LINES = 4
_NEAR = 8.0
"""Points; how far a repeated line may move up or down."""
_NUMBER = re.compile(r"\d+|\b[ivxlc]{1,7}\b", re.IGNORECASE)
_WORD = re.compile(r"[\u3400-\u9fff\uf900-\ufaff]+|[^\W\d_]{2,}")


def _key(line: Line) -> str:
    return "".join(_NUMBER.sub("#", clean_line(line.text)).split())


def _edge_lines(layout: PageLayout) -> list[tuple[str, Line]]:
    """Return the outermost lines of a page, each marked "head" or "foot"."""
    lines = sorted(layout.lines(), key=lambda line: line.y)
    head = [line for line in lines[:_MOST_LINES] if line.y < _ZONE * layout.height]
    foot = [line for line in lines[-_MOST_LINES:] if line.y > (1 - _ZONE) * layout.height]
    return [("head", line) for line in head] + [("foot", line) for line in foot if line not in head]


@dataclass(slots=True)
class RepeatedLines:
    """Lines at the same place on nearly every page, or nearly every other page."""

    places: dict[tuple[str, str], float] = field(default_factory=dict)

    @classmethod
    def of(cls, layouts: Mapping[int, PageLayout], pages: int) -> RepeatedLines:
        """Find them on sampled pages, by page number, of a document with `pages` pages."""
        if pages < 2:
            return cls()
        seen: dict[tuple[str, str], dict[int, float]] = {}
        for number, layout in layouts.items():
            for zone, line in _edge_lines(layout):
                seen.setdefault((zone, _key(line)), {}).setdefault(number, line.y)
        odd = sum(number % 2 for number in layouts)
        return cls(
            {
                key: median(found.values())
                for key, found in seen.items()
                if _repeats(key[1], found, odd, len(layouts) - odd)
            }
        )

    def take(self, layout: PageLayout) -> list[tuple[str, Line]]:
        """Remove the repeated lines from a page, and return each with its zone."""
        if not self.places:
            return []
        taken = [
            (zone, line)
            for zone, line in _edge_lines(layout)
            if abs(self.places.get((zone, _key(line)), -1000.0) - line.y) < _NEAR
        ]
        gone = {id(line) for _, line in taken}
        if gone:
            layout.flows = [kept for flow in layout.flows if (kept := [item for item in flow if id(item) not in gone])]
        return taken


def _repeats(key: str, found: Mapping[int, float], odd: int, even: int) -> bool:
    middle = median(found.values())
    numbers = [number for number, y in found.items() if abs(y - middle) < _NEAR]
    is_page_number = not _WORD.search(key)
    total = odd + even
    if len(numbers) < (2 if is_page_number and total == 2 else 3):
        return False
    on_odd = sum(number % 2 for number in numbers)
    on_even = len(numbers) - on_odd
    return len(numbers) >= 0.6 * total or on_odd >= max(3, 0.8 * odd) or on_even >= max(3, 0.8 * even)


def words_elsewhere(line: str, text: str) -> bool:
    """Return whether all words of a line occur in `text`, which is in lower case without white space."""
    return all(word in text for word in _WORD.findall(line.lower()))
