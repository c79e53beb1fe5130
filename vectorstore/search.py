"""Hybrid search: full text and vectors find passages, and a reranker, if there is one, reorders the best."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

import numpy as np
from sqlalchemy import Connection

from vectorstore.analysis import query_terms
from vectorstore.catalog import Catalog
from vectorstore.chroma import VectorIndex
from vectorstore.duplicates import Distinct
from vectorstore.embeddings import Embedder
from vectorstore.fulltext import MOST_OF_A_TERM, FullTextIndex
from vectorstore.fusion import blend
from vectorstore.hit import Hit
from vectorstore.passages import Passages
from vectorstore.records import EVERYTHING, Collection, Filter, Passage
from vectorstore.reranker import Reranker
from vectorstore.scores import coverage, similarity

__all__ = ["Search"]

_CANDIDATES = 50
"""How many passages each side finds, at least."""
_FEW = 2000
"""When a filter leaves no more passages than this, each is compared with the question: an index might miss them."""
_DEEPEST = 5000
"""The most vectors to ask Chroma for when a filter keeps few of those that it finds."""


class Search:
    """Finds the passages of a collection that are nearest to a question."""

    def __init__(self, catalog: Catalog, index: VectorIndex, embedder: Embedder, reranker: Reranker | None) -> None:
        """Take the parts that find and rank."""
        self._catalog = catalog
        self._index = index
        self._embedder = embedder
        self._reranker = reranker

    def hits(
        self,
        collection: Collection,
        question: str,
        limit: int,
        only: Filter = EVERYTHING,
        weights: Mapping[str, float] | None = None,
    ) -> list[Hit]:
        """Return the passages nearest to a question, the best first; see `Store.search`."""
        asked = query_terms(question)
        query = np.asarray(self._embedder.embed_query(question), dtype=np.float32)
        wanted = max(_CANDIDATES, 2 * limit)
        weight = self._embedder.weight
        with self._catalog.transaction() as connection:
            within = _Within(connection, self._catalog, self._index, collection, only)
            lexical = within.rank_by_terms(asked, wanted)
            weights = FullTextIndex(collection.id).weights(connection, asked) if weights is None else weights
            # Vectors of another version say nothing; vectors without weight only fill up what full text found.
            outdated = collection.embedding != self._embedder.model_id
            dense = [] if outdated or (not weight and len(lexical) >= wanted) else within.nearest(query, wanted)
            ids = list(dict.fromkeys([*dense, *(passage_id for passage_id, _ in lexical)]))
            hashes, alike = within.compare(query, ids) if weight else ({}, {})
            known = [passage_id for passage_id in ids if passage_id in hashes] if weight else ids
            cosines = {passage_id: alike.get(hashes[passage_id], 0.0) if weight else 0.0 for passage_id in known}
            blended = blend(lexical, MOST_OF_A_TERM * sum(weights.values()), cosines, weight)
            most = max(limit, self._reranker.candidates) if self._reranker else limit
            found = Passages(collection.id).first(
                connection, [passage_id for passage_id, _ in blended], most, only, Distinct().add
            )
        ordered, reranked = self._rerank(question, found)
        return [
            self._hit(rank, passage, weights, alike.get(passage.text_hash), reranked.get(passage.id))
            for rank, passage in enumerate(ordered[:limit], start=1)
        ]

    def full_text(self, collection: Collection, question: str, limit: int) -> list[Passage]:
        """Return the passages that full text alone finds, the best first."""
        with self._catalog.transaction() as connection:
            found = FullTextIndex(collection.id).search(connection, query_terms(question), limit)
            return Passages(collection.id).first(connection, [passage_id for passage_id, _ in found], limit)

    def vectors(self, collection: Collection, question: str, limit: int) -> list[Passage]:
        """Return the passages that vectors alone find, the nearest first."""
        found = self._index.search(collection, self._embedder.embed_query(question), limit)
        with self._catalog.transaction() as connection:
            return Passages(collection.id).first(connection, found, limit)

    def _rerank(self, question: str, found: list[Passage]) -> tuple[list[Passage], dict[int, float]]:
        """Return the passages with the best of them in the reranker's order, and its scores by passage id."""
        if not self._reranker:
            return found, {}
        best = found[: self._reranker.candidates]
        texts = [f"{passage.title or ''}\n{passage.text}".strip() for passage in best]
        ids = [passage.id for passage in best]
        scores = dict(zip(ids, self._reranker.scores(question, texts), strict=True))
        return [*sorted(best, key=lambda passage: -scores[passage.id]), *found[len(best) :]], scores

    def _hit(
        self, rank: int, passage: Passage, weights: Mapping[str, float], cosine: float | None, reranked: float | None
    ) -> Hit:
        searched = (passage.source, passage.title or "", *passage.heading, passage.text)
        covered = coverage(weights, " ".join(searched))
        blended = self._embedder.weight * (cosine or 0.0) + (1 - self._embedder.weight) * covered
        score = round(blended if reranked is None else reranked, 4)
        return Hit.of(passage, rank=rank, score=score, coverage=covered, cosine=cosine)


class _Within:
    """What one search may find, in one transaction: the passages of a collection that meet a filter."""

    def __init__(
        self, connection: Connection, catalog: Catalog, index: VectorIndex, collection: Collection, only: Filter
    ) -> None:
        self._connection = connection
        self._catalog = catalog
        self._index = index
        self._collection = collection
        self._only = only
        self._passages = Passages(collection.id)
        few = self._passages.matching(connection, only, _FEW + 1) if only else None
        self._few = few if few is None or len(few) <= _FEW else None

    def rank_by_terms(self, asked: Sequence[str], limit: int) -> list[tuple[int, float]]:
        """Return (passage id, BM25), the best first."""
        full_text = FullTextIndex(self._collection.id)
        if self._few is not None:
            return full_text.rank(self._connection, asked, self._few)[:limit]
        keep = partial(self._passages.among, self._connection, only=self._only) if self._only else None
        return full_text.search(self._connection, asked, limit, keep)

    def nearest(self, query: np.ndarray, limit: int) -> list[int]:
        """Return the ids of the passages nearest to a vector, the nearest first."""
        if self._few is not None:
            hashes, alike = self.compare(query, self._few)
            near = {passage_id: alike[text] for passage_id, text in hashes.items() if text in alike}
            return sorted(near, key=lambda passage_id: (-near[passage_id], passage_id))[:limit]
        if not self._only:
            return self._index.search(self._collection, query.tolist(), limit)
        # Chroma knows nothing of documents: ask it for more until enough of what it finds meets the filter.
        wanted = 4 * limit
        while True:
            found = self._index.search(self._collection, query.tolist(), wanted)
            kept = self._passages.among(self._connection, found, self._only)
            if len(kept) >= limit or len(found) < wanted or wanted >= _DEEPEST:
                return kept[:limit]
            wanted *= 4

    def compare(self, query: np.ndarray, ids: Sequence[int]) -> tuple[dict[int, bytes], dict[bytes, float]]:
        """Return the text hashes of the passages by id, and the cosines of a vector and theirs by text hash."""
        hashes = self._catalog.hashes(self._connection, ids)
        model, texts = self._collection.embedding, list(set(hashes.values()))
        vectors = self._catalog.vectors.find(self._connection, model, texts)
        return hashes, {text: similarity(query, vector) for text, vector in vectors.items()}
