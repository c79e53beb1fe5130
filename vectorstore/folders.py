"""The folders that a collection mirrors, and the files in them that were removed from it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from sqlalchemy import delete, insert, select

from vectorstore.catalog import Catalog
from vectorstore.schema import removed_files, roots

__all__ = ["Folders"]


class Folders:
    """What the catalogue knows of one collection's folders."""

    def __init__(self, catalog: Catalog, collection_id: int) -> None:
        """Take the catalogue and the collection."""
        self._catalog = catalog
        self._collection_id = collection_id

    def roots(self) -> list[Path]:
        """Return the folders and files that the collection mirrors."""
        query = select(roots.c.path).where(roots.c.collection_id == self._collection_id).order_by(roots.c.id)
        with self._catalog.transaction() as connection:
            return [Path(path) for path in connection.scalars(query)]

    def removed(self) -> dict[str, str]:
        """Return the files that were removed from the collection and stay out: content hashes by path."""
        query = select(removed_files.c.path, removed_files.c.content_hash).where(
            removed_files.c.collection_id == self._collection_id
        )
        with self._catalog.transaction() as connection:
            return {row.path: row.content_hash for row in connection.execute(query)}

    def update(self, paths: Iterable[Path], removed: Mapping[str, str]) -> None:
        """Replace both: the folders and files that the collection mirrors, and what was removed."""
        own = {"collection_id": self._collection_id}
        root_rows = [{**own, "path": str(path)} for path in paths]
        removed_rows = [{**own, "path": path, "content_hash": digest} for path, digest in removed.items()]
        with self._catalog.transaction(writes=True) as connection:
            for table, rows in ((roots, root_rows), (removed_files, removed_rows)):
                connection.execute(delete(table).where(table.c.collection_id == self._collection_id))
                if rows:
                    connection.execute(insert(table), rows)
