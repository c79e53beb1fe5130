"""The store as a LangChain retriever."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from langchain_core.callbacks import AsyncCallbackManagerForRetrieverRun, CallbackManagerForRetrieverRun
from langchain_core.documents import Document
from langchain_core.retrievers import BaseRetriever
from langchain_core.runnables import run_in_executor
from pydantic import ConfigDict

from vectorstore.documents import as_document
from vectorstore.duplicates import Distinct
from vectorstore.fusion import fuse
from vectorstore.hit import Hit
from vectorstore.records import EVERYTHING, Filter
from vectorstore.store import Store

__all__ = ["StoreRetriever"]

_DEPTH = 30
"""How many passages to find at least for each of several wordings."""


class StoreRetriever(BaseRetriever):
    """Finds the `limit` passages of a collection that are nearest to a question, the best first.

    Attributes:
        store: the store to search.
        collection: the name of the collection to search.
        limit: how many passages to return at most.
        only: which documents to search.
        wordings: (weight, text) of other wordings of the question, weights from 0 to 1; the results are fused. The
            coverage and score of a passage are the largest over all wordings, each times its weight.
        weight: the weight of the question itself among the wordings.
        context: (weight, text) of texts that influence the ranking, but not coverage and score.
    """

    model_config = ConfigDict(arbitrary_types_allowed=True)

    store: Any  # a Store; pydantic would copy it by its annotation
    collection: str
    limit: int
    only: Filter = EVERYTHING
    wordings: tuple[tuple[float, str], ...] = ()
    weight: float = 1.0
    context: tuple[tuple[float, str], ...] = ()

    def _get_relevant_documents(
        self, query: str, *, run_manager: CallbackManagerForRetrieverRun, weights: Mapping[str, float] | None = None
    ) -> list[Document]:
        """Find passages; `weights` are those of `Store.term_weights` where the caller has them already."""
        if not (self.wordings or self.context):
            return [as_document(hit) for hit in self._search(query, self.limit, weights)]
        depth = max(_DEPTH, 2 * self.limit)
        scored = [(self.weight, self._search(query, depth, weights))]
        scored += [(weight, self._search(text, depth)) for weight, text in self.wordings]
        unscored = [(weight, self._search(text, depth)) for weight, text in self.context]
        distinct = Distinct()
        hits = [hit for hit in _fused(scored, unscored) if distinct.add(hit)][: self.limit]
        return [as_document(replace(hit, rank=rank)) for rank, hit in enumerate(hits, start=1)]

    async def _aget_relevant_documents(
        self,
        query: str,
        *,
        run_manager: AsyncCallbackManagerForRetrieverRun,
        weights: Mapping[str, float] | None = None,
    ) -> list[Document]:
        search = partial(self._get_relevant_documents, query, run_manager=run_manager.get_sync(), weights=weights)
        return await run_in_executor(None, search)

    def _search(self, query: str, limit: int, weights: Mapping[str, float] | None = None) -> list[Hit]:
        store: Store = self.store
        return store.search(self.collection, query, limit, self.only, weights)


def _fused(scored: Sequence[tuple[float, Sequence[Hit]]], unscored: Sequence[tuple[float, Sequence[Hit]]]) -> list[Hit]:
    """Fuse (weight, hits) rankings; coverage and score are the best weighted ones of the `scored` rankings."""
    rankings = [*scored, *unscored]
    hits = {hit.id: hit for _, ranking in reversed(rankings) for hit in ranking}
    coverage, score = dict.fromkeys(hits, 0.0), dict.fromkeys(hits, 0.0)
    for weight, ranking in scored:
        for hit in ranking:
            coverage[hit.id] = max(coverage[hit.id], weight * hit.coverage)
            score[hit.id] = max(score[hit.id], weight * hit.score)
    order = fuse([(weight, [hit.id for hit in ranking]) for weight, ranking in rankings])
    return [
        replace(hits[key], rank=rank, coverage=coverage[key], score=round(score[key], 4))
        for rank, key in enumerate(order, start=1)
    ]
