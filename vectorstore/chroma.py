"""Chroma holds the vectors of passages by passage id. It follows the catalogue, and can be rebuilt from it.

The transaction that changes passages also queues in the catalogue what Chroma has to add or remove; repeating an entry
does no harm. A process that only reads reopens Chroma when the collection's generation has moved, because a client does
not see what another process has written since.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from heapq import nlargest
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from vectorstore.catalog import Catalog
from vectorstore.errors import StoreError
from vectorstore.records import Collection

if TYPE_CHECKING:
    from chromadb import Collection as ChromaCollection
    from chromadb.api.client import Client
    from chromadb.config import Settings
    from langchain_chroma import Chroma

__all__ = ["ReadOnlyIndex", "VectorIndex"]

_BATCH = 1000


class VectorIndex:
    """The Chroma folder that belongs to a catalogue."""

    def __init__(self, folder: Path, catalog: Catalog) -> None:
        """Take the folder; Chroma is opened at the first use."""
        self._folder = folder
        self._catalog = catalog
        self._client: Client | None = None
        self._opened: dict[str, Chroma] = {}  # opening a collection takes longer than searching it
        self._generations: dict[int, int] = {}
        self._lock = threading.RLock()  # a thread must not close the client while another searches with it

    def search(self, collection: Collection, query: Sequence[float], limit: int) -> list[int]:
        """Return the ids of the nearest passages, the nearest first.

        Ids that the catalogue no longer has may be among them.
        """
        with self._lock, self._explained():
            if self._generations.get(collection.id) != collection.generation:
                self.close()
            found = self._open(collection).similarity_search_by_vector(list(query), k=limit)
            self._generations[collection.id] = collection.generation
        return [int(document.id) for document in found if document.id is not None]

    def in_step(self, collection: Collection) -> bool:
        """Return whether this folder has followed the catalogue to its present state; does not open Chroma.

        A folder that was deleted or restored from a copy has not.
        """
        mark = self._mark(collection)
        return (mark.read_text(encoding="ascii") if mark.exists() else "0") == str(collection.generation)

    def _mark(self, collection: Collection) -> Path:
        return self._folder / f"collection-{collection.id}.generation"

    def follow(self, collection: Collection) -> None:
        """Bring Chroma up to date with the catalogue; only the writer calls this."""
        entries = self._catalog.queued(collection.id, _BATCH)
        if not entries:
            return
        with self._lock, self._explained():
            self._follow(collection, entries)

    def _follow(self, collection: Collection, entries: list[tuple[int, int, bool]]) -> None:
        store = self._rows(collection)
        while entries:
            removed = [str(passage_id) for _, passage_id, gone in entries if gone]
            added = [passage_id for _, passage_id, gone in entries if not gone]
            with self._catalog.transaction() as connection:
                hashes = self._catalog.hashes(connection, added)
                vectors = self._catalog.vectors.find(connection, collection.embedding, list(set(hashes.values())))
            if removed:
                store.delete(ids=removed)
            # A passage that was removed again is queued twice, and is not in `hashes`.
            rows = {str(passage_id): vectors[key] for passage_id, key in hashes.items()}
            if rows:
                # langchain-chroma wants a document in every row; the texts are in the catalogue.
                store.upsert(ids=list(rows), embeddings=np.stack(list(rows.values())), documents=[""] * len(rows))
            generation = self._catalog.followed(collection.id, entries[-1][0])
            self._mark(collection).write_text(str(generation), encoding="ascii")
            entries = self._catalog.queued(collection.id, _BATCH)

    def reset(self, collection: Collection) -> None:
        """Remove the collection's vectors, of every model; only the writer calls this."""
        self._mark(collection).unlink(missing_ok=True)
        with self._lock, self._explained():
            self._open(collection)
            assert self._client is not None
            for held in self._client.list_collections():
                if held.name.startswith(f"collection-{collection.id}-"):
                    self._client.delete_collection(held.name)
            self._opened.clear()

    def count(self, collection: Collection) -> int:
        """Return how many vectors Chroma holds for the collection."""
        with self._lock, self._explained():
            return int(self._rows(collection).count())

    def close(self) -> None:
        """Close Chroma; the next use reopens it."""
        with self._lock:
            if self._client is not None:
                self._client.close()
                self._client = None
                self._opened.clear()

    def _open(self, collection: Collection) -> Chroma:
        from langchain_chroma import Chroma

        if self._client is None:
            import chromadb

            self._client = cast("Client", chromadb.PersistentClient(str(self._folder), settings=_settings()))
        name = _chroma_name(collection)
        if name not in self._opened:
            self._opened[name] = Chroma(
                client=self._client, collection_name=name, collection_configuration={"hnsw": {"space": "cosine"}}
            )
        return self._opened[name]

    def _rows(self, collection: Collection) -> ChromaCollection:
        """Open the collection beneath LangChain's, whose own `add_texts` would embed again and store the texts."""
        self._open(collection)
        assert self._client is not None
        return self._client.get_collection(_chroma_name(collection), embedding_function=None)

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """Turn whatever Chroma, its database and its Rust core raise into a StoreError."""
        try:
            yield
        except StoreError:
            raise
        except Exception as error:
            raise StoreError(
                f"cannot use the vectors in {self._folder}: {' '.join(str(error).split())}; if the disk is not full, "
                "move the folder away and run kb ingest: it is rebuilt from the catalogue"
            ) from error


class ReadOnlyIndex(VectorIndex):
    """Compares the catalogue's own vectors one by one, since Chroma cannot open a folder that it may only read."""

    def search(self, collection: Collection, query: Sequence[float], limit: int) -> list[int]:
        """Return the ids of the nearest passages, the nearest first."""
        asked = np.asarray(query, dtype=np.float32)
        best: list[tuple[float, int]] = []
        for ids, vectors in self._catalog.vectors.of_collection(collection.id, collection.embedding):
            best = nlargest(limit, [*best, *zip((vectors @ asked).tolist(), ids, strict=True)])
        return [passage_id for _, passage_id in best]

    def count(self, collection: Collection) -> int:
        """Return how many passages of the collection have a vector."""
        return sum(len(ids) for ids, _ in self._catalog.vectors.of_collection(collection.id, collection.embedding))


def _chroma_name(collection: Collection) -> str:
    # Vectors of another model have other dimensions, so they go into another collection.
    model = hashlib.sha256(collection.embedding.encode()).hexdigest()[:12]
    return f"collection-{collection.id}-{model}"


def _settings() -> Settings:
    """Keep Chroma in this process and this folder, whatever a .env file or the environment says."""
    return _settings_class()(anonymized_telemetry=False, chroma_api_impl="chromadb.api.rust.RustBindingsAPI")


@cache
def _settings_class() -> type[Settings]:
    """Made once: Chroma compares the settings of two clients of a folder, class and all."""
    from chromadb.config import Settings

    class OwnSettings(Settings):
        @classmethod
        def settings_customise_sources(cls, settings_cls: Any, init_settings: Any, *_: Any, **__: Any) -> Any:
            return (init_settings,)

    return OwnSettings
