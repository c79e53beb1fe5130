"""Full-text search with SQLite's FTS5, an index for each collection.

FTS5 gets index terms separated by spaces (see `analysis`), so Chinese is searched by characters and pairs of them. A
table beside it counts how many passages hold each term, which FTS5 itself finds out only by walking through all of
them. When a question's terms occur in too many passages, its rarest terms choose candidates, and all terms rank these.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import islice

from sqlalchemy import Connection, text

from vectorstore.analysis import terms

__all__ = ["MOST_OF_A_TERM", "FullTextIndex"]

_FIELDS = ("name", "heading", "body")
# A word of the file's name or a heading says more about a passage than a word of its text.
_FIELD_WEIGHTS = (2.0, 2.0, 1.0)
_RANK = f"bm25{_FIELD_WEIGHTS}"
_K1, _B = 1.2, 0.75
"""The constants of FTS5, see https://www.sqlite.org/fts5.html#the_bm25_function."""
MOST_OF_A_TERM = _K1 + 1
"""The largest factor by which BM25 multiplies a term's inverse document frequency."""

_MOST_POSTINGS = 10_000
"""How many postings (a passage for each of its terms) FTS5 ranks in a search; each takes about a microsecond."""
_SHARE = 16
"""In large collections, a search ranks a sixteenth of all passages instead, where that is more."""
_CANDIDATES = 100
"""How many passages are ranked by all terms when only the rarest terms could be looked up."""
_ELSEWHERE = 30
"""How many passages without any of the terms are assumed beside those of the collection, when terms are weighed."""

_PASSAGES, _WORDS = "", " "
"""Two counts kept among the terms: of all passages, and of all terms in them."""
_BATCH = 500

Keep = Callable[[Sequence[int]], Sequence[int]]
"""Filters passage ids, and keeps their order."""


class FullTextIndex:
    """The full-text index of one collection; every call works inside the caller's transaction."""

    def __init__(self, collection_id: int, most_postings: int | None = None) -> None:
        """Name the index; `create` makes it.

        Args:
            collection_id: the collection.
            most_postings: how many postings a search may look at; None for the measured default, see docs/search.md.
        """
        self._most_postings = most_postings
        self._table = f"fulltext_{int(collection_id)}"
        self._frequencies = f"{self._table}_frequencies"

    def create(self, connection: Connection) -> None:
        """Make the index, empty."""
        fields = ", ".join(_FIELDS)
        connection.execute(text(f"CREATE VIRTUAL TABLE {self._table} USING fts5({fields}, tokenize='ascii')"))
        self._create_frequencies(connection)

    def drop(self, connection: Connection) -> None:
        """Remove the index."""
        for table in (self._table, self._frequencies):
            connection.execute(text(f"DROP TABLE {table}"))

    def _create_frequencies(self, connection: Connection) -> None:
        columns = "term TEXT PRIMARY KEY, passages INTEGER NOT NULL"
        connection.execute(text(f"CREATE TABLE {self._frequencies} ({columns}) WITHOUT ROWID"))

    def recount(self, connection: Connection) -> None:
        """Count again how many passages hold each term; catalogues of version 1 did not keep these counts."""
        counted = f"{self._table}_terms"
        connection.execute(text(f"CREATE VIRTUAL TABLE IF NOT EXISTS {counted} USING fts5vocab({self._table}, 'row')"))
        connection.execute(text(f"DROP TABLE IF EXISTS {self._frequencies}"))
        self._create_frequencies(connection)
        connection.execute(
            text(
                f"INSERT INTO {self._frequencies} SELECT term, doc FROM {counted} "
                f"UNION ALL SELECT '{_PASSAGES}', count(*) FROM {self._table}_docsize "
                f"UNION ALL SELECT '{_WORDS}', coalesce(sum(cnt), 0) FROM {counted}"
            )
        )
        connection.execute(text(f"DROP TABLE {counted}"))

    def add(self, connection: Connection, rows: Iterable[tuple[int, str, str, str]]) -> None:
        """Index (passage id, file name, title and headings, text) rows."""
        indexed = [(passage_id, [" ".join(terms(words)) for words in fields]) for passage_id, *fields in rows]
        if indexed:
            connection.execute(
                text(f"INSERT INTO {self._table} (rowid, name, heading, body) VALUES (:id, :name, :heading, :body)"),
                [{"id": passage_id, **dict(zip(_FIELDS, fields, strict=True))} for passage_id, fields in indexed],
            )
            self._note(connection, _frequencies(fields for _, fields in indexed))

    def rename(self, connection: Connection, passage_id: int, name: str) -> None:
        """Replace the file names under which a passage is found."""
        named = " ".join(terms(name))
        changed: Counter[str] = Counter()
        for _, former, *rest in self._fields(connection, [passage_id]):
            if named == former:
                return
            changed = _frequencies([(named, *rest)])
            changed.subtract(_frequencies([(former, *rest)]))
        statement = text(f"UPDATE {self._table} SET name = :name WHERE rowid = :id")
        connection.execute(statement, {"id": passage_id, "name": named})
        self._note(connection, changed)

    def remove(self, connection: Connection, passage_ids: Sequence[int]) -> None:
        """Remove passages; ids that are not there are ignored."""
        if not passage_ids:
            return
        gone: Counter[str] = Counter()
        gone.subtract(_frequencies(fields for _, *fields in self._fields(connection, passage_ids)))
        connection.execute(
            text(f"DELETE FROM {self._table} WHERE rowid = :id"), [{"id": passage_id} for passage_id in passage_ids]
        )
        self._note(connection, gone)

    def _note(self, connection: Connection, changes: Mapping[str, int]) -> None:
        """Update how many passages hold each term, and delete terms that no passage holds any more."""
        # In the order of the table, so that SQLite walks through it once.
        changed = [(term, change) for term, change in sorted(changes.items()) if change]
        if changed:
            statement = (
                f"INSERT INTO {self._frequencies} VALUES (?, ?) ON CONFLICT DO UPDATE SET passages = passages + ?"
            )
            connection.exec_driver_sql(statement, [(term, change, change) for term, change in changed])
        fewer = [(term,) for term, change in changed if change < 0]
        if fewer:
            connection.exec_driver_sql(f"DELETE FROM {self._frequencies} WHERE term = ? AND passages = 0", fewer)

    def search(
        self, connection: Connection, question_terms: Sequence[str], limit: int, keep: Keep | None = None
    ) -> list[tuple[int, float]]:
        """Return (passage id, BM25) of the passages that share terms with the question, the best first.

        A term gives at most `MOST_OF_A_TERM` times its inverse document frequency.

        Args:
            connection: the caller's.
            question_terms: see `query_terms`.
            limit: the most passages to return.
            keep: filters passage ids; None to keep all.
        """
        held = self._held(connection, [*question_terms, _PASSAGES])
        asked = sorted((term for term in question_terms if held[term]), key=lambda term: held[term])
        rarest = self._affordable(asked, held, limit)
        if len(rarest) < len(asked):
            candidates = self._ranked(connection, rarest, max(_CANDIDATES, 2 * limit), keep)
            if len(candidates) >= limit or keep is None:
                return self.rank(connection, asked, [passage_id for passage_id, _ in candidates])[:limit]
        return self._ranked(connection, asked, limit, keep)

    def rank(
        self, connection: Connection, question_terms: Sequence[str], passage_ids: Sequence[int]
    ) -> list[tuple[int, float]]:
        """Rank these passages alone, as `search` would, by looking at each."""
        held = self._held(connection, [*question_terms, _PASSAGES, _WORDS])
        asked = [term for term in question_terms if held[term]]
        scores = {
            passage_id: _bm25(fields, asked, held) for passage_id, *fields in self._fields(connection, passage_ids)
        }
        found = [(passage_id, score) for passage_id, score in scores.items() if score]
        return sorted(found, key=lambda pair: (-pair[1], pair[0]))

    def _affordable(self, by_rarity: Sequence[str], held: Mapping[str, int], limit: int) -> list[str]:
        """Return the rarest terms: as many as a search may look up, and as it needs to find `limit` passages."""
        most = self._most_postings
        if most is None:
            most = max(_MOST_POSTINGS, held[_PASSAGES] // _SHARE)
        chosen: list[str] = []
        postings = 0
        for term in by_rarity:
            postings += held[term]
            if postings > most and postings - held[term] >= limit:
                break
            chosen.append(term)
        return chosen

    def _ranked(
        self, connection: Connection, asked: Sequence[str], limit: int, keep: Keep | None
    ) -> list[tuple[int, float]]:
        """Return the passages that hold any of the terms, ranked by FTS5."""
        if not asked:
            return []
        statement = text(
            f"SELECT rowid, rank FROM {self._table} WHERE {self._table} MATCH :query AND rank MATCH '{_RANK}' "
            "ORDER BY rank LIMIT :limit"
        )
        query = " OR ".join(f'"{term}"' for term in asked)
        rows = connection.execute(statement, {"query": query, "limit": -1 if keep else limit})
        ranked = ((int(passage_id), -float(rank)) for passage_id, rank in rows)
        if keep is None:
            return list(ranked)
        found: list[tuple[int, float]] = []
        while len(found) < limit and (batch := dict(islice(ranked, _BATCH))):
            found += [(passage_id, batch[passage_id]) for passage_id in keep(list(batch))]
        rows.close()
        return found[:limit]

    def _fields(self, connection: Connection, passage_ids: Sequence[int]) -> list[tuple[int, str, str, str]]:
        """Return the ids of the passages that are there, with the terms of their fields."""
        found: list[tuple[int, str, str, str]] = []
        for start in range(0, len(passage_ids), _BATCH):
            ids = ", ".join(str(int(passage_id)) for passage_id in passage_ids[start : start + _BATCH])
            rows = connection.execute(
                text(f"SELECT rowid, {', '.join(_FIELDS)} FROM {self._table} WHERE rowid IN ({ids})")
            )
            found += [(int(row[0]), row[1], row[2], row[3]) for row in rows]
        return found

    def _held(self, connection: Connection, asked: Iterable[str]) -> dict[str, int]:
        """Return how many passages hold each of the terms."""
        wanted = list(asked)
        marks = ", ".join("?" * len(wanted))
        rows = connection.exec_driver_sql(
            f"SELECT term, passages FROM {self._frequencies} WHERE term IN ({marks})", tuple(wanted)
        )
        return {**dict.fromkeys(wanted, 0), **{row[0]: row[1] for row in rows}}

    def holds(self, connection: Connection, asked: Iterable[str]) -> bool:
        """Return whether any passage holds any of the terms."""
        return any(self._held(connection, asked).values())

    def count(self, connection: Connection) -> int:
        """Count the indexed passages, one by one."""
        return int(connection.execute(text(f"SELECT count(*) FROM {self._table}_docsize")).scalar_one())

    def weights(self, connection: Connection, question_terms: Iterable[str]) -> dict[str, float]:
        """Return each term's inverse document frequency, over this collection's passages.

        log((N + 1) / (n + 0.5)), so a term found nowhere weighs most. In a small collection a term in every passage
        may still say much, so N counts some passages more, which hold none of the terms.
        """
        asked = list(question_terms)
        held = self._held(connection, [*asked, _PASSAGES])
        total = held[_PASSAGES] + _ELSEWHERE
        return {term: math.log((total + 1) / (held[term] + 0.5)) for term in asked}


def _frequencies(passages: Iterable[Sequence[str]]) -> Counter[str]:
    """Count how many of the passages, each given by its fields, hold each term."""
    found: Counter[str] = Counter()
    for fields in passages:
        words = " ".join(fields).split()
        found.update({*words, _PASSAGES})
        found[_WORDS] += len(words)
    return found


def _bm25(fields: Sequence[str], asked: Iterable[str], held: Mapping[str, int]) -> float:
    """Return FTS5's bm25() for all of the terms, higher is better."""
    passages = held[_PASSAGES]
    words = sum(field.count(" ") + 1 for field in fields if field)
    penalty = _K1 * (1 - _B + _B * words * passages / held[_WORDS])
    # With spaces on both sides of each term, terms can be counted without splitting the text.
    spaced = [(f" {field.replace(' ', '  ')} ", weight) for field, weight in zip(fields, _FIELD_WEIGHTS, strict=True)]
    found = 0.0
    for term in asked:
        times = sum(weight * field.count(f" {term} ") for field, weight in spaced)
        rarity = math.log((passages - held[term] + 0.5) / (held[term] + 0.5))
        found += max(rarity, 1e-6) * times * (_K1 + 1) / (times + penalty)
    return found
