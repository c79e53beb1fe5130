"""The catalogue's tables, and how its database is opened.

    collections ─┬─ roots               folders (or files) that the collection mirrors
                 ├─ sources ─── chunks  one row a file; where in it passages stand
                 ├─ passages ──┘        each text that is indexed, once
                 └─ chroma_queue        what Chroma has yet to be told
    vectors                             embeddings by (model, text), whoever uses them

The full-text indexes are FTS5 tables beside these, see `fulltext`.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from filelock import FileLock
from sqlalchemy import (
    JSON,
    URL,
    Boolean,
    Column,
    Connection,
    Engine,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
    create_engine,
    event,
    text,
)

from vectorstore.errors import StoreError
from vectorstore.fulltext import FullTextIndex

__all__ = [
    "WRITES",
    "chroma_queue",
    "chunks",
    "collections",
    "open_database",
    "passages",
    "roots",
    "sources",
    "vectors",
]

SCHEMA_VERSION = 3
WRITES = "kb_writes"
"""The execution option of a transaction in which anything is written."""

metadata = MetaData()


def _collection_key() -> Column[int]:
    return Column(
        "collection_id", Integer, ForeignKey("collections.id", ondelete="CASCADE"), nullable=False, index=True
    )


collections = Table(
    "collections",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("name", Text, nullable=False, unique=True),
    Column("embedding", Text, nullable=False),
    # Moves whenever Chroma does, so that other processes know when to open it anew.
    Column("generation", Integer, nullable=False, default=0),
    sqlite_autoincrement=True,
)

roots = Table(
    "roots",
    metadata,
    Column("id", Integer, primary_key=True),
    _collection_key(),
    Column("path", Text, nullable=False),
    UniqueConstraint("collection_id", "path"),
)

sources = Table(
    "sources",
    metadata,
    Column("id", Integer, primary_key=True),
    _collection_key(),
    Column("name", Text, nullable=False),
    Column("path", Text, nullable=False),
    Column("content_hash", Text, nullable=False),
    # Versions and settings of what made the chunks; another value means making them again.
    Column("made_with", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("title", Text),
    Column("pages", Integer),
    Column("notes", JSON, nullable=False),
    Column("modified_ns", Integer),
    UniqueConstraint("collection_id", "name"),
    UniqueConstraint("collection_id", "path"),
)

passages = Table(
    "passages",
    metadata,
    Column("id", Integer, primary_key=True),
    _collection_key(),
    Column("text_hash", LargeBinary, nullable=False, index=True),
    Column("context", Text, nullable=False),
    Column("text", Text, nullable=False),
    UniqueConstraint("collection_id", "text_hash"),
    sqlite_autoincrement=True,  # an id that Chroma may still hold is never given to another passage
)

chunks = Table(
    "chunks",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("source_id", Integer, ForeignKey("sources.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("passage_id", Integer, ForeignKey("passages.id"), nullable=False, index=True),
    Column("position", Integer, nullable=False),
    Column("heading", JSON, nullable=False),
    Column("page", Integer),
    Column("lines", JSON, nullable=False),
    Column("repeated", Integer, nullable=False),
    Column("char_start", Integer, nullable=False),
    Column("char_end", Integer, nullable=False),
    Column("link", Text),
    sqlite_autoincrement=True,
)

vectors = Table(
    "vectors",
    metadata,
    Column("model", Text, primary_key=True),
    Column("text_hash", LargeBinary, primary_key=True),
    Column("vector", LargeBinary, nullable=False),
)

chroma_queue = Table(
    "chroma_queue",
    metadata,
    Column("id", Integer, primary_key=True),
    _collection_key(),
    Column("passage_id", Integer, nullable=False),
    Column("removed", Boolean, nullable=False),
    Index("chroma_queue_order", "collection_id", "id"),
)


def open_database(path: Path) -> Engine:
    """Open the catalogue at `path`, making it where there is none.

    Raises:
        StoreError: it was made by a newer version, or is not a catalogue.
    """
    # As a URL object, because in a string "?" and "%" of a path would mean something.
    engine = create_engine(URL.create("sqlite", database=str(path)), connect_args={"timeout": 30})
    event.listen(engine, "connect", _configure)
    event.listen(engine, "begin", _begin)
    try:
        version = _version(engine) if path.exists() and path.stat().st_size else 0
        if version < SCHEMA_VERSION:
            version = _make_current(engine, path)
    except Exception as error:
        engine.dispose()
        remedy = "restore it from a copy, or move it away and ingest again"
        if not os.access(path.parent, os.W_OK):
            remedy = f"{path.parent} cannot be written to; allow it, or set KB_HOME to another folder"
        raise StoreError(f"cannot open the catalogue {path}: {error.__cause__ or error}; {remedy}") from error
    if version > SCHEMA_VERSION:
        engine.dispose()
        raise StoreError(f"the catalogue {path} was made by a newer kb; upgrade kb to use it")
    return engine


def _version(engine: Engine) -> int:
    with engine.connect() as connection:
        return int(connection.execute(text("PRAGMA user_version")).scalar_one())


def _make_current(engine: Engine, path: Path) -> int:
    # Two processes may both find it empty or old; the second waits here, and then has nothing to do.
    # SQLite's own lock is not enough: it lets none wait where two turn WAL on.
    with FileLock(f"{path}.lock"), engine.begin() as connection:
        version = connection.execute(text("PRAGMA user_version")).scalar_one()
        metadata.create_all(connection)  # those that an older one lacks, too
        if version == 1:
            connection.execute(text("ALTER TABLE sources ADD COLUMN modified_ns INTEGER"))
            for collection_id in connection.execute(text("SELECT id FROM collections")).scalars().all():
                FullTextIndex(collection_id).recount(connection)
        if version < SCHEMA_VERSION:
            connection.execute(text(f"PRAGMA user_version = {SCHEMA_VERSION}"))
    return _version(engine)


def _configure(connection: Any, _record: object) -> None:
    # The driver's own transactions begin too late for a consistent read: begin them here.
    connection.isolation_level = None
    for pragma in ("journal_mode = WAL", "synchronous = NORMAL", "foreign_keys = ON"):
        connection.execute(f"PRAGMA {pragma}")


def _begin(connection: Connection) -> None:
    # Writers of documents are one at a time by a lock file; a reader's transaction sees one state throughout.
    # One that reads first and then writes would fail at once where another has written in between.
    connection.exec_driver_sql("BEGIN IMMEDIATE" if connection.get_execution_options().get(WRITES) else "BEGIN")
