"""The Python API: everything that kb does, as methods of `Assistant`.

The command line and the page call these and render what they return.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from kb_assistant.answer import Answer, Citation, Timing, Turn
from kb_assistant.errors import EmptiedFolderError, UsageError
from kb_assistant.settings import Settings, home_folder, load_settings, save_setting

if TYPE_CHECKING:
    import numpy as np
    from langchain_core.documents import Document

    from ingest.page_image import PageImage
    from kb_assistant.bench import Measurement
    from kb_assistant.chain import KnowledgeBaseQA
    from kb_assistant.chats import Chats
    from kb_assistant.conversation import Asked
    from kb_assistant.evaluation import Comparison
    from kb_assistant.evaluation.calibration import Calibration
    from kb_assistant.indexing import Indexer, IngestReport
    from kb_assistant.llms.base import Engine
    from kb_assistant.opening import OpenedPassage
    from kb_assistant.uploads import Upload
    from vectorstore import CollectionInfo, Filter, Hit, SourceInfo, Store, StoreRetriever

__all__ = ["MAX_QUESTION_CHARACTERS", "Assistant"]

MAX_QUESTION_CHARACTERS = 10_000
_OFFERED = 3
"""How many of the nearest passages a refusal offers."""
_SURE = 0.5
"""Least relevance, 0 to 1, of what is suggested as a question."""
_HEADINGS = 400
"""How many chunks' headings are looked at for questions to suggest."""
_HELD_BY_ENGINE = ("engine", "model", "max_new_tokens")


class Assistant:
    """A knowledge base and what answers from it. Use as a context manager, or call `close`."""

    def __init__(self, home: Path, settings: Settings, store: Store) -> None:
        """Take ready parts; `open` makes them."""
        self.home = home
        self.settings = settings
        self._store = store
        self._engine: Engine | None = None
        self._loading = threading.Lock()
        self._suggested: dict[int, tuple[int, int, tuple[str, ...]]] = {}
        self.observers: list[Callable[[Answer | BaseException], None]] = []
        """Called with each answer, or with what ended it: GeneratorExit or `Cancelled` where it was stopped."""

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

    def change_settings(self, **values: str | float) -> Settings:
        """Set settings from now on: here at once, and in the home's kb.toml for later runs.

        Raises:
            SettingsError: a value does not hold, or cannot be written; then nothing has changed.
            ModelError: the engine cannot use its model; then nothing has changed.
        """
        former = self.settings
        new = load_settings(self.home, **{**former.model_dump(), **values})
        held = any(getattr(new, name) != getattr(former, name) for name in _HELD_BY_ENGINE)
        with self._loading:
            self.settings = new
            if held:
                self._engine = None  # now, since two models may not fit into memory
        try:
            _ = self.engine  # says at once if its model cannot be used
            for name, value in values.items():
                if getattr(former, name) != getattr(new, name):
                    save_setting(self.home, name, value)
        except Exception:
            with self._loading:
                self.settings = former
                if held:
                    self._engine = None
            raise
        return new

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
        if not paths:
            self._store.catalog.collection(collection or self.settings.collection)
        indexer = self._indexer(collection, passwords)
        found = [Path(path) for path in paths]
        if dry_run:
            return indexer.dry_run(found, keep_missing=keep_missing, delete_missing=delete_missing)
        return indexer.run(
            found, keep_missing=keep_missing, delete_missing=delete_missing, progress=progress, waiting=waiting
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
        most = self.settings.max_uploads
        if len(files) > most:
            raise UsageError(f"{len(files):,} files at once, more than {most:,}; send fewer, or raise max_uploads")
        indexer = self._indexer(collection, passwords)
        return indexer.take(files, replacing=replacing, progress=progress, waiting=waiting)

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
        from kb_assistant.watching import changes

        indexer = self._indexer(collection, passwords)
        folders = [Path(path) for path in paths]
        begun = False
        for _ in changes(folders, self.home, stop or threading.Event()):
            try:
                yield indexer.run(folders, keep_missing=keep_missing, progress=progress, waiting=waiting)
            except EmptiedFolderError as error:
                if not begun:
                    raise
                waiting(f"{error.folder} is {error.state} now; its {error.documents} documents stay as they are")
            begun = True

    def _indexer(self, collection: str | None, passwords: Sequence[str]) -> Indexer:
        from ingest import ChunkSettings, Limits, LoadOptions
        from kb_assistant.indexing import Indexer

        settings, embedder = self.settings, self._store.embedder
        longest = settings.chunk_tokens
        if embedder.max_tokens is not None:  # a quarter is left for the context that is embedded with a chunk
            longest = min(longest, embedder.max_tokens * 3 // 4)
        limits = Limits(
            file_bytes=settings.max_file_mb * 1_000_000,
            unpacked_bytes=settings.max_unpacked_mb * 1_000_000,
            members=settings.max_members,
            pages=settings.max_pages,
            characters=settings.max_characters,
            cells=settings.max_cells,
            seconds=settings.max_seconds,
            memory_bytes=settings.max_memory_mb * 1_000_000,
        )
        return Indexer(
            self._store,
            collection or settings.collection,
            ChunkSettings(longest, tokenizer=embedder.tokenizer),
            LoadOptions(limits, tuple(passwords), settings.ocr),
        )

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
        from kb_assistant.uploads import Uploads

        info = self._store.catalog.collection(collection or self.settings.collection)
        present = [source.name for source in self._store.catalog.sources(info.id)]
        chosen: dict[str, None] = {}
        for name in names:
            matching = (
                [one for one in present if patterns and fnmatchcase(one, name)] if name not in present else [name]
            )
            chosen.update(dict.fromkeys(matching or [name]))
        with Uploads(self._store).writing(waiting):
            self._store.remove(info, list(chosen))
        return list(chosen)

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
        return self._store.check()

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
            only: only documents that meet this; see `kb_assistant.choosing`.

        Raises:
            UsageError: the question is empty or too long.
        """
        from vectorstore import Filter

        chosen = only or Filter()
        if source is not None:
            chosen = replace(chosen, source=source)
        return self._store.search(collection or self.settings.collection, _checked(question), limit, chosen)

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
            only: only documents that meet this; see `kb_assistant.choosing`.
            on_passages: called with the beginnings of the passages once they are found, before any text.
            on_waiting: called with how many other callers the engine answers first, when that changes.
            stop: ends the answer when it is set.

        Raises:
            Cancelled: `stop` was set.
            UsageError: the question is empty or too long.
            ModelError: the language model cannot be used.
            StoreError: the store cannot be used.
        """
        from kb_assistant.conversation import settle
        from kb_assistant.streaming import ChainRun

        asked = settle(_checked(question), history, lambda wording: self.covered(wording, collection, only))
        chain = self._chain(collection, asked, only)
        inputs = {"query": asked.question, "search_query": asked.searched}
        found = (lambda passages: on_passages(_beginnings(passages))) if on_passages else None
        run = ChainRun(chain, inputs, found, on_waiting, stop)
        written = False
        for piece in self._watched(run.pieces()):
            written = True
            yield piece
        answer = self._answer(asked, run)
        self._tell(answer)
        if not written:
            yield answer.text
        yield answer

    def _watched(self, pieces: Iterator[str]) -> Iterator[str]:
        try:
            yield from pieces
        except BaseException as error:
            self._tell(error)
            raise

    def _tell(self, outcome: Answer | BaseException) -> None:
        for observer in self.observers:
            observer(outcome)

    def covered(self, question: str, collection: str | None = None, only: Filter | None = None) -> float:
        """Return the share of a question, 0 to 1, that the passage nearest to it covers."""
        hits = self.search(question, limit=self.settings.passages, collection=collection, only=only)
        return max((hit.coverage for hit in hits), default=0.0)

    def _answer(self, asked: Asked, run: Any) -> Answer:
        from kb_assistant.chain import is_refusal, refusal
        from kb_assistant.grounding import Grounded, ground

        text = run.result["result"]
        passages: list[Document] = run.result["source_documents"]
        cited = run.result["citations"]
        grounded = ground(text, passages) if cited is None else Grounded(text, cited)
        refused = run.result["refused"] or is_refusal(text) or not grounded.citations
        timing = Timing(
            round(run.retrieval_s or run.elapsed_s, 4),
            round(run.first_token_s or run.elapsed_s, 4),
            round(run.elapsed_s, 4),
        )
        return Answer(
            question=asked.question,
            text=refusal(asked.question, passages) if refused else grounded.text,
            refused=refused,
            engine=self.engine_name,
            citations=_beginnings(passages)[:_OFFERED] if refused else grounded.citations,
            timing=timing,
            usage=run.usage,
            searched=asked.searched,
            highlights=() if refused else run.result["highlights"],
        )

    @property
    def chats(self) -> Chats:
        """The conversations that are kept."""
        from kb_assistant.chats import Chats
        from vectorstore import ChatLog

        return Chats(self, ChatLog(self._store.catalog))

    def suggestions(self, collection: str | None = None, limit: int = 4) -> tuple[str, ...]:
        """Return first questions that the documents of a collection answer; worked out once for each state of it."""
        from kb_assistant.relevance import relevance
        from kb_assistant.suggestions import suggested

        info = self._store.catalog.collection(collection or self.settings.collection)
        known = self._suggested.get(info.id)
        if known is None or known[:2] != (info.generation, limit):
            retriever = self._retriever(info.name)

            def answered(source: str, question: str) -> bool:
                passages = retriever.invoke(question)
                held = bool(passages) and passages[0].metadata["source"] == source
                weights = self._store.term_weights(info.name, question)
                return held and relevance(question, weights, passages) >= max(_SURE, self.settings.refuse_below)

            headings = self._store.headings(info.name, _HEADINGS)
            known = info.generation, limit, suggested(headings, answered, limit)
            self._suggested[info.id] = known
        return known[2]

    def open_passage(self, citation: Citation, collection: str | None = None) -> OpenedPassage:
        """Return the passage that a citation quotes, with what stands around it; see `kb_assistant.opening`.

        Raises:
            UsageError: it quotes nothing.
            StoreError: there is no such collection.
        """
        from kb_assistant.opening import open_passage

        name = collection or self.settings.collection
        return open_passage(self._store, name, citation.source, citation.quote, citation.page, citation.line_start)

    def page_image(self, citation: Citation, collection: str | None = None) -> PageImage:
        """Return the page that a citation quotes as a picture, with the place of its words.

        Raises:
            UsageError: it is not of a PDF.
            IngestError: the page cannot be drawn.
            StoreError: there is no such collection.
        """
        from kb_assistant.opening import page_image

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
        return self._retriever(None)

    @property
    def chain(self) -> KnowledgeBaseQA:
        """The `RetrievalQA` chain that answers from the default collection."""
        return self._chain(None)

    def _retriever(
        self, collection: str | None, asked: Asked | None = None, only: Filter | None = None
    ) -> StoreRetriever:
        from vectorstore import StoreRetriever

        name = collection or self.settings.collection
        retriever = StoreRetriever(store=self._store, collection=name, limit=self.settings.passages)
        if only:
            retriever.only = only
        if asked and asked.leaning:
            wordings = {"weight": asked.leaning, "also": asked.also, "context": asked.context}
            return retriever.model_copy(update=wordings)
        return retriever

    def _chain(self, collection: str | None, asked: Asked | None = None, only: Filter | None = None) -> KnowledgeBaseQA:
        from kb_assistant.chain import build_chain

        name = collection or self.settings.collection
        retriever = self._retriever(collection, asked, only)
        engine = self.engine
        return build_chain(
            retriever,
            engine,
            term_weights=lambda question: self._store.term_weights(name, question),
            refuse_below=self.settings.refuse_below,
            context_tokens=self.settings.context_tokens or (engine.passage_tokens if engine else 0),
            section=retriever.section,
        )

    # The engine

    @property
    def engine_name(self) -> str:
        """The engine that answers: the one set, or with "auto" the one that the settings' model is for."""
        if self.settings.engine != "auto":
            return self.settings.engine
        from kb_assistant.llms import engine_for

        return engine_for(self.settings, self.home / "models")

    @property
    def sends_to(self) -> str | None:
        """The host that questions and passages are sent to; None where they stay on this machine.

        Raises:
            SettingsError: base_url is no address.
        """
        if self.engine_name != "openai" or not self.settings.base_url:
            return None
        from kb_assistant.llms.destination import Destination

        server = Destination.of(self.settings.base_url)
        return None if server.on_this_machine else server.host

    @property
    def queue_length(self) -> int:
        """How many callers the language model serves or has yet to serve."""
        return 0 if self._engine is None else self._engine.queue_length

    @property
    def engine(self) -> Engine | None:
        """The language model, loaded at the first use; None for the extractive engine.

        Raises:
            ModelError: no model is set, or it cannot be loaded.
        """
        if self.engine_name == "extractive":
            return None
        with self._loading:
            if self._engine is None:
                from kb_assistant.llms import load_engine

                self._engine = load_engine(self.engine_name, self.settings, self.home / "models")
        return self._engine


def _checked(question: str) -> str:
    words = question.strip()
    if not words:
        raise UsageError("the question is empty; ask something, such as: kb ask '年假有几天？'")
    if len(words) > MAX_QUESTION_CHARACTERS:
        raise UsageError(
            f"the question is {len(words):,} characters long, more than {MAX_QUESTION_CHARACTERS:,}; "
            "put long texts into a file, ingest it, and ask about it"
        )
    return words


def _beginnings(passages: Iterable[Document]) -> tuple[Citation, ...]:
    """Each passage, cited by its first sentence."""
    from kb_assistant.grounding import cite, statements

    found = (passage for passage in passages if "neighbour" not in passage.metadata)
    cited = (cite(passage, *next(iter(statements(passage)), (0, 0))) for passage in found)
    return tuple(replace(one, number=number) for number, one in enumerate(cited, start=1))
