"""Answers a question: resolves follow-ups, runs the chain, and ties its text to the passages."""

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
    from kb_assistant.answering.follow_up import ResolvedQuestion
    from kb_assistant.answering.relevance.cross_lingual import CrossLingualSimilarity
    from kb_assistant.answering.stream import ChainRun
    from kb_assistant.llms.active_engine import ActiveEngine
    from vectorstore import Filter, Hit, Store, StoreRetriever

__all__ = ["MAX_QUESTION_CHARACTERS", "AnswerPipeline"]

MAX_QUESTION_CHARACTERS = 10_000
_PASSAGES_AFTER_REFUSAL = 3
"""How many of the nearest passages a refusal offers."""


class AnswerPipeline:
    """Answers from a store with the active engine. `collection` is a name; None means the one in the settings."""

    def __init__(
        self, store: Store, active_engine: ActiveEngine, notify: Callable[[Answer | BaseException], None]
    ) -> None:
        """Take the store, the engine with its settings, and a callback for each answer or what ended it."""
        self._store = store
        self._active_engine = active_engine
        self._notify = notify

    def search(self, question: str, limit: int, collection: str | None = None, only: Filter | None = None) -> list[Hit]:
        """Return the passages nearest to a question, the best first."""
        from vectorstore import Filter

        if limit < 1:
            raise UsageError(f"limit cannot be {limit}; it is 1 or more")
        return self._store.search(self._named(collection), _checked(question), limit, only or Filter())

    def relevance(self, question: str, hits: Sequence[Hit], collection: str) -> float:
        """Return how likely the hits hold the answer, 0 to 1; too low a value makes the chain refuse."""
        from kb_assistant.answering.relevance.judge import judge_relevance

        weights = self._store.term_weights(collection, question)
        return judge_relevance(question, weights, hits, self._active_engine.settings.refuse_below, self.similarity)[0]

    def nearest(self, question: str, collection: str | None = None, only: Filter | None = None) -> list[Hit]:
        """Return the passages that an answer starts from: as many as the settings say."""
        return self.search(question, self._active_engine.settings.passages, collection, only)

    def covered(self, question: str, collection: str | None, only: Filter | None) -> float:
        """Return the share of a question, 0 to 1, that the best passage covers."""
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
        from kb_assistant.answering.follow_up import resolve_follow_up
        from kb_assistant.answering.stream import ChainRun
        from vectorstore import from_documents

        text, written = _checked(question), False
        found = (lambda documents: on_passages(_first_sentences(from_documents(documents)))) if on_passages else None
        try:
            resolved = resolve_follow_up(text, history, lambda wording: self.covered(wording, collection, only))
            chain = self.chain(collection, resolved, only=only)
            inputs = {"query": resolved.question, "search_query": resolved.searched}
            run = ChainRun(chain, inputs, found, on_waiting, stop)
            with closing(run.pieces()) as pieces:
                for piece in pieces:
                    written = True
                    yield piece
            answer = self._answer(resolved, run, chain)
        except BaseException as error:
            self._notify(error)
            raise
        self._notify(answer)
        if not written:
            yield answer.text
        yield answer

    def retriever(
        self,
        collection: str | None = None,
        resolved: ResolvedQuestion | None = None,
        *,
        only: Filter | None = None,
        limit: int | None = None,
    ) -> StoreRetriever:
        """Return a retriever over a collection; with a resolved follow-up, it searches with its context too.

        Raises:
            UsageError: `limit` is below 1.
        """
        from kb_assistant.answering.retriever import KnowledgeBaseRetriever
        from vectorstore import Filter

        settings = self._active_engine.settings
        if limit is not None and limit < 1:
            raise UsageError(f"k is {limit}, but a retriever needs at least one passage; give k=1 or more")
        retriever = KnowledgeBaseRetriever(
            store=self._store,
            collection=self._named(collection),
            limit=limit or settings.passages,
            only=only or Filter(),
        )
        if resolved and resolved.certainty:
            retriever.weight = resolved.certainty
            retriever.wordings = resolved.wordings
            retriever.context = resolved.context
        return retriever

    def chain(
        self,
        collection: str | None = None,
        resolved: ResolvedQuestion | None = None,
        *,
        only: Filter | None = None,
        limit: int | None = None,
    ) -> KnowledgeBaseQA:
        """Return the `RetrievalQA` chain over that retriever, with the active engine."""
        from kb_assistant.answering.chain import build_chain
        from kb_assistant.answering.empty_search import explain_empty_search

        settings, name = self._active_engine.settings, self._named(collection)
        retriever = self.retriever(name, resolved, only=only, limit=limit)
        engine = self._active_engine.engine
        return build_chain(
            retriever,
            engine,
            term_weights=translated(partial(self._store.term_weights, name)),
            refuse_below=settings.refuse_below,
            context_tokens=settings.context_tokens or (engine.passage_tokens if engine else 0),
            section=partial(self._store.section, name),
            holds=partial(self._store.holds, name),
            similarity=self.similarity,
            explain_empty=partial(explain_empty_search, self._store, name, retriever.only),
        )

    @cached_property
    def similarity(self) -> CrossLingualSimilarity | None:
        """Compares texts across languages; None with the built-in vectors, which cannot."""
        from kb_assistant.answering.relevance.cross_lingual import CrossLingualSimilarity

        return CrossLingualSimilarity(self._store.embedder) if self._store.embedder.weight else None

    def _named(self, collection: str | None) -> str:
        return collection or self._active_engine.settings.collection

    def _answer(self, resolved: ResolvedQuestion, run: ChainRun, chain: KnowledgeBaseQA) -> Answer:
        from kb_assistant.answering.chain import is_refusal
        from kb_assistant.answering.grounding.ground import Grounded, ground
        from vectorstore import from_documents

        text, cited, refused = (run.result[key] for key in ("result", "citations", "refused"))
        hits = from_documents(run.result["source_documents"])
        if not refused:
            grounded = ground(text, hits, self.similarity) if cited is None else Grounded(text, cited)
            refused = is_refusal(text) or not grounded.citations
            text = chain.refusal(resolved.question, hits) if refused else grounded.text
        return Answer(
            question=resolved.question,
            text=text,
            refused=refused,
            engine=self._active_engine.name,
            citations=_first_sentences(hits)[:_PASSAGES_AFTER_REFUSAL] if refused else grounded.citations,
            timing=_timing(run),
            usage=run.usage,
            searched=resolved.searched,
            highlights=() if refused else run.result["highlights"],
            unsupported=() if refused else grounded.unsupported,
        )


def _timing(run: ChainRun) -> Timing:
    total = run.elapsed_s
    return Timing(round(run.retrieval_s or total, 4), round(run.first_token_s or total, 4), round(total, 4))


def _checked(question: str) -> str:
    text = question.strip()
    if not text:
        raise UsageError("the question is empty; ask something, such as: kb ask '年假有几天？'")
    if len(text) > MAX_QUESTION_CHARACTERS:
        raise UsageError(
            f"the question is {len(text):,} characters long, more than {MAX_QUESTION_CHARACTERS:,}; "
            "put long texts into a file, ingest it, and ask about it"
        )
    return text


def _first_sentences(hits: Iterable[Hit]) -> tuple[Citation, ...]:
    """Cite each hit by its first sentence."""
    from kb_assistant.answering.grounding.cite import cite, statements

    found = (hit for hit in hits if not hit.neighbour)
    cited = (cite(hit, *next(iter(statements(hit)), (0, 0))) for hit in found)
    return tuple(replace(citation, number=number) for number, citation in enumerate(cited, start=1))
