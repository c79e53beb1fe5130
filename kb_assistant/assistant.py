"""The Python API: everything that kb does, as methods of `Assistant`.

Every face calls these methods and renders what they return. The work is done elsewhere: `KnowledgeBase` answers,
`Mirror` changes documents, `Chats` keeps conversations.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, Unpack

from kb_assistant.answering.knowledge_base import KnowledgeBase
from kb_assistant.answering.pipeline import MAX_QUESTION_CHARACTERS
from kb_assistant.answering.suggestions import Suggestions
from kb_assistant.answering.types import Answer, AskOptions, Citation, StreamOptions
from kb_assistant.errors import raises_kb_errors
from kb_assistant.sync.methods import DocumentMethods
from kb_assistant.sync.options import Notify, ignore

if TYPE_CHECKING:
    import numpy as np

    from ingest.page_image import PageImage
    from kb_assistant.answering.chain import KnowledgeBaseQA
    from kb_assistant.answering.citation_view import OpenedPassage
    from kb_assistant.bench import BenchOptions, Measurement
    from kb_assistant.chats.service import Chats
    from kb_assistant.evaluation import Calibration, Comparison, EvaluationOptions, QuestionOptions
    from kb_assistant.llms.base import Engine
    from kb_assistant.settings import Settings
    from vectorstore import Filter, Hit, StoreRetriever

__all__ = ["MAX_QUESTION_CHARACTERS", "Assistant"]


@raises_kb_errors
class Assistant(DocumentMethods):
    """A knowledge base and what answers from it. Use as a context manager, or call `close`.

    Where a method takes `collection`, None means the collection that is set. `passwords` are tried on encrypted
    files and kept nowhere.

    Attributes:
        knowledge_base: the parts that answer: store, engine and pipeline.
        home: the folder that holds everything.
        observers: called with each answer, or with what ended it: GeneratorExit or `Cancelled` where it was stopped.
    """

    knowledge_base: KnowledgeBase

    def __init__(self, knowledge_base: KnowledgeBase) -> None:
        """Take an open knowledge base; `open` opens one."""
        self.knowledge_base = knowledge_base
        self.home = knowledge_base.home
        self.observers = knowledge_base.observers
        self._suggestions = Suggestions(knowledge_base.store, knowledge_base.pipeline.nearest)

    @classmethod
    def open(cls, home: Path | str | None = None, **settings: Any) -> Assistant:
        """Open the knowledge base in `home` (default: KB_HOME), making it where there is none.

        Args:
            home: the folder that holds everything.
            settings: fields of `Settings`; they override the environment and kb.toml.

        Raises:
            SettingsError: a setting is unknown or has a value that does not hold.
            StoreError: the store, its embedding model or the reranker cannot be used.
        """
        return cls(KnowledgeBase.open(home, **settings))

    def close(self) -> None:
        """Close the store."""
        self.knowledge_base.close()

    def __enter__(self) -> Self:
        """Return the assistant itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the store."""
        self.close()

    @property
    def settings(self) -> Settings:
        """The settings in force. Assigning applies to later calls; an engine that is loaded stays."""
        return self.knowledge_base.settings

    @settings.setter
    def settings(self, settings: Settings) -> None:
        self.knowledge_base.active_engine.settings = settings

    def change_settings(self, **values: str | float) -> Settings:
        """Set settings here at once, and in the home's kb.toml for later runs; where that fails, nothing changes.

        Raises:
            SettingsError: a value does not hold, or cannot be written.
            ModelError: the engine cannot use its model.
        """
        return self.knowledge_base.active_engine.change(**values)

    # Documents: see also `DocumentMethods`

    def rename_collection(self, name: str, to: str, *, notify: Notify = ignore) -> None:
        """Rename a collection; conversations about it stay with it.

        Raises:
            UsageError: there is a collection of the new name, or it is no name.
        """
        super().rename_collection(name, to, notify=notify)
        self.chats.rename_collection(name, to)

    def text(self, source: str, collection: str | None = None) -> str:
        """Return a document's text as it was read.

        Raises:
            StoreError: there is no such collection or document.
        """
        return self.knowledge_base.store.text(self._named(collection), source)

    def _named(self, collection: str | None) -> str:
        return collection or self.settings.collection

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
        """Return up to `limit` passages nearest to a question, the best first.

        `source` is a pattern (`*`, `?`) for documents' names; `only` is a filter of `kb_assistant.answering.filters`.

        Raises:
            UsageError: the question is empty or too long, or `limit` is under 1.
        """
        return self.knowledge_base.pipeline.search(question, limit, collection, _narrowed(only, source))

    def ask(self, question: str, **options: Unpack[AskOptions]) -> Answer:
        """Answer a question from the documents; see `stream`."""
        return self.knowledge_base.pipeline.ask(question, **options)

    def stream(self, question: str, **options: Unpack[StreamOptions]) -> Iterator[str | Answer]:
        """Yield the answer's text as it is written, then the `Answer`.

        Closing the iterator stops the engine within a token. `stop` does so from another thread, even before the
        first token.

        Raises:
            Cancelled: `stop` was set.
            UsageError: the question is empty or too long.
            ModelError: the language model cannot be used.
            StoreError: the store cannot be used.
        """
        return self.knowledge_base.pipeline.stream(question, **options)

    def covered(self, question: str, collection: str | None = None, only: Filter | None = None) -> float:
        """Return the share of a question, 0 to 1, that the passage nearest to it covers."""
        return self.knowledge_base.pipeline.covered(question, collection, only)

    @cached_property
    def chats(self) -> Chats:
        """The conversations that are kept."""
        from kb_assistant.chats.service import Chats
        from kb_assistant.chats.store import ChatStore, make_tables

        catalog = self.knowledge_base.store.catalog
        make_tables(catalog)
        return Chats(self.knowledge_base, ChatStore(catalog))

    def suggestions(self, collection: str | None = None, limit: int = 4) -> tuple[str, ...]:
        """Return first questions that the documents of a collection answer; worked out once for each state of it."""
        return self._suggestions.of(self._named(collection), limit, refuse_below=self.settings.refuse_below)

    def open_passage(self, citation: Citation, collection: str | None = None) -> OpenedPassage:
        """Return the passage that a citation quotes, with its neighbours.

        Raises:
            UsageError: it quotes nothing.
        """
        from kb_assistant.answering.citation_view import open_passage

        place = citation.source, citation.quote, citation.page, citation.line_start
        return open_passage(self.knowledge_base.store, self._named(collection), *place)

    def page_image(self, citation: Citation, collection: str | None = None) -> PageImage:
        """Return the page that a citation quotes as a picture, with the place of its words.

        Raises:
            UsageError: it is not of a PDF.
            PageImageError: the page cannot be drawn.
        """
        from kb_assistant.answering.citation_view import page_image

        place = citation.source, [citation.quote], citation.page or 0
        return page_image(self.knowledge_base.store, self._named(collection), *place)

    def embed(self, texts: Sequence[str]) -> np.ndarray:
        """Return the texts' unit vectors as documents are embedded, float32, of shape (texts, dimensions)."""
        return self.knowledge_base.store.embedder.embed(texts)

    # LangChain

    @property
    def retriever(self) -> StoreRetriever:
        """The collection that is set, as a LangChain retriever."""
        return self.as_retriever()

    @property
    def chain(self) -> KnowledgeBaseQA:
        """The `RetrievalQA` chain that answers from the collection that is set."""
        return self.as_chain()

    def as_retriever(
        self,
        *,
        k: int | None = None,
        collection: str | None = None,
        source: str | None = None,
        only: Filter | None = None,
    ) -> StoreRetriever:
        """Return a LangChain retriever of up to `k` passages; default: as many as the setting `passages` says.

        `source` and `only` are as for `search`.

        Raises:
            UsageError: `k` is below 1.
        """
        return self.knowledge_base.pipeline.retriever(collection, only=_narrowed(only, source), limit=k)

    def as_chain(
        self,
        *,
        k: int | None = None,
        collection: str | None = None,
        source: str | None = None,
        only: Filter | None = None,
    ) -> KnowledgeBaseQA:
        """Return the `RetrievalQA` chain over that retriever, which answers with the active engine."""
        return self.knowledge_base.pipeline.chain(collection, only=_narrowed(only, source), limit=k)

    # The engine

    @property
    def engine_name(self) -> str:
        """The engine that answers: the one set, or with "auto" the one that the settings' model is for."""
        return self.knowledge_base.active_engine.name

    @property
    def sends_to(self) -> str | None:
        """The host that questions and passages are sent to; None where they stay on this machine.

        Raises:
            SettingsError: base_url is no address.
        """
        return self.knowledge_base.active_engine.sends_to

    @property
    def queue_length(self) -> int:
        """How many callers the language model serves or has yet to serve."""
        return self.knowledge_base.active_engine.queue_length

    @property
    def engine(self) -> Engine | None:
        """The language model, loaded at the first use; None for the extractive engine.

        Raises:
            ModelError: no model is set, or it cannot be loaded.
        """
        return self.knowledge_base.active_engine.engine

    # Quality

    def check(self) -> list[tuple[str, bool, str]]:
        """Return (what, whether it is sound, detail) for each part of the store."""
        from kb_assistant.doctor import check_store

        return check_store(self.knowledge_base.store)

    def evaluate(
        self, path: Path | str, *, collection: str | None = None, **options: Unpack[EvaluationOptions]
    ) -> Comparison:
        """Measure retrieval, answers and refusals on a file of questions; see `kb_assistant.evaluation.evaluate`."""
        from kb_assistant.evaluation import evaluate

        return evaluate(self.knowledge_base, Path(path), collection=self._named(collection), **options)

    def calibrate(
        self, path: Path | str, *, collection: str | None = None, **options: Unpack[QuestionOptions]
    ) -> Calibration:
        """Fit the refusal threshold to a collection, and keep a better one in kb.toml; see `evaluation.calibrate`."""
        from kb_assistant.evaluation import calibrate

        return calibrate(self.knowledge_base, Path(path), collection=self._named(collection), **options)

    def bench(self, **options: Unpack[BenchOptions]) -> Iterator[Measurement]:
        """Measure how fast the models that are set are on this machine; see `kb_assistant.bench.bench`."""
        from kb_assistant.bench import bench

        settings = self.settings.model_copy(update={"engine": self.engine_name})
        return bench(settings, self.home / "models", **options)


def _narrowed(only: Filter | None, source: str | None) -> Filter | None:
    """Return a filter for documents whose names also match a pattern."""
    from vectorstore import Filter

    return only if source is None else replace(only or Filter(), source=source)
