"""The catalogue: everything that the store holds, in SQLite. Chroma and every answer are made from it.

Readers see a source either before or after a change: `replace_source` is a single transaction.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import ColumnElement, Connection, Table, delete, exists, false, func, insert, select, update
from sqlalchemy.exc import DatabaseError, IntegrityError, ProgrammingError

from vectorstore.database import WRITES, is_read_only, open_database
from vectorstore.errors import EmptyStoreError, StoreError, UnknownCollectionError, UnknownSourceError
from vectorstore.fulltext import FullTextIndex
from vectorstore.passages import Passages
from vectorstore.records import Collection, CollectionInfo, NewSource, SourceInfo
from vectorstore.schema import (
    chroma_queue,
    chunks,
    collections,
    passages,
    sources,
)
from vectorstore.vectors import Vectors

__all__ = ["Catalog"]

_COLLECTION = (collections.c.id, collections.c.name, collections.c.embedding, collections.c.generation)


class Catalog:
    """The catalogue in its SQLite file.

    Attributes:
        read_only: whether this account may only read it.
        vectors: the vectors that it keeps.
    """

    def __init__(self, path: Path) -> None:
        """Open the catalogue at `path`, making it where there is none."""
        self._path = path
        self.read_only = is_read_only(path)
        self._engine = open_database(path)
        self.vectors = Vectors(self.transaction)

    def close(self) -> None:
        """Close the database."""
        self._engine.dispose()

    @contextmanager
    def transaction(self, *, writes: bool = False) -> Iterator[Connection]:
        """Begin a transaction: it is done wholly or not at all, and all its reads see the same state.

        Args:
            writes: whether it writes. It then waits for other writers when it begins: a transaction that reads first
                would fail if another process wrote in between.

        Raises:
            StoreError: the file is damaged, locked or full, or may only be read.
        """
        if writes:
            self.check_writable()
        try:
            with self._engine.execution_options(**{WRITES: writes}).begin() as connection:
                yield connection
        except (IntegrityError, ProgrammingError):
            raise
        except DatabaseError as error:
            raise StoreError(f"cannot use the catalogue {self._path}: {error.orig}; kb doctor looks into it") from error

    def check_writable(self) -> None:
        """Raise if this account may only read the catalogue.

        Raises:
            StoreError: it may only be read.
        """
        if self.read_only:
            raise StoreError(
                f"cannot write to {self._path.parent}: this account may only read it; allow it, or set KB_HOME to a "
                "folder of your own"
            )

    def damage(self) -> str | None:
        """Return the damage that SQLite finds in the file; None if it is sound."""
        try:
            with self._engine.begin() as connection:
                found = str(connection.exec_driver_sql("PRAGMA quick_check").scalar())
        except DatabaseError as error:
            found = str(error.orig)
        return None if found == "ok" else found

    def indexed(self, collection_id: int) -> int:
        """Return how many passages are in the collection's full text."""
        with self.transaction() as connection:
            return FullTextIndex(collection_id).count(connection)

    # Collections

    def collections(self) -> list[CollectionInfo]:
        """Return all collections, by name."""
        source_count = select(func.count()).where(sources.c.collection_id == collections.c.id).scalar_subquery()
        chunk_count = (
            select(func.count(chunks.c.id))
            .join(sources, chunks.c.source_id == sources.c.id)
            .where(sources.c.collection_id == collections.c.id)
            .scalar_subquery()
        )
        passage_count = select(func.count()).where(passages.c.collection_id == collections.c.id).scalar_subquery()
        counts = (source_count, chunk_count, passage_count)
        with self.transaction() as connection:
            rows = connection.execute(select(*_COLLECTION, *counts).order_by(collections.c.name))
            return [CollectionInfo(*row) for row in rows]

    def collection(self, name: str) -> Collection:
        """Return a collection, without counts.

        Raises:
            UnknownCollectionError: there is none of that name.
        """
        with self.transaction() as connection:
            known = {row.name: row for row in connection.execute(select(*_COLLECTION).order_by(collections.c.name))}
        if name in known:
            return Collection(*known[name])
        if not known:
            raise EmptyStoreError("nothing has been ingested yet; run: kb ingest FOLDER")
        raise UnknownCollectionError(f"no collection {name!r}; there are: {', '.join(known)}")

    def ensure_collection(self, name: str, embedding: str) -> Collection:
        """Return the collection; make it if there is none."""
        with self.transaction(writes=True) as connection:
            if not connection.execute(select(exists().where(collections.c.name == name))).scalar_one():
                values = {"name": name, "embedding": embedding, "generation": 0}
                FullTextIndex(_inserted(connection, collections, values)).create(connection)
        return self.collection(name)

    def rename_collection(self, collection_id: int, name: str) -> None:
        """Rename a collection, to a name that none has."""
        with self.transaction(writes=True) as connection:
            connection.execute(update(collections).where(collections.c.id == collection_id).values(name=name))

    def remove_collection(self, collection_id: int) -> None:
        """Remove a collection with all its documents."""
        with self.transaction(writes=True) as connection:
            FullTextIndex(collection_id).drop(connection)
            connection.execute(delete(collections).where(collections.c.id == collection_id))
            self.vectors.forget_unused(connection)

    def set_embedding(self, collection_id: int, embedding: str) -> None:
        """Record the embedding model of a collection's vectors, and queue all of them for Chroma."""
        with self.transaction(writes=True) as connection:
            connection.execute(update(collections).where(collections.c.id == collection_id).values(embedding=embedding))
            self._queue_all(connection, collection_id)

    def requeue(self, collection_id: int) -> None:
        """Queue every passage for Chroma again."""
        with self.transaction(writes=True) as connection:
            self._queue_all(connection, collection_id)

    def _queue_all(self, connection: Connection, collection_id: int) -> None:
        connection.execute(delete(chroma_queue).where(chroma_queue.c.collection_id == collection_id))
        every = select(passages.c.collection_id, passages.c.id, false()).where(
            passages.c.collection_id == collection_id
        )
        connection.execute(insert(chroma_queue).from_select(["collection_id", "passage_id", "removed"], every))

    # Sources

    def sources(self, collection_id: int) -> list[SourceInfo]:
        """Return the collection's sources, by name."""
        count = select(func.count()).where(chunks.c.source_id == sources.c.id).scalar_subquery().label("chunks")
        columns = [sources.c[name] for name in SourceInfo.__dataclass_fields__ if name != "chunks"]
        query = select(*columns, count).where(sources.c.collection_id == collection_id).order_by(sources.c.name)
        with self.transaction() as connection:
            rows = connection.execute(query).mappings()
            return [SourceInfo(**{**row, "notes": tuple(row["notes"])}) for row in rows]

    def paths(self, prefix: str) -> set[str]:
        """Return the paths of sources, in all collections, that begin with `prefix`."""
        with self.transaction() as connection:
            return set(connection.scalars(select(sources.c.path).where(sources.c.path.startswith(prefix))))

    def replace_source(self, collection_id: int, source: NewSource) -> None:
        """Store a source with its chunks, replacing the source at its path, in a single transaction.

        The vectors of its chunks have to be kept already, see `Vectors.add`.
        """
        apart = ("chunks", "replaces")
        values = {name: getattr(source, name) for name in NewSource.__dataclass_fields__ if name not in apart}
        with self.transaction(writes=True) as connection:
            source_id = self._source_id(connection, collection_id, sources.c.path == (source.replaces or source.path))
            query = select(sources.c.name, sources.c.made_with).where(sources.c.id == source_id)
            former = connection.execute(query).one_or_none()
            if source_id is None:
                source_id = _inserted(connection, sources, {"collection_id": collection_id, **values})
            else:
                connection.execute(update(sources).where(sources.c.id == source_id).values(values))
            Passages(collection_id).put(
                connection,
                source_id,
                source,
                renamed=former is not None and former.name != source.name,
                reindexed=former is not None and former.made_with != source.made_with,
            )

    def set_modified(self, modified_ns: Mapping[int, int]) -> None:
        """Record new modification times of sources whose content is the same, by source id."""
        with self.transaction(writes=True) as connection:
            for source_id, when in modified_ns.items():
                connection.execute(update(sources).where(sources.c.id == source_id).values(modified_ns=when))

    def rename_sources(self, collection_id: int, renames: Sequence[tuple[int, str, str]]) -> None:
        """Give sources other names and paths, as (id, name, path), all at once; their chunks and vectors stay."""
        found = Passages(collection_id)
        with self.transaction(writes=True) as connection:
            for source_id, _, _ in renames:  # names are unique, and two sources may exchange theirs
                aside = f"\0{source_id}"
                connection.execute(update(sources).where(sources.c.id == source_id).values(name=aside, path=aside))
            for source_id, name, path in renames:
                connection.execute(update(sources).where(sources.c.id == source_id).values(name=name, path=path))
            for source_id, _, _ in renames:
                found.settle(connection, found.of_source(connection, source_id))

    def remove_sources(self, collection_id: int, names: Sequence[str], *, keep_vectors: bool = False) -> None:
        """Remove sources everywhere: rows, full text, and (queued) Chroma.

        Args:
            collection_id: the collection.
            names: the sources' names.
            keep_vectors: keep vectors that are no longer needed, since the same texts may come back at once.

        Raises:
            UnknownSourceError: a source is not there; then none is removed.
        """
        found = Passages(collection_id)
        with self.transaction(writes=True) as connection:
            for name in names:
                source_id = self._source_id(connection, collection_id, sources.c.name == name)
                if source_id is None:
                    raise UnknownSourceError(f"no source {name!r} in the collection; kb sources lists them")
                held = found.of_source(connection, source_id)
                connection.execute(delete(sources).where(sources.c.id == source_id))
                found.settle(connection, held)
            if not keep_vectors:
                self.vectors.forget_unused(connection)

    def _source_id(self, connection: Connection, collection_id: int, which: ColumnElement[bool]) -> int | None:
        query = select(sources.c.id).where((sources.c.collection_id == collection_id) & which)
        return connection.execute(query).scalar()

    def hashes(self, connection: Connection, passage_ids: Sequence[int]) -> dict[int, bytes]:
        """Return the text hashes of the passages that exist, by id."""
        query = select(passages.c.id, passages.c.text_hash).where(passages.c.id.in_(passage_ids))
        return {row.id: row.text_hash for row in connection.execute(query)}

    # Changes that Chroma has yet to follow

    def queued(self, collection_id: int, limit: int) -> list[tuple[int, int, bool]]:
        """Return the oldest (queue id, passage id, removed) that Chroma has yet to follow."""
        query = (
            select(chroma_queue.c.id, chroma_queue.c.passage_id, chroma_queue.c.removed)
            .where(chroma_queue.c.collection_id == collection_id)
            .order_by(chroma_queue.c.id)
            .limit(limit)
        )
        with self.transaction() as connection:
            return [(row.id, row.passage_id, row.removed) for row in connection.execute(query)]

    def followed(self, collection_id: int, last_queue_id: int) -> int:
        """Record that Chroma has followed up to this entry, and return the collection's new generation."""
        with self.transaction(writes=True) as connection:
            connection.execute(
                delete(chroma_queue).where(
                    chroma_queue.c.collection_id == collection_id, chroma_queue.c.id <= last_queue_id
                )
            )
            connection.execute(
                update(collections)
                .where(collections.c.id == collection_id)
                .values(generation=collections.c.generation + 1)
            )
            query = select(collections.c.generation).where(collections.c.id == collection_id)
            return int(connection.execute(query).scalar_one())


def _inserted(connection: Connection, table: Table, values: dict[str, Any]) -> int:
    """Insert a row and return its id."""
    key = connection.execute(insert(table).values(values)).inserted_primary_key
    assert key is not None  # every table here has a primary key
    return int(key[0])
