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
from vectorstore.hit import Hit
from vectorstore.hybrid import fuse
from vectorstore.records import EVERYTHING, Filter
from vectorstore.store import Store

__all__ = ["StoreRetriever"]

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

    def _get_relevant_documents(
        self, query: str, *, run_manager: CallbackManagerForRetrieverRun, weights: Mapping[str, float] | None = None
    ) -> list[Document]:
        """Find passages; `weights` are those of `Store.term_weights` where the caller has them already."""
        if not (self.also or self.context):
            return [as_document(hit) for hit in self._search(query, self.limit, weights)]
        deep = max(_DEEP, 2 * self.limit)
        judged = [(self.weight, self._search(query, deep, weights))]
        judged += [(weight, self._search(text, deep)) for weight, text in self.also]
        others = [(weight, self._search(text, deep)) for weight, text in self.context]
        distinct = Distinct()
        hits = [hit for hit in _fused(judged, others) if distinct.add(hit)][: self.limit]
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


def _fused(judged: Sequence[tuple[float, Sequence[Hit]]], others: Sequence[tuple[float, Sequence[Hit]]]) -> list[Hit]:
    """The hits of all (weight, hits) rankings as one, with the best weighted coverage and score of those `judged`."""
    rankings = [*judged, *others]
    hits = {hit.id: hit for _, ranking in reversed(rankings) for hit in ranking}
    coverage, score = dict.fromkeys(hits, 0.0), dict.fromkeys(hits, 0.0)
    for weight, ranking in judged:
        for hit in ranking:
            coverage[hit.id] = max(coverage[hit.id], weight * hit.coverage)
            score[hit.id] = max(score[hit.id], weight * hit.score)
    order = fuse([(weight, [hit.id for hit in ranking]) for weight, ranking in rankings])
    return [
        replace(hits[key], rank=rank, coverage=coverage[key], score=round(score[key], 4))
        for rank, key in enumerate(order, start=1)
    ]
