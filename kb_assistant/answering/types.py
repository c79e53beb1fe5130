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
    """Where a sentence of an answer comes from: what users get, while `vectorstore.Hit` serves the search.

    Attributes:
        number: appears in the answer's text as [number].
        source: the document, as `kb sources` lists it.
        page: from 1, for formats that have pages; lines then count within the page.
        quote: the words of the document.
        score: how similar the passage is to the question, 0 to 1.
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
    """Seconds since the question was asked."""

    retrieval_s: float
    first_token_s: float
    total_s: float


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens that the language model read and wrote; 0 without a model."""

    prompt_tokens: int = 0
    completion_tokens: int = 0


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer, or a refusal, whose citations are the nearest passages.

    Attributes:
        searched: what was searched for: the question, or a follow-up with the earlier questions that it depends on.
        highlights: the spans of `text` that are the answer proper.
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
        """The turn for the history of the next question."""
        first = next(iter(self.citations), None) if not self.refused else None
        return Turn(self.question, self.searched, f"{first.source} {first.heading}" if first else "")


@dataclass(frozen=True, slots=True)
class Turn:
    """An earlier question of the conversation.

    Attributes:
        question: the question itself.
        searched: what was searched for.
        about: the document and heading that the answer came from; empty after a refusal.
    """

    question: str
    searched: str
    about: str = ""


class AskOptions(TypedDict, total=False):
    """Options of `Assistant.ask`.

    Attributes:
        collection: the collection to search; default: the one in the settings.
        history: the earlier turns of the conversation, which follow-ups need.
        only: only documents that meet this; see `kb_assistant.answering.filters`.
    """

    collection: str | None
    history: Sequence[Turn]
    only: Filter | None


class StreamOptions(AskOptions, total=False):
    """Options of `Assistant.stream`.

    Attributes:
        on_passages: called with the first sentences of the passages found, before any text.
        on_waiting: called with the number of callers that the engine serves first, whenever it changes.
        stop: ends the answer when it is set.
    """

    on_passages: Callable[[tuple[Citation, ...]], None] | None
    on_waiting: Callable[[int], None] | None
    stop: threading.Event | None
