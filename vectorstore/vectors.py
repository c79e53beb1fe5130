"""The vectors that the catalogue keeps, by embedding model and text: the cache that Chroma is filled from."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Protocol

import numpy as np
from sqlalchemy import Connection, delete, exists, insert, select

from vectorstore.records import NewChunk
from vectorstore.schema import passages, vectors

__all__ = ["Vectors"]

_BATCH = 500
_AT_A_TIME = 4_000


class Transaction(Protocol):
    """Begins a transaction; see `Catalog.transaction`."""

    def __call__(self, *, writes: bool = False) -> AbstractContextManager[Connection]:
        """Begin it."""


class Vectors:
    """The kept vectors of all models and texts."""

    def __init__(self, transaction: Transaction) -> None:
        """Take what begins the catalogue's transactions."""
        self._transaction = transaction

    def missing(self, model: str, hashes: Sequence[bytes]) -> set[bytes]:
        """Return the text hashes for which no vector of the model is kept yet."""
        with self._transaction() as connection:
            return set(hashes) - set(self.find(connection, model, hashes))

    def add(self, model: str, rows: Iterable[tuple[bytes, np.ndarray]]) -> None:
        """Keep (text hash, vector) rows."""
        values = [
            {"model": model, "text_hash": key, "vector": vector.astype(np.float32).tobytes()} for key, vector in rows
        ]
        if values:
            with self._transaction(writes=True) as connection:
                connection.execute(insert(vectors).prefix_with("OR IGNORE", dialect="sqlite"), values)

    def find(self, connection: Connection, model: str, hashes: Sequence[bytes]) -> dict[bytes, np.ndarray]:
        """Return the vectors that are kept for some texts, float32, by text hash."""
        found: dict[bytes, np.ndarray] = {}
        for start in range(0, len(hashes), _BATCH):
            query = select(vectors.c.text_hash, vectors.c.vector).where(
                vectors.c.model == model, vectors.c.text_hash.in_(hashes[start : start + _BATCH])
            )
            found.update((row.text_hash, np.frombuffer(row.vector, np.float32)) for row in connection.execute(query))
        return found

    def of_collection(self, collection_id: int, model: str) -> Iterator[tuple[list[int], np.ndarray]]:
        """Yield the ids of a collection's passages with their vectors, some thousands at a time."""
        query = (
            select(passages.c.id, vectors.c.vector)
            .join(vectors, vectors.c.text_hash == passages.c.text_hash)
            .where(passages.c.collection_id == collection_id, vectors.c.model == model)
        )
        with self._transaction() as connection:
            for rows in connection.execution_options(yield_per=_AT_A_TIME).execute(query).partitions():
                yield [row.id for row in rows], np.stack([np.frombuffer(row.vector, np.float32) for row in rows])

    def unembedded(self, collection_id: int, model: str, limit: int) -> list[str]:
        """Return up to `limit` texts of a collection that have no vector of the model, in the form to embed."""
        kept = exists().where(vectors.c.model == model, vectors.c.text_hash == passages.c.text_hash)
        query = (
            select(passages.c.text, passages.c.context)
            .where(passages.c.collection_id == collection_id, ~kept)
            .limit(limit)
        )
        with self._transaction() as connection:
            rows = connection.execute(query)
            return [NewChunk(row.text, row.context, (), None, (), 0, 0).indexed_text for row in rows]

    def forget_unused(self, connection: Connection | None = None) -> None:
        """Delete the vectors, of every model, of texts that no passage has any more.

        Args:
            connection: the caller's transaction; None to begin one.
        """
        statement = delete(vectors).where(~exists().where(passages.c.text_hash == vectors.c.text_hash))
        if connection is not None:
            connection.execute(statement)
            return
        with self._transaction(writes=True) as own:
            own.execute(statement)
