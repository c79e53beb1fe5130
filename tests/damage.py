"""Breaks a catalogue the way a failing disk does."""

import sqlite3
from contextlib import closing
from pathlib import Path


def damage(path: Path) -> None:
    """Overwrite every page of an SQLite file but those that hold its schema."""
    with closing(sqlite3.connect(path)) as connection:
        size = connection.execute("PRAGMA page_size").fetchone()[0]
        query = "SELECT pageno FROM dbstat WHERE name = 'sqlite_schema'"
        kept = {number for (number,) in connection.execute(query)}
    data = path.read_bytes()
    pages = [data[start : start + size] for start in range(0, len(data), size)]
    path.write_bytes(b"".join(page if number in kept else b"\x55" * size for number, page in enumerate(pages, start=1)))
