"""The catalogue's tables.

    collections ─┬─ roots               folders (or files) that the collection mirrors
                 ├─ removed_files       files there that were removed from it, and stay out
                 ├─ sources ─── chunks  a row for each file; where in it passages occur
                 ├─ passages ──┘        each text that is indexed, once
                 └─ chroma_queue        changes that Chroma has yet to follow
    vectors                             embeddings by (model, text), whoever uses them

The full-text indexes are FTS5 tables beside these, see `fulltext`.
"""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
)

__all__ = [
    "chroma_queue",
    "chunks",
    "collections",
    "metadata",
    "passages",
    "removed_files",
    "roots",
    "sources",
    "vectors",
]

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
    # Moves whenever Chroma changes, so that other processes know when to reopen it.
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

removed_files = Table(
    "removed_files",
    metadata,
    Column("id", Integer, primary_key=True),
    _collection_key(),
    Column("path", Text, nullable=False),
    # By this a file is known again after it was moved.
    Column("content_hash", Text, nullable=False),
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
    # Versions and settings that the chunks were made with; if they differ, the chunks are made again.
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
    sqlite_autoincrement=True,  # ids are never reused: Chroma may still hold an old one
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
