"""Answers a question: settles what is asked, runs the chain, and ties its text to the passages."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from functools import cached_property, partial
from typing import TYPE_CHECKING

from kb_assistant.answering.types import Answer, Citation, Timing, Turn
from kb_assistant.errors import UsageError, translated

if TYPE_CHECKING:
    from kb_assistant.answering.chain import KnowledgeBaseQA
    from kb_assistant.answering.follow_up import Asked
    from kb_assistant.answering.relevance.cross_lingual import CrossLingualSimilarity
    from kb_assistant.answering.stream import ChainRun
    from kb_assistant.llms.active_engine import EngineInUse
    from vectorstore import Filter, Hit, Store, StoreRetriever

__all__ = ["MAX_QUESTION_CHARACTERS", "Answering"]

MAX_QUESTION_CHARACTERS = 10_000
_OFFERED = 3
"""How many of the nearest passages a refusal offers."""


class Answering:
    """Answers from a store with the engine in use; collections are given by name, or None for the one set."""

    def __init__(self, store: Store, in_use: EngineInUse, tell: Callable[[Answer | BaseException], None]) -> None:
        """Take the store, the engine with its settings, and what is called with each answer or what ended it."""
        self._store = store
        self._in_use = in_use
        self._tell = tell

    def search(self, question: str, limit: int, collection: str | None = None, only: Filter | None = None) -> list[Hit]:
        """Return the passages nearest to a question, the best first."""
        from vectorstore import Filter

        if limit < 1:
            raise UsageError(f"limit cannot be {limit}; it is 1 or more")
        name = collection or self._in_use.settings.collection
        return self._store.search(name, _checked(question), limit, only or Filter())

    def relevance(self, question: str, hits: Sequence[Hit], collection: str) -> float:
        """Return what a refusal is decided by: how likely passages that were found hold the answer, 0 to 1."""
        from kb_assistant.answering.relevance.judge import judge_relevance

        weights = self._store.term_weights(collection, question)
        return judge_relevance(question, weights, hits, self._in_use.settings.refuse_below, self.similarity)[0]

    def nearest(self, question: str, collection: str | None = None, only: Filter | None = None) -> list[Hit]:
        """Return as many of the nearest passages as an answer begins with."""
        return self.search(question, self._in_use.settings.passages, collection, only)

    def covered(self, question: str, collection: str | None, only: Filter | None) -> float:
        """Return the share of a question, 0 to 1, that the passage nearest to it covers."""
        return max((hit.coverage for hit in self.nearest(question, collection, only)), default=0.0)

    def ask(
        self,
        question: str,
        *,
        collection: str | None = None,
        history: Sequence[Turn] = (),
        only: Filter | None = None,
    ) -> Answer:
        """Answer a question; see `stream`."""
        *_, answer = self.stream(question, collection=collection, history=history, only=only)
        assert isinstance(answer, Answer)  # a stream ends with its answer, or raises
        return answer

    def stream(
        self,
        question: str,
        *,
        collection: str | None = None,
        history: Sequence[Turn] = (),
        only: Filter | None = None,
        on_passages: Callable[[tuple[Citation, ...]], None] | None = None,
        on_waiting: Callable[[int], None] | None = None,
        stop: threading.Event | None = None,
    ) -> Iterator[str | Answer]:
        """Yield the answer's text as it is written, then the `Answer`; see `Assistant.stream`."""
        from kb_assistant.answering.follow_up import settle
        from kb_assistant.answering.stream import ChainRun
        from vectorstore import from_documents

        words, written = _checked(question), False
        found = (lambda documents: on_passages(_beginnings(from_documents(documents)))) if on_passages else None
        try:
            asked = settle(words, history, lambda wording: self.covered(wording, collection, only))
            chain = self.chain(collection, asked, only)
            run = ChainRun(chain, {"query": asked.question, "search_query": asked.searched}, found, on_waiting, stop)
            with closing(run.pieces()) as pieces:
                for piece in pieces:
                    written = True
                    yield piece
            answer = self._answer(asked, run, chain)
        except BaseException as error:
            self._tell(error)
            raise
        self._tell(answer)
        if not written:
            yield answer.text
        yield answer

    def retriever(
        self, collection: str | None, asked: Asked | None = None, only: Filter | None = None
    ) -> StoreRetriever:
        """Return what finds the passages for a question, or for any."""
        from kb_assistant.answering.retriever import KnowledgeBaseRetriever

        settings = self._in_use.settings
        name = collection or settings.collection
        retriever = KnowledgeBaseRetriever(store=self._store, collection=name, limit=settings.passages)
        if only:
            retriever.only = only
        if asked and asked.leaning:
            wordings = {"weight": asked.leaning, "also": asked.also, "context": asked.context}
            return retriever.model_copy(update=wordings)
        return retriever

    def chain(self, collection: str | None, asked: Asked | None = None, only: Filter | None = None) -> KnowledgeBaseQA:
        """Return the `RetrievalQA` chain over that retriever, with the engine in use."""
        from kb_assistant.answering.chain import build_chain

        settings = self._in_use.settings
        name = collection or settings.collection
        retriever = self.retriever(collection, asked, only)
        engine = self._in_use.engine
        return build_chain(
            retriever,
            engine,
            term_weights=translated(partial(self._store.term_weights, name)),
            refuse_below=settings.refuse_below,
            context_tokens=settings.context_tokens or (engine.passage_tokens if engine else 0),
            section=partial(self._store.section, name),
            holds=lambda words: self._store.holds(name, words),
            similarity=self.similarity,
        )

    @cached_property
    def similarity(self) -> CrossLingualSimilarity | None:
        """How alike texts of different languages are; None with the built-in vectors, which know nothing of it."""
        from kb_assistant.answering.relevance.cross_lingual import CrossLingualSimilarity

        return CrossLingualSimilarity(self._store.embedder) if self._store.embedder.weight else None

    def _answer(self, asked: Asked, run: ChainRun, chain: KnowledgeBaseQA) -> Answer:
        from kb_assistant.answering.chain import is_refusal
        from kb_assistant.answering.grounding.ground import Grounded, ground
        from vectorstore import from_documents

        text = run.result["result"]
        passages = from_documents(run.result["source_documents"])
        cited = run.result["citations"]
        grounded = ground(text, passages, self.similarity) if cited is None else Grounded(text, cited)
        refused = run.result["refused"] or is_refusal(text) or not grounded.citations
        timing = Timing(
            round(run.retrieval_s or run.elapsed_s, 4),
            round(run.first_token_s or run.elapsed_s, 4),
            round(run.elapsed_s, 4),
        )
        return Answer(
            question=asked.question,
            text=chain.refusal(asked.question) if refused else grounded.text,
            refused=refused,
            engine=self._in_use.name,
            citations=_beginnings(passages)[:_OFFERED] if refused else grounded.citations,
            timing=timing,
            usage=run.usage,
            searched=asked.searched,
            highlights=() if refused else run.result["highlights"],
            unsupported=() if refused else grounded.unsupported,
        )


def _checked(question: str) -> str:
    words = question.strip()
    if not words:
        raise UsageError("the question is empty; ask something, such as: kb ask '年假有几天？'")
    if len(words) > MAX_QUESTION_CHARACTERS:
        raise UsageError(
            f"the question is {len(words):,} characters long, more than {MAX_QUESTION_CHARACTERS:,}; "
            "put long texts into a file, ingest it, and ask about it"
        )
    return words


def _beginnings(passages: Iterable[Hit]) -> tuple[Citation, ...]:
    """Each passage, cited by its first sentence."""
    from kb_assistant.answering.grounding.cite import cite, statements

    found = (passage for passage in passages if not passage.neighbour)
    cited = (cite(passage, *next(iter(statements(passage)), (0, 0))) for passage in found)
    return tuple(replace(one, number=number) for number, one in enumerate(cited, start=1))
