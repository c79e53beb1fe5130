"""The Python API: everything that kb does, as methods of `Assistant`.

The command line and the page call these and render what they return.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from kb_assistant.answering.pipeline import MAX_QUESTION_CHARACTERS, Answering
from kb_assistant.answering.suggestions import Suggestions
from kb_assistant.answering.types import Answer, Citation, Turn
from kb_assistant.llms.active_engine import EngineInUse
from kb_assistant.settings import Settings, home_folder, load_settings

if TYPE_CHECKING:
    import numpy as np

    from ingest.page_image import PageImage
    from kb_assistant.answering.chain import KnowledgeBaseQA
    from kb_assistant.answering.citation_view import OpenedPassage
    from kb_assistant.bench import Measurement
    from kb_assistant.chats.service import Chats
    from kb_assistant.evaluation import Comparison
    from kb_assistant.evaluation.calibration import Calibration
    from kb_assistant.llms.base import Engine
    from kb_assistant.sync.indexer import IngestReport
    from kb_assistant.sync.mirror import Mirroring
    from kb_assistant.sync.uploads import Upload
    from vectorstore import CollectionInfo, Filter, Hit, SourceInfo, Store, StoreRetriever

__all__ = ["MAX_QUESTION_CHARACTERS", "Assistant"]


class Assistant:
    """A knowledge base and what answers from it. Use as a context manager, or call `close`."""

    def __init__(self, home: Path, settings: Settings, store: Store) -> None:
        """Take ready parts; `open` makes them."""
        self.home = home
        self.observers: list[Callable[[Answer | BaseException], None]] = []
        """Called with each answer, or with what ended it: GeneratorExit or `Cancelled` where it was stopped."""
        self._store = store
        self._in_use = EngineInUse(home, settings)
        self._answering = Answering(store, self._in_use, self._tell)
        self._suggestions = Suggestions(store, self._answering.nearest)

    @classmethod
    def open(cls, home: Path | str | None = None, **settings: Any) -> Assistant:
        """Open the knowledge base in `home` (default: KB_HOME), making it where there is none.

        Args:
            home: the folder that holds everything.
            settings: fields of `Settings`, above the environment and kb.toml.

        Raises:
            SettingsError: a setting is unknown or does not hold.
            StoreError: the store, its embedding model or the reranker cannot be used.
        """
        folder = home_folder(home)
        loaded = load_settings(folder, **settings)
        from kb_assistant.privacy import keep_offline

        keep_offline()
        from vectorstore import Store, find_reranker, load_embeddings

        models = folder / "models"
        reranker = find_reranker(loaded.reranker, models)
        embedder = load_embeddings(
            loaded.embedding_model, models, dtype=loaded.embedding_dtype, batch_size=loaded.embedding_batch
        )
        return cls(folder, loaded, Store.open(folder, embedder, reranker))

    @property
    def settings(self) -> Settings:
        """The settings in force; set here, they hold for what follows, and an engine that is loaded stays."""
        return self._in_use.settings

    @settings.setter
    def settings(self, settings: Settings) -> None:
        self._in_use.settings = settings

    def change_settings(self, **values: str | float) -> Settings:
        """Set settings from now on: here at once, and in the home's kb.toml for later runs.

        Raises:
            SettingsError: a value does not hold, or cannot be written; then nothing has changed.
            ModelError: the engine cannot use its model; then nothing has changed.
        """
        return self._in_use.change(**values)

    def close(self) -> None:
        """Close the store."""
        self._store.close()

    def __enter__(self) -> Self:
        """Return the assistant itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the store."""
        self.close()

    # Documents

    def ingest(
        self,
        *paths: Path | str,
        collection: str | None = None,
        dry_run: bool = False,
        keep_missing: bool = False,
        delete_missing: bool = False,
        passwords: Sequence[str] = (),
        progress: Callable[[int, int, str], None] = lambda done, total, name: None,
        waiting: Callable[[str], None] = lambda message: None,
    ) -> IngestReport:
        """Make the collection mirror the folders and files at `paths`.

        Args:
            paths: folders, or single files; none for all that the collection mirrors already, and its uploads.
            collection: the collection; made where there is none and there are paths.
            dry_run: only report what would be done.
            keep_missing: keep documents whose files are gone.
            delete_missing: delete them even where a whole folder is empty or gone.
            passwords: tried on files that are encrypted; kept nowhere.
            progress: called with (files done, files in all, the file just done).
            waiting: called with a message where another process is writing and this one waits.

        Raises:
            UsageError: a path is not there.
            EmptiedFolderError: a folder that had documents is empty or gone now.
            UnknownCollectionError: there are no paths, and no such collection.
        """
        return self._mirroring(collection, passwords).ingest(
            [Path(path) for path in paths],
            dry_run=dry_run,
            keep_missing=keep_missing,
            delete_missing=delete_missing,
            progress=progress,
            waiting=waiting,
        )

    def upload(
        self,
        files: Sequence[Upload],
        *,
        collection: str | None = None,
        replacing: bool = False,
        passwords: Sequence[str] = (),
        progress: Callable[[int, int, str], None] = lambda done, total, name: None,
        waiting: Callable[[str], None] = lambda message: None,
    ) -> IngestReport:
        """Take in files that were sent: each becomes a document like any other, under its own file name.

        Their bytes are kept under KB_HOME/uploads for as long as the documents are. One that is refused has the
        status "refused" or "unsupported" in the report, with the reason.

        Args:
            files: their names, which are never used as paths, and their contents.
            collection: the collection; made where there is none.
            replacing: whether a file takes the place of an uploaded document that has its name, of which something
                could be read; else it is refused. A document from a folder is never replaced.
            passwords: tried on files that are encrypted; kept nowhere.
            progress: called with (files done, files in all, the file just done).
            waiting: called with a message where another process is writing and this one waits.

        Raises:
            UsageError: there are too many files, or one has no name.
            KbError: there is no room for them.
        """
        mirroring = self._mirroring(collection, passwords)
        return mirroring.upload(files, replacing=replacing, progress=progress, waiting=waiting)

    def watch(
        self,
        *paths: Path | str,
        collection: str | None = None,
        keep_missing: bool = False,
        passwords: Sequence[str] = (),
        progress: Callable[[int, int, str], None] = lambda done, total, name: None,
        waiting: Callable[[str], None] = lambda message: None,
        stop: threading.Event | None = None,
    ) -> Iterator[IngestReport]:
        """Yield the report of a first `ingest`, and of another one after each change under `paths`.

        A burst of changes is one, and a file that is still being written is waited for. Ends
        when `stop` is set.

        Args:
            paths: folders, or single files.
            collection: the collection; made where there is none.
            keep_missing: keep documents whose files are gone.
            passwords: tried on files that are encrypted; kept nowhere.
            progress: as for `ingest`.
            waiting: called with a message where this waits, or where a folder was found empty and left alone.
            stop: ends it.

        Raises:
            UsageError: a path is not there.
        """
        return self._mirroring(collection, passwords).watch(
            [Path(path) for path in paths],
            keep_missing=keep_missing,
            progress=progress,
            waiting=waiting,
            stop=stop or threading.Event(),
        )

    def _mirroring(self, collection: str | None, passwords: Sequence[str] = ()) -> Mirroring:
        from kb_assistant.sync.mirror import Mirroring

        return Mirroring(self._store, self.settings, collection or self.settings.collection, passwords)

    def sources(self, collection: str | None = None) -> list[SourceInfo]:
        """Return the documents in a collection, by name, with the paths of their files."""
        info = self._store.catalog.collection(collection or self.settings.collection)
        # An uploaded one's path goes from the home folder.
        return [replace(one, path=str(self.home / one.path)) for one in self._store.catalog.sources(info.id)]

    def folders(self, collection: str | None = None) -> list[Path]:
        """Return the folders and files that a collection mirrors."""
        info = self._store.catalog.collection(collection or self.settings.collection)
        return self._store.catalog.roots(info.id)

    def remove(
        self,
        *names: str,
        collection: str | None = None,
        patterns: bool = True,
        waiting: Callable[[str], None] = lambda message: None,
    ) -> list[str]:
        """Remove documents by name or by pattern (`*`, `?`), and return the names removed.

        Their files stay where they are, and the next `ingest` of their folder brings them back; those that were
        uploaded go.

        Args:
            names: the documents' names, or patterns.
            collection: the collection.
            patterns: whether a name that no document has is taken as a pattern.
            waiting: called with a message where another process is writing and this one waits.

        Raises:
            UnknownSourceError: a name is not there; then nothing is removed.
        """
        return self._mirroring(collection).remove(names, patterns=patterns, waiting=waiting)

    def collections(self) -> list[CollectionInfo]:
        """Return all collections, by name."""
        return self._store.catalog.collections()

    def text(self, source: str, collection: str | None = None) -> str:
        """Return a document's text as it was read.

        Raises:
            StoreError: there is no such collection or document.
        """
        return self._store.text(collection or self.settings.collection, source)

    def check(self) -> list[tuple[str, bool, str]]:
        """Return (what, whether it is sound, detail) for each part of the store."""
        from kb_assistant.sync.uploads import Uploads

        return [*self._store.check(), ("uploads", *Uploads(self._store).check())]

    def check_reranker(self) -> str:
        """Return what reorders the passages that are found, loaded to see that it can be.

        Raises:
            RerankerError: it cannot be loaded.
        """
        reranker = self._store.reranker
        if reranker is None:
            return "none; the setting reranker takes the folder of a cross-encoder"
        reranker.load()
        return f"{reranker.directory.name} loads"

    # Questions

    def search(
        self,
        question: str,
        *,
        limit: int = 10,
        collection: str | None = None,
        source: str | None = None,
        only: Filter | None = None,
    ) -> list[Hit]:
        """Return the passages nearest to a question, the best first.

        Args:
            question: in Chinese or English.
            limit: how many at most.
            collection: where to look.
            source: only documents whose names match this pattern (`*`, `?`).
            only: only documents that meet this; see `kb_assistant.answering.filters`.

        Raises:
            UsageError: the question is empty or too long.
        """
        from vectorstore import Filter

        chosen = only or Filter()
        if source is not None:
            chosen = replace(chosen, source=source)
        return self._answering.search(question, limit, collection, chosen)

    def ask(
        self,
        question: str,
        *,
        collection: str | None = None,
        history: Sequence[Turn] = (),
        only: Filter | None = None,
    ) -> Answer:
        """Answer a question from the documents; see `stream`."""
        *_, answer = self.stream(question, collection=collection, history=history, only=only)
        if not isinstance(answer, Answer):  # `stream` ends with one, or raises
            raise TypeError(type(answer).__name__)
        return answer

    def stream(
        self,
        question: str,
        *,
        collection: str | None = None,
        history: Sequence[Turn] = (),
        only: Filter | None = None,
        on_passages: Callable[[tuple[Citation, ...]], None] | None = None,
        on_waiting: Callable[[int], None] | None = None,
        stop: threading.Event | None = None,
    ) -> Iterator[str | Answer]:
        """Yield the answer's text as it is written, then the `Answer`.

        Closing the iterator stops the engine within a token. `stop` does so from another thread, also
        while this one waits for the first.

        Args:
            question: in Chinese or English.
            collection: where to look.
            history: the conversation so far, so that a follow-up is understood.
            only: only documents that meet this; see `kb_assistant.answering.filters`.
            on_passages: called with the beginnings of the passages once they are found, before any text.
            on_waiting: called with how many other callers the engine answers first, when that changes.
            stop: ends the answer when it is set.

        Raises:
            Cancelled: `stop` was set.
            UsageError: the question is empty or too long.
            ModelError: the language model cannot be used.
            StoreError: the store cannot be used.
        """
        return self._answering.stream(
            question,
            collection=collection,
            history=history,
            only=only,
            on_passages=on_passages,
            on_waiting=on_waiting,
            stop=stop,
        )

    def _tell(self, outcome: Answer | BaseException) -> None:
        for observer in self.observers:
            observer(outcome)

    def covered(self, question: str, collection: str | None = None, only: Filter | None = None) -> float:
        """Return the share of a question, 0 to 1, that the passage nearest to it covers."""
        return self._answering.covered(question, collection, only)

    @property
    def chats(self) -> Chats:
        """The conversations that are kept."""
        from kb_assistant.chats.service import Chats
        from vectorstore import ChatLog

        return Chats(self, ChatLog(self._store.catalog))

    def suggestions(self, collection: str | None = None, limit: int = 4) -> tuple[str, ...]:
        """Return first questions that the documents of a collection answer; worked out once for each state of it."""
        name = collection or self.settings.collection
        return self._suggestions.of(name, limit, refuse_below=self.settings.refuse_below)

    def open_passage(self, citation: Citation, collection: str | None = None) -> OpenedPassage:
        """Return the passage that a citation quotes, with what stands around it; see `answering.citation_view`.

        Raises:
            UsageError: it quotes nothing.
            StoreError: there is no such collection.
        """
        from kb_assistant.answering.citation_view import open_passage

        name = collection or self.settings.collection
        return open_passage(self._store, name, citation.source, citation.quote, citation.page, citation.line_start)

    def page_image(self, citation: Citation, collection: str | None = None) -> PageImage:
        """Return the page that a citation quotes as a picture, with the place of its words.

        Raises:
            UsageError: it is not of a PDF.
            IngestError: the page cannot be drawn.
            StoreError: there is no such collection.
        """
        from kb_assistant.answering.citation_view import page_image

        name = collection or self.settings.collection
        return page_image(self._store, name, citation.source, [citation.quote], citation.page or 0)

    def embed(self, texts: Sequence[str]) -> np.ndarray:
        """Return the texts' unit vectors as documents are embedded, float32, of shape (texts, dimensions)."""
        return self._store.embedder.embed(texts)

    # Quality

    def evaluate(
        self,
        path: Path | str,
        *,
        collection: str | None = None,
        limit: int | None = None,
        compare: Mapping[str, str] | None = None,
        progress: Callable[[int, int, str], None] = lambda done, total, name: None,
    ) -> Comparison:
        """Measure retrieval, answers and refusals on a file of questions; see `kb_assistant.evaluation`.

        Documents that the file brings go into a home that is thrown away.

        Args:
            path: SQuAD JSON, JSON lines about a collection, or RGB's lines.
            collection: the collection, for questions that bring no documents.
            limit: most questions asked, drawn with a fixed seed; None for all.
            compare: settings of a second run on the same questions, by name.
            progress: called with (questions asked, questions in all, what is being done).

        Raises:
            UsageError: the file or a setting cannot be used.
        """
        from kb_assistant.evaluation import evaluate

        name = collection or self.settings.collection
        return evaluate(self, Path(path), collection=name, limit=limit, compare=compare or {}, progress=progress)

    def calibrate(
        self,
        path: Path | str,
        *,
        collection: str | None = None,
        limit: int | None = None,
        progress: Callable[[int, int, str], None] = lambda done, total, name: None,
    ) -> Calibration:
        """Fit the refusal threshold to a collection; see `kb_assistant.evaluation.calibration`.

        Where the new one tells questions apart better, it is written to the home's kb.toml, and in force from
        the next `open` on.

        Args:
            path: JSON lines with questions about the collection.
            collection: what they are about.
            limit: most questions asked, drawn with a fixed seed; None for all.
            progress: called with (questions asked, questions in all, what is being done).

        Raises:
            UsageError: the file cannot be used or holds too few questions; then nothing is written.
        """
        from kb_assistant.evaluation.calibration import calibrate

        name = collection or self.settings.collection
        return calibrate(self, Path(path), collection=name, limit=limit, progress=progress)

    def bench(
        self,
        *,
        shape: str | None = None,
        tokenizer: Path | None = None,
        prompt_tokens: Sequence[int] = (),
        new_tokens: int = 64,
        progress: Callable[[str], None] = lambda message: None,
    ) -> Iterator[Measurement]:
        """Measure how fast the models that are set are on this machine; see `kb_assistant.bench`.

        Args:
            shape: measure random weights of this shape instead, with every engine.
            tokenizer: the folder of the tokenizer for them.
            prompt_tokens: lengths of the prompts; none: 128, 1,024 and 4,096.
            new_tokens: how many tokens an answer has.
            progress: called with what is being measured.

        Raises:
            UsageError: there is no such shape.
            ModelError: a model cannot be used, or there is no room for it.
        """
        from kb_assistant.bench import bench

        settings = self.settings.model_copy(update={"engine": self.engine_name})
        return bench(
            settings,
            self.home / "models",
            shape=shape,
            tokenizer=tokenizer,
            prompt_tokens=prompt_tokens,
            new_tokens=new_tokens,
            progress=progress,
        )

    # LangChain

    @property
    def retriever(self) -> StoreRetriever:
        """The default collection as a LangChain retriever."""
        return self._answering.retriever(None)

    @property
    def chain(self) -> KnowledgeBaseQA:
        """The `RetrievalQA` chain that answers from the default collection."""
        return self._answering.chain(None)

    # The engine

    @property
    def engine_name(self) -> str:
        """The engine that answers: the one set, or with "auto" the one that the settings' model is for."""
        return self._in_use.name

    @property
    def sends_to(self) -> str | None:
        """The host that questions and passages are sent to; None where they stay on this machine.

        Raises:
            SettingsError: base_url is no address.
        """
        return self._in_use.sends_to

    @property
    def queue_length(self) -> int:
        """How many callers the language model serves or has yet to serve."""
        return self._in_use.queue_length

    @property
    def engine(self) -> Engine | None:
        """The language model, loaded at the first use; None for the extractive engine.

        Raises:
            ModelError: no model is set, or it cannot be loaded.
        """
        return self._in_use.engine
