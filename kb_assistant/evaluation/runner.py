"""Asks the questions of a set as a user would, and records the results."""

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
"""Called with (questions asked, questions in all, a name for the step)."""


class QuestionOptions(TypedDict, total=False):
    """Options of every run over a question set.

    Attributes:
        limit: the most questions to ask, drawn with a fixed seed; None for all.
        progress: called for each question.
    """

    limit: int | None
    progress: Progress


def ignore(*_: object) -> None:
    """Take progress, and do nothing with it."""


METHODS = ("bm25", "dense", "hybrid")
"""Retrieval methods: full text alone, vectors alone, and `Assistant.search`."""


class Located(Protocol):
    """A passage that was found, by whatever method."""

    @property
    def source(self) -> str:
        """The name of its document."""

    @property
    def page(self) -> int | None:
        """Its page, from 1."""

    @property
    def text(self) -> str:
        """The words themselves."""


@dataclass(frozen=True, slots=True)
class Asked:
    """The results of a question.

    Attributes:
        ranks: for each place among the first ten passages, the rank of its first passage.
        answer: the result of `Assistant.ask`.
        relevance: decides whether to refuse, 0 to 1.
        search_ms: the time that `Assistant.search` took.
        answer_ms: the time that `Assistant.ask` took.
    """

    question: Question
    ranks: tuple[int, ...]
    answer: Answer
    relevance: float
    search_ms: float
    answer_ms: float

    @property
    def said(self) -> str:
        """The answer's text; empty for a refusal."""
        return "" if self.answer.refused else self.answer.text

    @property
    def first_quote(self) -> str:
        """The answer's first quotation; empty for a refusal."""
        return "" if self.answer.refused or not self.answer.citations else self.answer.citations[0].quote


def ask_all(
    kb: KnowledgeBase, questions: Sequence[Question], collection: str, progress: Progress, doing: str
) -> list[Asked]:
    """Search for and answer every question, and return the results in the same order.

    The first question is asked once before, without timing, to load what is loaded only once.
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
    # The answer was judged by the same passages, but does not carry its relevance.
    relevant = kb.pipeline.relevance(question.text, hits[: kb.settings.passages], collection)
    return Asked(question, ranks_of(hits, question), answer, relevant, (found - started) * 1e3, (ended - found) * 1e3)


def rank_by(method: str, kb: KnowledgeBase, question: str, collection: str) -> Sequence[Located]:
    """Return the first ten passages that a method of `METHODS` finds, the best first.

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
    """Return the rank, from 1, of the first passage from each of the question's places that was found."""
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
    # Question sets name a file by its path in the folder, or by its name alone.
    return any(hit.source == name or hit.source.endswith(f"/{name}") for name in place.sources)


def milliseconds(values: Iterable[float]) -> tuple[float, float]:
    """Return the median and the 95th percentile."""
    found = np.fromiter(values, dtype=float)
    return (float(np.quantile(found, 0.5)), float(np.quantile(found, 0.95))) if len(found) else (0.0, 0.0)
