"""What `Assistant.ask` returns."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypedDict

if TYPE_CHECKING:
    from vectorstore import Filter

__all__ = ["Answer", "AskOptions", "Citation", "StreamOptions", "Timing", "Turn", "Usage"]


@dataclass(frozen=True, slots=True)
class Citation:
    """Where a sentence of an answer comes from.

    Attributes:
        number: the number that stands in the answer's text as [number].
        source: the file, as `kb sources` lists it.
        page: from 1, for formats that have pages; lines then count within the page.
        quote: the words themselves, as they stand in the document's text.
        score: the passage's similarity to the question, 0 to 1.
    """

    number: int
    source: str
    page: int | None
    line_start: int
    line_end: int
    heading: str
    quote: str
    score: float


@dataclass(frozen=True, slots=True)
class Timing:
    """Seconds since the question was put."""

    retrieval_s: float
    first_token_s: float
    total_s: float


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of the language model; zero where none was asked."""

    prompt_tokens: int = 0
    completion_tokens: int = 0


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer, or a refusal; then the citations are the nearest passages.

    Attributes:
        searched: what was searched: the question, a follow-up with what it leans on before it.
        highlights: the words in `text` that are the answer proper, as spans of characters.
        unsupported: what in `text` no passage supports, as spans of characters.
    """

    question: str
    text: str
    refused: bool
    engine: str
    citations: tuple[Citation, ...]
    timing: Timing
    usage: Usage
    searched: str
    highlights: tuple[tuple[int, int], ...] = ()
    unsupported: tuple[tuple[int, int], ...] = ()

    @property
    def turn(self) -> Turn:
        """The turn that this was, for the history of the next question."""
        first = next(iter(self.citations), None) if not self.refused else None
        return Turn(self.question, self.searched, f"{first.source} {first.heading}" if first else "")


@dataclass(frozen=True, slots=True)
class Turn:
    """A question of the conversation so far, what it was searched with, and where its answer was found."""

    question: str
    searched: str
    about: str = ""


class AskOptions(TypedDict, total=False):
    """Options of `Assistant.ask`.

    Attributes:
        collection: where to look; default: the collection that is set.
        history: the conversation so far, so that a follow-up is understood.
        only: only documents that meet this; see `kb_assistant.answering.filters`.
    """

    collection: str | None
    history: Sequence[Turn]
    only: Filter | None


class StreamOptions(AskOptions, total=False):
    """Options of `Assistant.stream`.

    Attributes:
        on_passages: called with the beginnings of the passages once they are found, before any text.
        on_waiting: called with how many other callers the engine answers first, when that changes.
        stop: ends the answer when it is set.
    """

    on_passages: Callable[[tuple[Citation, ...]], None] | None
    on_waiting: Callable[[int], None] | None
    stop: threading.Event | None
