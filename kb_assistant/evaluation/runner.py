"""Asks the questions of a set, through the assistant's own search and answers, and notes what came."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from kb_assistant.answering.types import Answer
from kb_assistant.assistant import Assistant
from kb_assistant.evaluation.metrics import CUTOFF, contains
from kb_assistant.evaluation.questions import Place, Question
from vectorstore import query_terms
from vectorstore.fulltext import FullTextIndex
from vectorstore.passages import Passages

__all__ = ["METHODS", "Asked", "Located", "Progress", "ask_all", "milliseconds", "rank_by", "ranks_of"]

Progress = Callable[[int, int, str], None]
"""Called with (questions asked, questions in all, what is being done)."""

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
    assistant: Assistant, questions: Sequence[Question], collection: str, progress: Progress, doing: str
) -> list[Asked]:
    """Search for and answer every question, and return what came, in the same order.

    One search and one answer come first and are not timed: they load what is loaded once.
    """
    if questions:
        _ask(assistant, questions[0], collection)
    results = []
    for number, question in enumerate(questions, start=1):
        results.append(_ask(assistant, question, collection))
        progress(number, len(questions), doing)
    return results


def _ask(assistant: Assistant, question: Question, collection: str) -> Asked:
    started = time.perf_counter()
    hits = assistant.search(question.text, limit=CUTOFF, collection=collection)
    found = time.perf_counter()
    answer = assistant.ask(question.text, collection=collection)
    ended = time.perf_counter()
    # The answer was judged by the same passages, and does not say how.
    relevant = assistant._answering.relevance(question.text, hits[: assistant.settings.passages], collection)
    return Asked(question, ranks_of(hits, question), answer, relevant, (found - started) * 1e3, (ended - found) * 1e3)


def rank_by(method: str, assistant: Assistant, question: str, collection: str) -> Sequence[Located]:
    """Return the first ten passages that one of `METHODS` finds, the best first.

    Raises:
        ValueError: there is no such method.
    """
    if method == "hybrid":
        return assistant.search(question, limit=CUTOFF, collection=collection)
    if method not in METHODS:
        raise ValueError(f"unknown method {method!r}; there are: {', '.join(METHODS)}")
    store = assistant._store
    info = store.catalog.collection(collection)
    ids: list[int] = []
    if method == "dense":
        ids = store._index.search(info, store.embedder.embed_query(question), CUTOFF)
    with store.catalog.transaction() as connection:
        if method == "bm25":
            ids = [one for one, _ in FullTextIndex(info.id).search(connection, query_terms(question), CUTOFF)]
        found = Passages(info.id).find(connection, ids)
    return [found[one] for one in ids if one in found]


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
