"""What goes into the catalogue and what comes out of it."""

from __future__ import annotations

import hashlib
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from operator import itemgetter

__all__ = [
    "EVERYTHING",
    "Collection",
    "CollectionInfo",
    "Filter",
    "NewChunk",
    "NewSource",
    "Passage",
    "SourceInfo",
    "line_at",
    "text_hash",
]


@dataclass(frozen=True, slots=True)
class NewChunk:
    """A chunk to be stored.

    Attributes:
        text: what it says.
        context: what it is embedded under, such as its document's title and its headings.
        heading: the headings above it, the topmost first.
        page: the page it is on, if there are pages.
        lines: (offset in `text`, the file's line that begins there), the first at 0.
        repeated: how many characters of `text` stand elsewhere: the repeated header of a table.
        char_start: where the rest begins in the document's text.
        char_end: where it ends there.
        link: an address given as its origin.
    """

    text: str
    context: str
    heading: tuple[str, ...]
    page: int | None
    lines: tuple[tuple[int, int], ...]
    char_start: int
    char_end: int
    repeated: int = 0
    link: str | None = None

    @property
    def indexed_text(self) -> str:
        """What is embedded: the text under its context."""
        return f"{self.context}\n{self.text}" if self.context else self.text


@dataclass(frozen=True, slots=True)
class NewSource:
    """A file to be stored, under the name that it is cited by.

    `modified_ns` is when it was changed, as UNIX time; `replaces` is the path of the source whose place it takes,
    if that is not its own.
    """

    name: str
    path: str
    content_hash: str
    made_with: str
    status: str
    title: str | None
    pages: int | None
    notes: tuple[str, ...]
    chunks: tuple[NewChunk, ...]
    modified_ns: int | None = None
    replaces: str | None = None


@dataclass(frozen=True, slots=True)
class SourceInfo:
    """A stored file, without its chunks."""

    id: int
    name: str
    path: str
    content_hash: str
    made_with: str
    status: str
    title: str | None
    pages: int | None
    notes: tuple[str, ...]
    chunks: int
    modified_ns: int | None = None


@dataclass(frozen=True, slots=True)
class Collection:
    """A collection: the model that its vectors come from, and a number that moves when they change."""

    id: int
    name: str
    embedding: str
    generation: int


@dataclass(frozen=True, slots=True)
class CollectionInfo(Collection):
    """A collection, and how much it holds; `passages` are the distinct texts of its chunks."""

    sources: int
    chunks: int
    passages: int


@dataclass(frozen=True, slots=True)
class Filter:
    """Which documents are searched: those that meet all of it.

    Attributes:
        source: a pattern (`*`, `?`) that their names match.
        suffixes: endings such as ".pdf", in lower case, one of which their names have; empty for any.
        since: the first day on which their files may have been changed last, in local time.
        until: the last such day.
    """

    source: str | None = None
    suffixes: tuple[str, ...] = ()
    since: date | None = None
    until: date | None = None

    def __bool__(self) -> bool:
        """Whether it keeps anything out."""
        return self != EVERYTHING


EVERYTHING = Filter()


@dataclass(frozen=True, slots=True, kw_only=True)
class Passage:
    """A stored chunk, with all that is needed to read it, widen it and cite it.

    Unlike `NewChunk`, it has the name of its document, and no offsets into a text that is no longer at hand.

    Attributes:
        id: of the chunk; negative for a passage that another retriever found.
        source: the name of its document.
        title: the title of its document.
        text: the words themselves.
        heading: the headings above it, the topmost first.
        page: from 1, for formats that have pages.
        lines: (offset in `text`, the file's line that begins there), the first at 0.
        repeated: how many characters at the beginning of `text` repeat its table's header.
        link: the address that the file gives as its origin.
        text_hash: the key of its vector.
    """

    id: int
    source: str
    title: str | None = None
    text: str
    heading: tuple[str, ...] = ()
    page: int | None = None
    lines: tuple[tuple[int, int], ...] = ((0, 1),)
    repeated: int = 0
    link: str | None = None
    text_hash: bytes = b""

    @property
    def heading_path(self) -> str:
        """The headings above it in one line."""
        return " › ".join(self.heading)

    @property
    def line_start(self) -> int:
        """The first line of the passage in its file."""
        return self.line_at(self.repeated)

    @property
    def line_end(self) -> int:
        """The last line of the passage in its file."""
        return self.lines[-1][1]

    def line_at(self, offset: int) -> int:
        """Return the file's line on which `text[offset]` stands."""
        return line_at(self.lines, offset)


def line_at(lines: Sequence[tuple[int, int]], offset: int) -> int:
    """Return the file's line on which `offset` stands, for a text whose lines begin as `lines` says."""
    return lines[bisect_right(lines, offset, key=itemgetter(0)) - 1][1]


def text_hash(text: str) -> bytes:
    """Return the key under which the vector of `text` is kept."""
    return hashlib.sha256(text.encode()).digest()[:16]
