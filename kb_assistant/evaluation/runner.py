"""Asks the questions of a set as a user would, and notes what came."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol, TypedDict

import numpy as np

from kb_assistant.answering.knowledge_base import KnowledgeBase
from kb_assistant.answering.types import Answer
from kb_assistant.evaluation.metrics import CUTOFF, contains
from kb_assistant.evaluation.questions import Place, Question

__all__ = [
    "METHODS",
    "Asked",
    "Located",
    "Progress",
    "QuestionOptions",
    "ask_all",
    "ignore",
    "milliseconds",
    "rank_by",
    "ranks_of",
]

Progress = Callable[[int, int, str], None]
"""Called with (questions asked, questions in all, what is being done)."""


class QuestionOptions(TypedDict, total=False):
    """Options of every run over a question set.

    Attributes:
        limit: most questions asked, drawn with a fixed seed; None for all.
        progress: called for each question.
    """

    limit: int | None
    progress: Progress


def ignore(*_: object) -> None:
    """Take progress, and do nothing with it."""


METHODS = ("bm25", "dense", "hybrid")
"""Ways to find passages: full text alone, vectors alone, and what `Assistant.search` gives."""


class Located(Protocol):
    """A passage that was found."""

    @property
    def source(self) -> str:
        """The name of its document."""

    @property
    def page(self) -> int | None:
        """Its page, from 1."""

    @property
    def text(self) -> str:
        """What it says."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What came of one question.

    Attributes:
        ranks: of each place that is among the first ten passages, the rank of its first one.
        answer: what `Assistant.ask` gave.
        relevance: what the refusal was decided by, 0 to 1.
        search_ms: how long `Assistant.search` took.
        answer_ms: how long `Assistant.ask` took.
    """

    question: Question
    ranks: tuple[int, ...]
    answer: Answer
    relevance: float
    search_ms: float
    answer_ms: float

    @property
    def said(self) -> str:
        """The answer's words; none where it is a refusal."""
        return "" if self.answer.refused else self.answer.text

    @property
    def first_quote(self) -> str:
        """The words that the answer quotes first; none where it is a refusal."""
        return "" if self.answer.refused or not self.answer.citations else self.answer.citations[0].quote


def ask_all(
    kb: KnowledgeBase, questions: Sequence[Question], collection: str, progress: Progress, doing: str
) -> list[Asked]:
    """Search for and answer every question, and return what came, in the same order.

    One search and one answer come first and are not timed: they load what is loaded once.
    """
    if questions:
        _ask(kb, questions[0], collection)
    results = []
    for number, question in enumerate(questions, start=1):
        results.append(_ask(kb, question, collection))
        progress(number, len(questions), doing)
    return results


def _ask(kb: KnowledgeBase, question: Question, collection: str) -> Asked:
    started = time.perf_counter()
    hits = kb.pipeline.search(question.text, CUTOFF, collection)
    found = time.perf_counter()
    answer = kb.pipeline.ask(question.text, collection=collection)
    ended = time.perf_counter()
    # The answer was judged by the same passages, and does not say how.
    relevant = kb.pipeline.relevance(question.text, hits[: kb.settings.passages], collection)
    return Asked(question, ranks_of(hits, question), answer, relevant, (found - started) * 1e3, (ended - found) * 1e3)


def rank_by(method: str, kb: KnowledgeBase, question: str, collection: str) -> Sequence[Located]:
    """Return the first ten passages that one of `METHODS` finds, the best first.

    Raises:
        ValueError: there is no such method.
    """
    if method == "hybrid":
        return kb.pipeline.search(question, CUTOFF, collection)
    if method not in METHODS:
        raise ValueError(f"unknown method {method!r}; there are: {', '.join(METHODS)}")
    find = kb.store.search_vectors if method == "dense" else kb.store.search_full_text
    return find(collection, question, CUTOFF)


def ranks_of(hits: Iterable[Located], question: Question) -> tuple[int, ...]:
    """Return of each of the question's places that was found the rank, from 1, of its first passage."""
    ranks: dict[int, int] = {}
    for rank, hit in enumerate(hits, start=1):
        for number, place in enumerate(question.places):
            if number not in ranks and _holds(place, hit, question):
                ranks[number] = rank
    return tuple(sorted(ranks.values()))


def _holds(place: Place, hit: Located, question: Question) -> bool:
    if place.page is not None and hit.page != place.page:
        return False
    if not place.sources:
        return bool(contains(hit.text, question.answers))
    # A file may be named as it lies in the folder, or by its name alone.
    return any(hit.source == name or hit.source.endswith(f"/{name}") for name in place.sources)


def milliseconds(values: Iterable[float]) -> tuple[float, float]:
    """Return the median and the 95th percentile."""
    found = np.fromiter(values, dtype=float)
    return (float(np.quantile(found, 0.5)), float(np.quantile(found, 0.95))) if len(found) else (0.0, 0.0)
