"""What an engine is given to read: the best passages, and so much of their sections as there is room for.

Search finds small passages; what surrounds one often completes it. Neighbours stay passages of
their own, with their own page and lines, so that a citation of one is as exact as any.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from langchain_core.documents import Document

__all__ = ["is_neighbour", "within_budget"]


def within_budget(
    passages: Sequence[Document],
    budget: int,
    size: Callable[[Document], int],
    section: Callable[[Document], Sequence[Document]] | None = None,
) -> list[Document]:
    """Return the best passages that fit together, the first always, and what neighbours fit beside them.

    Neighbours stand next to what they belong to, in the document's order; all are numbered anew.

    Args:
        passages: what was found, the best first.
        budget: tokens that all may take together.
        size: counts a passage's tokens, as the engine is given it.
        section: gives the passages of the section that one stands in, in order; None where none is to be widened.
    """
    kept: list[Document] = []
    left = budget
    for passage in passages:
        left -= size(passage)
        if left < 0 and kept:
            break
        kept.append(passage)
    if section is None:
        return kept
    spans = [_Span.around(passage, section(passage)) for passage in kept]
    taken = {passage.id for passage in kept}
    grown = True
    while grown:  # a step at a time for each, the best first: what is near says more than what is far
        grown = False
        for span in spans:
            for step in (1, -1):
                neighbour = span.next(step)
                if neighbour is None or neighbour.id in taken:
                    continue
                if (tokens := size(neighbour)) <= left:
                    left -= tokens
                    taken.add(neighbour.id)
                    span.grow(step)
                    grown = True
    together = [passage for span in spans for passage in span.passages]
    return [
        Document(page_content=one.page_content, metadata={**one.metadata, "number": number}, id=one.id)
        for number, one in enumerate(together, start=1)
    ]


def is_neighbour(passage: Document) -> bool:
    """Whether a passage was not found itself, but stands beside one that was."""
    return "neighbour" in passage.metadata


@dataclass
class _Span:
    """So much of a section as is taken, from `first` to `last`."""

    section: Sequence[Document]
    first: int
    last: int

    @classmethod
    def around(cls, passage: Document, section: Sequence[Document]) -> _Span:
        place = next((place for place, one in enumerate(section) if one.id == passage.id), None)
        return cls([passage], 0, 0) if place is None else cls(section, place, place)

    @property
    def passages(self) -> Sequence[Document]:
        return self.section[self.first : self.last + 1]

    def next(self, step: int) -> Document | None:
        place = self.last + 1 if step > 0 else self.first - 1
        return self.section[place] if 0 <= place < len(self.section) else None

    def grow(self, step: int) -> None:
        if step > 0:
            self.last += 1
        else:
            self.first -= 1
