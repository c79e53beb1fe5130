"""Passages: the distinct texts of a collection's chunks.

Full text and Chroma index passages; a chunk says where a passage occurs: in a source, on a page, at lines. Every call
here works inside the caller's transaction.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from datetime import date, datetime, time, timedelta
from itertools import islice
from typing import Any, TypeVar

from sqlalchemy import ColumnElement, Connection, Row, Select, delete, exists, func, insert, or_, select

from vectorstore.fulltext import FullTextIndex
from vectorstore.records import EVERYTHING, Filter, NewChunk, NewSource, Passage, text_hash
from vectorstore.schema import chroma_queue, chunks, passages, sources

__all__ = ["Passages"]

T = TypeVar("T")

_BATCH = 500
_MOST_NAMES = 20
"""How many of its files' names a passage is found by; boilerplate has thousands of files."""


class Passages:
    """The passages of one collection, and the chunks that hold them."""

    def __init__(self, collection_id: int) -> None:
        """Name the collection."""
        self._collection_id = collection_id
        self._full_text = FullTextIndex(collection_id)

    def of_source(self, connection: Connection, source_id: int) -> set[int]:
        """Return the ids of the passages that a source's chunks hold."""
        query = select(chunks.c.passage_id).where(chunks.c.source_id == source_id).distinct()
        return set(connection.execute(query).scalars())

    def put(
        self,
        connection: Connection,
        source_id: int,
        source: NewSource,
        *,
        renamed: bool = False,
        reindexed: bool = False,
    ) -> None:
        """Make the chunks of `source` those of the stored source, and their passages with them.

        Args:
            connection: the caller's.
            source_id: the stored source.
            source: its new content.
            renamed: whether it had another name; then passages that stay are found by the new name.
            reindexed: whether it was made by another version; then passages that stay are indexed anew.
        """
        former = self.of_source(connection, source_id)
        connection.execute(delete(chunks).where(chunks.c.source_id == source_id))
        by_hash = {text_hash(chunk.indexed_text): chunk for chunk in source.chunks}
        ids = self._known(connection, list(by_hash))
        shared = set(ids.values()) - former
        if reindexed:
            self._full_text.remove(connection, list(ids.values()))
            self._index(connection, source, {ids[key]: by_hash[key] for key in ids})
        ids.update(self._insert(connection, source, {key: by_hash[key] for key in by_hash if key not in ids}))
        rows = [
            {
                "source_id": source_id,
                "passage_id": ids[text_hash(chunk.indexed_text)],
                "position": position,
                **{name: getattr(chunk, name) for name in _OF_CHUNK},
            }
            for position, chunk in enumerate(source.chunks)
        ]
        if rows:
            connection.execute(insert(chunks), rows)
        self.settle(connection, shared | (former if renamed or reindexed else former - set(ids.values())))

    def _known(self, connection: Connection, hashes: Sequence[bytes]) -> dict[bytes, int]:
        found: dict[bytes, int] = {}
        for batch in _batches(hashes):
            query = select(passages.c.text_hash, passages.c.id).where(
                passages.c.collection_id == self._collection_id, passages.c.text_hash.in_(batch)
            )
            found.update((row.text_hash, row.id) for row in connection.execute(query))
        return found

    def _insert(self, connection: Connection, source: NewSource, new: dict[bytes, NewChunk]) -> dict[bytes, int]:
        if not new:
            return {}
        rows = [
            {"collection_id": self._collection_id, "text_hash": key, "context": chunk.context, "text": chunk.text}
            for key, chunk in new.items()
        ]
        statement = insert(passages).returning(passages.c.id, sort_by_parameter_order=True)
        ids = dict(zip(new, connection.execute(statement, rows).scalars(), strict=True))
        self._index(connection, source, {ids[key]: chunk for key, chunk in new.items()})
        self._queue(connection, list(ids.values()), removed=False)
        return ids

    def _index(self, connection: Connection, source: NewSource, new: dict[int, NewChunk]) -> None:
        """Add passages to full text, under the name of this source; `settle` finds the names of others."""
        title = (source.title,) if source.title else ()
        rows = []
        for passage_id, chunk in new.items():
            headings = chunk.heading if source.title in chunk.heading else (*title, *chunk.heading)
            rows.append((passage_id, source.name, " ".join(headings), chunk.text))
        self._full_text.add(connection, rows)

    def settle(self, connection: Connection, ids: Collection[int]) -> None:
        """Delete those passages that no chunk holds any more, and index the rest under their files' names."""
        for batch in _batches(list(ids)):
            held = exists().where(chunks.c.passage_id == passages.c.id)
            orphans = connection.execute(select(passages.c.id).where(passages.c.id.in_(batch), ~held)).scalars().all()
            self._full_text.remove(connection, orphans)
            self._queue(connection, orphans, removed=True)
            connection.execute(delete(passages).where(passages.c.id.in_(orphans)))
            for passage_id in set(batch).difference(orphans):
                self._full_text.rename(connection, passage_id, " ".join(self._names(connection, passage_id)))

    def _names(self, connection: Connection, passage_id: int) -> list[str]:
        query = (
            select(sources.c.name)
            .join(chunks, chunks.c.source_id == sources.c.id)
            .where(chunks.c.passage_id == passage_id)
            .distinct()
            .order_by(sources.c.name)
            .limit(_MOST_NAMES)
        )
        return list(connection.execute(query).scalars())

    def _queue(self, connection: Connection, ids: Sequence[int], *, removed: bool) -> None:
        if ids:
            rows = [{"collection_id": self._collection_id, "passage_id": number, "removed": removed} for number in ids]
            connection.execute(insert(chroma_queue), rows)

    def text(self, connection: Connection, source: str) -> str | None:
        """Return the text of a source as its chunks hold it, each part once; None if there is no such source."""
        rows = connection.execute(
            select(passages.c.text, chunks.c.repeated, chunks.c.char_start, chunks.c.char_end)
            .join(chunks, chunks.c.passage_id == passages.c.id)
            .join(sources, chunks.c.source_id == sources.c.id)
            .where(sources.c.collection_id == self._collection_id, sources.c.name == source)
            .order_by(chunks.c.position)
        ).all()
        parts, end = [], 0
        for row in rows:
            parts.append("\n\n" if row.char_start > end > 0 else "")
            parts.append(row.text[row.repeated + max(0, end - row.char_start) :])
            end = max(end, row.char_end)
        return "".join(parts) if rows else None

    def matching(self, connection: Connection, only: Filter, limit: int) -> list[int]:
        """Return the ids of up to `limit` passages of the documents that meet a filter."""
        query = (
            select(chunks.c.passage_id)
            .join(sources, chunks.c.source_id == sources.c.id)
            .where(sources.c.collection_id == self._collection_id, *_conditions(only))
            .distinct()
            .limit(limit)
        )
        return list(connection.execute(query).scalars())

    def count_sources(self, connection: Connection, only: Filter) -> int:
        """Return how many documents meet a filter."""
        query = select(func.count()).select_from(sources)
        return connection.execute(
            query.where(sources.c.collection_id == self._collection_id, *_conditions(only))
        ).scalar_one()

    def among(self, connection: Connection, ids: Sequence[int], only: Filter) -> list[int]:
        """Return the passages that occur in a document that meets a filter, in the order of `ids`."""
        kept: set[int] = set()
        for batch in _batches(ids):
            query = (
                select(chunks.c.passage_id)
                .join(sources, chunks.c.source_id == sources.c.id)
                .where(chunks.c.passage_id.in_(batch), *_conditions(only))
            )
            kept.update(connection.execute(query).scalars())
        return [passage_id for passage_id in ids if passage_id in kept]

    def first(
        self,
        connection: Connection,
        ids: Sequence[int],
        limit: int,
        only: Filter = EVERYTHING,
        wanted: Callable[[Passage], bool] = lambda passage: True,
    ) -> list[Passage]:
        """Return the first `limit` passages that `find` finds and that are `wanted`, in the order of `ids`."""
        found: list[Passage] = []
        for start in range(0, len(ids), limit):
            batch = ids[start : start + limit]
            by_id = self.find(connection, batch, only)
            found += [by_id[number] for number in batch if number in by_id and wanted(by_id[number])]
            if len(found) >= limit:
                break
        return found[:limit]

    def find(self, connection: Connection, ids: Sequence[int], only: Filter = EVERYTHING) -> dict[int, Passage]:
        """Return the passages that exist by id, each as it occurs in the first source by name that meets the filter."""
        first = func.row_number().over(partition_by=chunks.c.passage_id, order_by=(sources.c.name, chunks.c.position))
        query = (
            select(chunks.c.id, first.label("place"))
            .join(sources, chunks.c.source_id == sources.c.id)
            .where(chunks.c.passage_id.in_(ids), *_conditions(only))
        )
        chosen = query.subquery()
        wanted = _stored().join(chosen, chosen.c.id == chunks.c.id).where(chosen.c.place == 1)
        return {row.found_id: _chunk(row) for row in connection.execute(wanted)}

    def section(self, connection: Connection, chunk_id: int, reach: int) -> list[Passage]:
        """Return a chunk and up to `reach` neighbours on each side in its section, in the document's order.

        A section is a run of chunks under the same headings. Empty for a chunk that is gone.
        """
        query = select(chunks.c.source_id, chunks.c.position, chunks.c.heading).where(chunks.c.id == chunk_id)
        at = connection.execute(query).one_or_none()
        if at is None:
            return []
        near = chunks.c.position.between(at.position - reach, at.position + reach)
        wanted = _stored().where(chunks.c.source_id == at.source_id, near).order_by(chunks.c.position)
        rows = list(connection.execute(wanted))
        own = next(place for place, row in enumerate(rows) if row.id == chunk_id)
        first = next((place + 1 for place in range(own, -1, -1) if rows[place].heading != at.heading), 0)
        last = next((place for place in range(own, len(rows)) if rows[place].heading != at.heading), len(rows))
        return [_chunk(row) for row in rows[first:last]]

    def holding(self, connection: Connection, source: str, words: str, page: int | None, line: int) -> int | None:
        """Return the id of the source's chunk that holds words on a page, nearest to a line; None if there is none."""
        query = (
            select(chunks.c.id, chunks.c.lines)
            .join(passages, chunks.c.passage_id == passages.c.id)
            .join(sources, chunks.c.source_id == sources.c.id)
            .where(sources.c.collection_id == self._collection_id, sources.c.name == source)
            .where(chunks.c.page.is_not_distinct_from(page), func.instr(passages.c.text, words) > 0)
        )
        found = [(row.lines[0][1] > line, abs(row.lines[0][1] - line), row.id) for row in connection.execute(query)]
        return min(found)[2] if found else None

    def headings(self, connection: Connection, limit: int) -> list[tuple[str, tuple[str, ...]]]:
        """Return the distinct (source, headings) of the first `limit` chunks, in the documents' order."""
        query = (
            select(sources.c.name, chunks.c.heading)
            .join(sources, chunks.c.source_id == sources.c.id)
            .where(sources.c.collection_id == self._collection_id)
            .order_by(sources.c.id, chunks.c.position)
            .limit(limit)
        )
        return list(dict.fromkeys((row.name, tuple(row.heading)) for row in connection.execute(query)))


def _stored() -> Select[Any]:
    """Select chunks joined with their passages and sources."""
    columns = (passages.c.id, passages.c.text, passages.c.text_hash, sources.c.name, sources.c.title)
    return (
        select(chunks, *(column.label(f"found_{column.name}") for column in columns))
        .join(passages, chunks.c.passage_id == passages.c.id)
        .join(sources, chunks.c.source_id == sources.c.id)
    )


def _chunk(row: Row[Any]) -> Passage:
    return Passage(
        id=row.id,
        source=row.found_name,
        title=row.found_title,
        text=row.found_text,
        heading=tuple(row.heading),
        page=row.page,
        lines=tuple((offset, line) for offset, line in row.lines),
        repeated=row.repeated,
        link=row.link,
        text_hash=row.found_text_hash,
    )


_OF_CHUNK = ("heading", "page", "lines", "repeated", "char_start", "char_end", "link")


def _conditions(only: Filter) -> list[ColumnElement[bool]]:
    found: list[ColumnElement[bool]] = []
    if only.source is not None:
        # "[" is no wildcard.
        found.append(sources.c.name.op("GLOB")(only.source.replace("[", "[[]")))
    if only.suffixes:
        found.append(or_(*(func.lower(sources.c.name).endswith(suffix, autoescape=True) for suffix in only.suffixes)))
    if only.since is not None:
        found.append(sources.c.modified_ns >= _midnight_ns(only.since))
    if only.until is not None:
        found.append(sources.c.modified_ns < _midnight_ns(only.until + timedelta(days=1)))
    return found


def _midnight_ns(day: date) -> int:
    return int(datetime.combine(day, time()).timestamp()) * 1_000_000_000  # without a zone: local time


def _batches(items: Sequence[T]) -> Iterator[list[T]]:
    rest = iter(items)
    while batch := list(islice(rest, _BATCH)):
        yield batch
