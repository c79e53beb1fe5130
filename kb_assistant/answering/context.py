"""Chooses what an engine reads: the best passages, and as much of their sections as fits.

Search finds small passages; the text around one often completes it. Neighbours stay passages of
their own, with their own page and lines, so that a citation of one is just as exact.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from vectorstore import Hit, Passage

__all__ = ["FindSection", "fit_to_budget", "in_section"]

FindSection = Callable[[int, int], Sequence[Passage]]
"""Takes a passage's id and a reach; returns it and up to `reach` passages on each side in its section, in order.

Returns nothing for a passage that is no longer stored."""


def fit_to_budget(
    hits: Sequence[Hit],
    budget: int,
    count_tokens: Callable[[Hit], int],
    section: FindSection | None = None,
    reach: int = 0,
) -> list[Hit]:
    """Return the best hits that fit together, always the first, and the neighbours that fit beside them.

    Neighbours stand next to their hit, in the document's order; all are numbered anew.

    Args:
        hits: what the search found, the best first.
        budget: how many tokens all may take together.
        count_tokens: counts a passage's tokens as the engine reads it.
        section: finds neighbours; None to add none.
        reach: how many neighbours on each side at most.
    """
    kept: list[Hit] = []
    left = budget
    for hit in hits:
        left -= count_tokens(hit)
        if left < 0 and kept:
            break
        kept.append(hit)
    if section is None:
        return kept
    spans = [_Span.around(hit, in_section(hit, section, reach)) for hit in kept]
    taken = {hit.id for hit in kept}
    grown = True
    while grown:  # one step per span and round, the best hit first: near text says more than distant text
        grown = False
        for span in spans:
            for step in (1, -1):
                neighbour = span.next(step)
                if neighbour is None or neighbour.id in taken:
                    continue
                if (tokens := count_tokens(neighbour)) <= left:
                    left -= tokens
                    taken.add(neighbour.id)
                    span.grow(step)
                    grown = True
    together = [hit for span in spans for hit in span.hits]
    return [replace(hit, rank=number) for number, hit in enumerate(together, start=1)]


def in_section(hit: Hit, section: FindSection | None, reach: int) -> list[Hit]:
    """Return a hit among its neighbours, in the document's order; alone where none are known."""
    found = section(hit.id, reach) if section else ()
    if all(passage.id != hit.id for passage in found):
        return [hit]
    return [hit if passage.id == hit.id else hit.beside(passage) for passage in found]


@dataclass
class _Span:
    """The part of a section that is taken, from `first` to `last`."""

    section: Sequence[Hit]
    first: int
    last: int

    @classmethod
    def around(cls, hit: Hit, section: Sequence[Hit]) -> _Span:
        place = next(place for place, each in enumerate(section) if each.id == hit.id)
        return cls(section, place, place)

    @property
    def hits(self) -> Sequence[Hit]:
        return self.section[self.first : self.last + 1]

    def next(self, step: int) -> Hit | None:
        place = self.last + 1 if step > 0 else self.first - 1
        return self.section[place] if 0 <= place < len(self.section) else None

    def grow(self, step: int) -> None:
        if step > 0:
            self.last += 1
        else:
            self.first -= 1
