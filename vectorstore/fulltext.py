"""Full-text search with SQLite's FTS5, one index a collection.

FTS5 is given index terms parted by spaces
(see `analysis`), so that Chinese is searched by characters and pairs of them.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from sqlalchemy import Connection, text

from vectorstore.analysis import terms

__all__ = ["MOST_OF_A_TERM", "FullTextIndex"]

# A word in the file's name or a heading says more about a passage than one in its text.
_RANK = "bm25(2.0, 2.0, 1.0)"
MOST_OF_A_TERM = 2.2
"""What BM25 multiplies a term's inverse document frequency with at most: k1 + 1, where FTS5's k1 is 1.2."""
_ELSEWHERE = 30
"""How many passages a collection is thought to have beside its own, when terms are weighed."""


class FullTextIndex:
    """The full-text index of one collection; every call works inside the caller's transaction."""

    def __init__(self, collection_id: int) -> None:
        """Name the index; `create` makes it."""
        self._table = f"fulltext_{int(collection_id)}"
        self._vocabulary = f"{self._table}_terms"

    def create(self, connection: Connection) -> None:
        """Make the index, empty."""
        connection.execute(
            text(f"CREATE VIRTUAL TABLE {self._table} USING fts5(name, heading, body, tokenize='ascii')")
        )
        connection.execute(text(f"CREATE VIRTUAL TABLE {self._vocabulary} USING fts5vocab({self._table}, 'row')"))

    def drop(self, connection: Connection) -> None:
        """Remove the index."""
        connection.execute(text(f"DROP TABLE IF EXISTS {self._vocabulary}"))
        connection.execute(text(f"DROP TABLE IF EXISTS {self._table}"))

    def add(self, connection: Connection, rows: Iterable[tuple[int, str, str, str]]) -> None:
        """Index (passage id, file name, title and headings, text) rows."""
        values = [
            {"id": passage_id, **{field: " ".join(terms(words)) for field, words in zip(_FIELDS, fields, strict=True)}}
            for passage_id, *fields in rows
        ]
        if values:
            connection.execute(
                text(f"INSERT INTO {self._table} (rowid, name, heading, body) VALUES (:id, :name, :heading, :body)"),
                values,
            )

    def rename(self, connection: Connection, passage_id: int, name: str) -> None:
        """Replace the file names under which a passage is found."""
        statement = text(f"UPDATE {self._table} SET name = :name WHERE rowid = :id")
        connection.execute(statement, {"id": passage_id, "name": " ".join(terms(name))})

    def remove(self, connection: Connection, passage_ids: Sequence[int]) -> None:
        """Remove the passages; ids that are not there are passed over."""
        if passage_ids:
            connection.execute(
                text(f"DELETE FROM {self._table} WHERE rowid = :id"), [{"id": one} for one in passage_ids]
            )

    def search(
        self, connection: Connection, question_terms: Sequence[str], limit: int, source_glob: str | None = None
    ) -> list[tuple[int, float]]:
        """Return (passage id, BM25) of the passages that share terms with the question, the best first.

        A term gives at most `MOST_OF_A_TERM` times its inverse document frequency.
        """
        if not question_terms:
            return []
        scope = ""
        if source_glob is not None:
            scope = (
                "AND rowid IN (SELECT chunks.passage_id FROM chunks JOIN sources ON sources.id = chunks.source_id "
                "WHERE sources.name GLOB :glob)"
            )
        statement = text(
            f"SELECT rowid, rank FROM {self._table} WHERE {self._table} MATCH :query AND rank MATCH '{_RANK}' {scope} "
            "ORDER BY rank LIMIT :limit"
        )
        query = " OR ".join(f'"{term}"' for term in question_terms)
        rows = connection.execute(statement, {"query": query, "limit": limit, "glob": source_glob})
        return [(int(passage_id), -float(rank)) for passage_id, rank in rows]

    def count(self, connection: Connection) -> int:
        """Return how many passages are indexed."""
        return int(connection.execute(text(f"SELECT count(*) FROM {self._table}_docsize")).scalar_one())

    def weights(self, connection: Connection, question_terms: Iterable[str]) -> dict[str, float]:
        """Return each term's inverse document frequency, over this collection's passages.

        log((N + 1) / (n + 0.5)), so that a term found nowhere weighs most. In a small collection a
        term in every passage may still say much, so N counts some passages that hold none of them.
        """
        total = self.count(connection) + _ELSEWHERE
        statement = text(f"SELECT doc FROM {self._vocabulary} WHERE term = :term")
        return {
            term: math.log((total + 1) / ((connection.execute(statement, {"term": term}).scalar() or 0) + 0.5))
            for term in question_terms
        }


_FIELDS = ("name", "heading", "body")
