"""The records that go into the catalogue and come out of it."""

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
    """A chunk to store.

    Attributes:
        text: the words themselves.
        context: what is embedded above the text: the document's title and the headings.
        heading: the headings above it, the topmost first.
        page: from 1, for formats that have pages.
        lines: (offset in `text`, the file's line that begins there), the first at 0.
        repeated: how many characters at the beginning of `text` repeat its table's header.
        char_start: where the rest of `text` begins in the document's text.
        char_end: where it ends in the document's text.
        link: the address that the file gives as its origin.
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
        """The text to embed: the chunk under its context."""
        return f"{self.context}\n{self.text}" if self.context else self.text


@dataclass(frozen=True, slots=True)
class NewSource:
    """A file to store, under the name that citations give it.

    `modified_ns` is the UNIX time of its last change; `replaces` is the path of the source that it replaces, if that
    has another path.
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
    """A collection, the model of its vectors, and a number that changes whenever the vectors do."""

    id: int
    name: str
    embedding: str
    generation: int


@dataclass(frozen=True, slots=True)
class CollectionInfo(Collection):
    """A collection with its counts; `passages` counts the distinct texts of its chunks."""

    sources: int
    chunks: int
    passages: int


@dataclass(frozen=True, slots=True)
class Filter:
    """The documents to search: those that meet every condition.

    Attributes:
        source: a pattern (`*`, `?`) for the name.
        suffixes: such as ".pdf", in lower case; the name needs one of them. Empty for any.
        since: the earliest day of the last change, in local time.
        until: the latest day of the last change.
    """

    source: str | None = None
    suffixes: tuple[str, ...] = ()
    since: date | None = None
    until: date | None = None

    def __bool__(self) -> bool:
        """Return whether it excludes anything."""
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
