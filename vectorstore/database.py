"""Opens the catalogue's SQLite database and brings it up to date; or reads it only, where it may only be read.

Nothing outside this module and `fulltext` depends on SQLite.
"""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path
from typing import Any
from urllib.parse import quote

from filelock import FileLock
from sqlalchemy import URL, Connection, Engine, NullPool, create_engine, event, text

from vectorstore.errors import StoreError
from vectorstore.fulltext import FullTextIndex
from vectorstore.schema import metadata

__all__ = ["WRITES", "is_read_only", "open_database"]

SCHEMA_VERSION = 4
_READABLE_SINCE = 3
"""Catalogues of this version and later ones have all that a search reads."""
WRITES = "kb_writes"
"""The execution option of a transaction in which anything is written."""
_TIMEOUT_S = 30


def is_read_only(path: Path) -> bool:
    """Return whether the database at `path` exists and may only be read; SQLite writes beside it too."""
    return path.exists() and not (os.access(path, os.W_OK) and os.access(path.parent, os.W_OK))


def open_database(path: Path) -> Engine:
    """Open the catalogue at `path`, making it where there is none.

    Raises:
        StoreError: it was made by a newer version, or is not a catalogue.
    """
    engine = _read_only_engine(path) if is_read_only(path) else _engine(path)
    event.listen(engine, "begin", _begin)
    try:
        version = _version(engine) if path.exists() and path.stat().st_size else 0
        if version < (_READABLE_SINCE if is_read_only(path) else SCHEMA_VERSION):
            version = _make_current(engine, path)
    except Exception as error:
        engine.dispose()
        raise StoreError(f"cannot open the catalogue {path}: {error.__cause__ or error}; {_remedy(path)}") from error
    if version > SCHEMA_VERSION:
        engine.dispose()
        raise StoreError(f"the catalogue {path} was made by a newer kb; upgrade kb to use it")
    return engine


def _engine(path: Path) -> Engine:
    # A URL object, because "?" and "%" have a meaning in a string.
    engine = create_engine(URL.create("sqlite", database=str(path)), connect_args={"timeout": _TIMEOUT_S})
    event.listen(engine, "connect", _configure)
    return engine


def _read_only_engine(path: Path) -> Engine:
    def connect() -> sqlite3.Connection:
        # SQLite would make a write-ahead log unless the file is declared immutable. A log that is there shows that
        # somebody is writing: so every transaction opens a connection of its own (NullPool) and looks again.
        unchanging = "" if Path(f"{path}-wal").exists() else "&immutable=1"
        opened = sqlite3.connect(
            f"file:{quote(str(path))}?mode=ro{unchanging}", uri=True, timeout=_TIMEOUT_S, check_same_thread=False
        )
        opened.isolation_level = None
        return opened

    return create_engine(URL.create("sqlite", database=str(path)), creator=connect, poolclass=NullPool)


def _remedy(path: Path) -> str:
    if path.exists() and not os.access(path, os.R_OK):
        return "it may not be read by this account; allow it, or set KB_HOME to another folder"
    if not os.access(path.parent, os.W_OK):
        return f"{path.parent} cannot be written to; allow it, or set KB_HOME to another folder"
    return "restore it from a copy, or move it away and ingest again"


def _version(engine: Engine) -> int:
    with engine.connect() as connection:
        return int(connection.execute(text("PRAGMA user_version")).scalar_one())


def _make_current(engine: Engine, path: Path) -> int:
    # Of two processes that find it empty or old, the second waits here and then has nothing to do. SQLite's own lock
    # is not enough: two that turn WAL on at once do not wait for each other.
    with FileLock(f"{path}.lock"), engine.begin() as connection:
        version = connection.execute(text("PRAGMA user_version")).scalar_one()
        metadata.create_all(connection)  # also adds tables that an older catalogue lacks
        if version == 1:
            connection.execute(text("ALTER TABLE sources ADD COLUMN modified_ns INTEGER"))
            for collection_id in connection.execute(text("SELECT id FROM collections")).scalars().all():
                FullTextIndex(collection_id).recount(connection)
        if version < SCHEMA_VERSION:
            connection.execute(text(f"PRAGMA user_version = {SCHEMA_VERSION}"))
    return _version(engine)


def _configure(connection: Any, _record: object) -> None:
    # The driver begins its own transactions too late for a consistent read, so `_begin` does.
    connection.isolation_level = None
    for pragma in ("journal_mode = WAL", "synchronous = NORMAL", "foreign_keys = ON"):
        connection.execute(f"PRAGMA {pragma}")


def _begin(connection: Connection) -> None:
    # A transaction that first reads and then writes would fail if another process wrote in between.
    connection.exec_driver_sql("BEGIN IMMEDIATE" if connection.get_execution_options().get(WRITES) else "BEGIN")
