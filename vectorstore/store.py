"""The store: catalogue, full text, Chroma and embeddings together, with one writer at a time."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path

from filelock import FileLock, Timeout

from vectorstore.analysis import query_terms
from vectorstore.catalog import Catalog
from vectorstore.chroma import ReadOnlyIndex, VectorIndex
from vectorstore.embeddings import BUILT_IN, Embedder, HashedEmbeddings
from vectorstore.errors import EmbeddingMismatchError, StoreError, UnknownSourceError
from vectorstore.fulltext import FullTextIndex
from vectorstore.hit import Hit
from vectorstore.passages import Passages
from vectorstore.records import EVERYTHING, Collection, Filter, NewSource, Passage, text_hash
from vectorstore.reranker import Reranker
from vectorstore.search import Search

__all__ = ["Store"]

_EMBED_BATCH = 1024


class Store:
    """A folder with `catalog.db` and `chroma/`, and the embeddings that its vectors come from."""

    def __init__(
        self, folder: Path, catalog: Catalog, index: VectorIndex, embedder: Embedder, reranker: Reranker | None = None
    ) -> None:
        """Take ready parts; `open` makes them."""
        self.folder = folder
        self.catalog = catalog
        self.embedder = embedder
        self.reranker = reranker
        self._index = index

    @classmethod
    def open(cls, folder: Path, embedder: Embedder, reranker: Reranker | None = None) -> Store:
        """Open the store in `folder`, making it where there is none.

        Raises:
            StoreError: the folder cannot be made, or the catalogue cannot be opened.
        """
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StoreError(
                f"cannot make the folder {folder}: {error.strerror}; set KB_HOME to a folder that can be written to"
            ) from error
        catalog = Catalog(folder / "catalog.db")
        kind = ReadOnlyIndex if catalog.read_only else VectorIndex
        return cls(folder, catalog, kind(folder / "chroma", catalog), embedder, reranker)

    def close(self) -> None:
        """Close the databases."""
        self._index.close()
        self.catalog.close()

    # Reading

    def search(
        self,
        collection_name: str,
        question: str,
        limit: int,
        only: Filter = EVERYTHING,
        weights: Mapping[str, float] | None = None,
    ) -> list[Hit]:
        """Return the passages nearest to the question, the best first, in the documents that meet the filter.

        Of near duplicates only the best is returned, see `duplicates`. `weights` are those of `term_weights`, if the
        caller has them already.

        Raises:
            UnknownCollectionError: there is no such collection.
            EmbeddingMismatchError: it was embedded with another model.
            RerankerError: there is a reranker, and it cannot be loaded.
        """
        return self._searching().hits(self._readable(collection_name), question, limit, only, weights)

    def search_full_text(self, collection_name: str, question: str, limit: int) -> list[Passage]:
        """Return the passages that full text alone finds, the best first.

        Raises:
            UnknownCollectionError: there is no such collection.
        """
        return self._searching().full_text(self.catalog.collection(collection_name), question, limit)

    def search_vectors(self, collection_name: str, question: str, limit: int) -> list[Passage]:
        """Return the passages that vectors alone find, the nearest first.

        Raises:
            UnknownCollectionError: there is no such collection.
            EmbeddingMismatchError: it was embedded with another model.
        """
        return self._searching().vectors(self._readable(collection_name), question, limit)

    def text(self, collection_name: str, source: str) -> str:
        """Return a document's text as its chunks hold it.

        Raises:
            UnknownCollectionError: there is no such collection.
            UnknownSourceError: it has no such document, or the document has no text.
        """
        collection = self.catalog.collection(collection_name)
        with self.catalog.transaction() as connection:
            text = Passages(collection.id).text(connection, source)
        if text is None:
            raise UnknownSourceError(f"no text of {source!r} in collection {collection_name!r}; see kb sources")
        return text

    def section(self, collection_name: str, chunk_id: int, reach: int) -> list[Passage]:
        """Return a chunk and its neighbours in its section, in the document's order; see `Passages.section`."""
        collection = self.catalog.collection(collection_name)
        with self.catalog.transaction() as connection:
            return Passages(collection.id).section(connection, chunk_id, reach)

    def quoted(self, collection_name: str, source: str, words: str, page: int | None, line: int) -> int | None:
        """Return the id of the chunk that holds a quotation; None if the document no longer holds it."""
        collection = self.catalog.collection(collection_name)
        with self.catalog.transaction() as connection:
            return Passages(collection.id).holding(connection, source, words, page, line)

    def count_documents(self, collection_name: str, only: Filter = EVERYTHING) -> int:
        """Return how many documents of a collection meet a filter."""
        collection = self.catalog.collection(collection_name)
        with self.catalog.transaction() as connection:
            return Passages(collection.id).count_sources(connection, only)

    def has_text(self, collection_name: str, only: Filter = EVERYTHING) -> bool:
        """Return whether any document that meets a filter has text to search."""
        collection = self.catalog.collection(collection_name)
        with self.catalog.transaction() as connection:
            return bool(Passages(collection.id).matching(connection, only, 1))

    def headings(self, collection_name: str, limit: int) -> list[tuple[str, tuple[str, ...]]]:
        """Return the distinct (source, headings) of a collection's first `limit` chunks, in the documents' order."""
        collection = self.catalog.collection(collection_name)
        with self.catalog.transaction() as connection:
            return Passages(collection.id).headings(connection, limit)

    def term_weights(self, collection_name: str, question: str) -> dict[str, float]:
        """Return the question's terms, each with its rarity in the collection."""
        collection = self.catalog.collection(collection_name)
        with self.catalog.transaction() as connection:
            return FullTextIndex(collection.id).weights(connection, query_terms(question))

    def holds(self, collection_name: str, words: str) -> bool:
        """Return whether any passage of the collection holds any of the words."""
        collection = self.catalog.collection(collection_name)
        with self.catalog.transaction() as connection:
            return FullTextIndex(collection.id).holds(connection, query_terms(words))

    def _searching(self) -> Search:
        return Search(self.catalog, self._index, self.embedder, self.reranker)

    def _readable(self, name: str) -> Collection:
        collection = self.catalog.collection(name)
        # Built-in vectors of an earlier version are renewed by the next ingest; until then full text is searched.
        renewable = isinstance(self.embedder, HashedEmbeddings) and collection.embedding.startswith(BUILT_IN)
        if collection.embedding != self.embedder.model_id and not renewable:
            raise EmbeddingMismatchError(
                f"collection {name!r} was embedded with {collection.embedding}, and {self.embedder.model_id} is set; "
                "run kb ingest on its folder to embed it anew, or set the former embedding_model again"
            )
        return collection

    def check(self) -> list[tuple[str, bool, str]]:
        """Return (what, whether it is sound, detail) for the catalogue and for each collection's indexes."""
        damage = self.catalog.damage()
        if damage is not None:
            detail = (
                f"{damage}; the documents are untouched: move {self.folder / 'catalog.db'}* away "
                "and ingest their folders again"
            )
            return [("catalogue", False, detail)]
        found = [("catalogue", True, "sound")]
        for collection in self.catalog.collections():
            held = self._index.count(collection) if collection.embedding == self.embedder.model_id else None
            indexed = self.catalog.indexed(collection.id)
            detail = (
                f"{collection.sources} documents, {collection.chunks} chunks of {collection.passages} texts, "
                f"{indexed} in full text"
            )
            sound = indexed == collection.passages
            if held is None:
                detail += f"; embedded with {collection.embedding}, not with the model that is set"
            else:
                detail += f", {held} vectors"
                sound = sound and held == collection.passages
            if not sound:
                # The next ingest finishes what a killed run left undone, and refills a Chroma that is not in step.
                behind = self.catalog.queued(collection.id, 1) or not self._index.in_step(collection)
                detail += "; run kb ingest" if behind else f"; delete {self.folder / 'chroma'} and run kb ingest"
            found.append((f"collection {collection.name}", sound, detail))
        return found

    # Writing

    @contextmanager
    def writing(self, waiting: Callable[[str], None]) -> Iterator[None]:
        """Be the only writer; while there is another, say so through `waiting` and wait.

        Raises:
            StoreError: this account may only read the store.
        """
        self.catalog.check_writable()
        lock = FileLock(self.folder / "writer.lock")
        holder = self.folder / "writer.pid"
        try:
            lock.acquire(timeout=0)
        except Timeout:
            try:
                who = holder.read_text(encoding="ascii") or "unknown"
            except FileNotFoundError:  # it has just begun, or just ended
                who = "unknown"
            waiting(f"another kb (process {who}) is writing to {self.folder}; waiting for it")
            lock.acquire()
        try:
            holder.write_text(str(os.getpid()), encoding="ascii")
            yield
        finally:
            holder.unlink(missing_ok=True)
            lock.release()

    def prepare(self, collection_name: str) -> Collection:
        """Make the collection if needed, embed it with the model in use, bring Chroma in step, and return it."""
        collection = self.catalog.ensure_collection(collection_name, self.embedder.model_id)
        if collection.embedding != self.embedder.model_id:
            while texts := self.catalog.vectors.unembedded(collection.id, self.embedder.model_id, _EMBED_BATCH):
                self.embed(texts)
            self._index.reset(collection)  # else passages removed later would stay among the former model's vectors
            self.catalog.set_embedding(collection.id, self.embedder.model_id)
            collection = self.catalog.collection(collection_name)
        if not self._index.in_step(collection):
            self._index.reset(collection)
            self.catalog.requeue(collection.id)
        self._index.follow(collection)
        return collection

    def expect_writing(self) -> None:
        """Import the libraries that write vectors, in a thread: it takes a second, while the first files are read."""
        threading.Thread(target=import_module, args=("langchain_chroma",), daemon=True).start()

    def embed(self, texts: Iterable[str]) -> int:
        """Embed the texts that have no vector yet, and return how many these were."""
        by_hash = {text_hash(text): text for text in texts}
        missing = self.catalog.vectors.missing(self.embedder.model_id, list(by_hash))
        wanted = [key for key in by_hash if key in missing]
        for start in range(0, len(wanted), _EMBED_BATCH):
            keys = wanted[start : start + _EMBED_BATCH]
            vectors = self.embedder.embed([by_hash[key] for key in keys])
            self.catalog.vectors.add(self.embedder.model_id, zip(keys, vectors, strict=True))
        return len(wanted)

    def replace(self, collection: Collection, sources: Sequence[NewSource]) -> int:
        """Store sources, replacing those at the same paths, and return how many texts were embedded."""
        embedded = self.embed(chunk.indexed_text for source in sources for chunk in source.chunks)
        for source in sources:
            self.catalog.replace_source(collection.id, source)
        self._index.follow(collection)
        return embedded

    def remove(self, collection: Collection, names: Sequence[str]) -> None:
        """Remove sources everywhere.

        Raises:
            UnknownSourceError: one of them is not there; then none is removed.
        """
        self.catalog.remove_sources(collection.id, names)
        self._index.follow(collection)

    def remove_collection(self, collection: Collection) -> None:
        """Remove a collection everywhere, with all its documents."""
        self._index.reset(collection)  # first: if it is cut short, the next `prepare` fills Chroma again
        self.catalog.remove_collection(collection.id)
