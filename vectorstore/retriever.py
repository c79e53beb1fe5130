"""The store as a LangChain retriever."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from langchain_core.callbacks import CallbackManagerForRetrieverRun
from langchain_core.documents import Document
from langchain_core.retrievers import BaseRetriever
from pydantic import ConfigDict

from vectorstore.duplicates import Distinct
from vectorstore.hybrid import Hit, fuse
from vectorstore.records import EVERYTHING, Filter, StoredChunk
from vectorstore.store import Store

__all__ = ["StoreRetriever", "as_document"]

_DEEP = 30
"""How many passages each of several wordings is searched for, at least."""


class StoreRetriever(BaseRetriever):
    """Finds the `limit` passages of a collection that are nearest to a question, the best first.

    Attributes:
        only: which documents are searched.
        also: other wordings of the question with their weights, 0 to 1; what all find is fused. A passage's
            coverage and score are then the largest that a wording gives it, times the weight of the wording.
        weight: of the question itself among them.
        context: texts with weights that passages are ranked by as well, but not judged by.
    """

    model_config = ConfigDict(arbitrary_types_allowed=True)

    store: Any  # a Store; pydantic would copy it by its annotation
    collection: str
    limit: int
    only: Filter = EVERYTHING
    also: tuple[tuple[float, str], ...] = ()
    weight: float = 1.0
    context: tuple[tuple[float, str], ...] = ()

    def _get_relevant_documents(self, query: str, *, run_manager: CallbackManagerForRetrieverRun) -> list[Document]:
        if not (self.also or self.context):
            return [as_document(hit) for hit in self._search(query, self.limit)]
        wordings = ((self.weight, query), *self.also)
        deep = max(_DEEP, 2 * self.limit)
        judged = [(weight, self._search(text, deep)) for weight, text in wordings]
        others = [(weight, self._search(text, deep)) for weight, text in self.context]
        distinct = Distinct()
        hits = [hit for hit in _fused(judged, others) if distinct.add(hit)][: self.limit]
        return [as_document(replace(hit, rank=rank)) for rank, hit in enumerate(hits, start=1)]

    def section(self, passage: Document, reach: int) -> list[Document]:
        """Return a passage that was found and up to `reach` to either side of it in its section, in order.

        The others have its number, score and coverage, and say of themselves that they are its `neighbour`.
        """
        store: Store = self.store
        around = store.section(self.collection, int(passage.id or 0), reach)
        return [passage if str(one.id) == passage.id else _neighbour(passage, one) for one in around]

    def _search(self, query: str, limit: int) -> list[Hit]:
        store: Store = self.store
        return store.search(self.collection, query, limit, self.only)


def _fused(judged: Sequence[tuple[float, Sequence[Hit]]], others: Sequence[tuple[float, Sequence[Hit]]]) -> list[Hit]:
    """The hits of all (weight, hits) rankings as one, with the best weighted coverage and score of those `judged`."""
    rankings = [*judged, *others]
    hits = {hit.chunk_id: hit for _, ranking in reversed(rankings) for hit in ranking}
    coverage, score = dict.fromkeys(hits, 0.0), dict.fromkeys(hits, 0.0)
    for weight, ranking in judged:
        for hit in ranking:
            coverage[hit.chunk_id] = max(coverage[hit.chunk_id], weight * hit.coverage)
            score[hit.chunk_id] = max(score[hit.chunk_id], weight * hit.score)
    order = fuse([(weight, [hit.chunk_id for hit in ranking]) for weight, ranking in rankings])
    return [
        replace(hits[key], rank=rank, coverage=coverage[key], score=round(score[key], 4))
        for rank, key in enumerate(order, start=1)
    ]


def _neighbour(passage: Document, chunk: StoredChunk) -> Document:
    own = {"page": chunk.page, "lines": [list(mark) for mark in chunk.lines], "link": chunk.link, "neighbour": True}
    return Document(page_content=chunk.text, metadata={**passage.metadata, **own}, id=str(chunk.id))


def as_document(hit: Hit) -> Document:
    """Return a hit as a LangChain document, what is known of it in the metadata."""
    metadata = {
        "number": hit.rank,
        "source": hit.source,
        "title": hit.title or "",
        "heading": " › ".join(hit.heading),
        "page": hit.page,
        "lines": [list(mark) for mark in hit.lines],
        "score": hit.score,
        "coverage": hit.coverage,
        "link": hit.link,
        "cosine": hit.cosine,
    }
    return Document(page_content=hit.text, metadata=metadata, id=str(hit.chunk_id))
