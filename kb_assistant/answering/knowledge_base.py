"""An open home: its store, the engine that its settings name, and the pipeline that answers from both."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kb_assistant.answering.pipeline import AnswerPipeline
from kb_assistant.answering.types import Answer
from kb_assistant.errors import report_full_disk, translated
from kb_assistant.llms.active_engine import ActiveEngine
from kb_assistant.settings import Settings, home_folder, load_settings

if TYPE_CHECKING:
    from vectorstore import Store

__all__ = ["KnowledgeBase", "open_store"]


class KnowledgeBase:
    """The parts that questions are answered with. `Assistant` shows them to users; `kb eval` measures them.

    Attributes:
        home: the folder that holds everything.
        store: the documents.
        active_engine: the settings in force, and the engine that they name.
        pipeline: searches and answers.
        observers: called with each answer, or with what ended it: GeneratorExit or `Cancelled` where it was stopped.
    """

    def __init__(self, home: Path, settings: Settings, store: Store) -> None:
        """Take ready parts; `open` makes them."""
        self.home = home
        self.store = store
        self.active_engine = ActiveEngine(home, settings)
        self.observers: list[Callable[[Answer | BaseException], None]] = []
        self.pipeline = AnswerPipeline(store, self.active_engine, self._notify)

    @classmethod
    def open(cls, home: Path | str | None = None, **settings: Any) -> KnowledgeBase:
        """Open the home folder, making it where there is none; see `Assistant.open`."""
        folder = home_folder(home)
        loaded = load_settings(folder, **settings)
        return cls(folder, loaded, open_store(folder, loaded))

    @property
    def settings(self) -> Settings:
        """The settings in force."""
        return self.active_engine.settings

    def close(self) -> None:
        """Close the store."""
        self.store.close()

    def _notify(self, outcome: Answer | BaseException) -> None:
        for observer in self.observers:
            observer(outcome)


@translated
def open_store(home: Path, settings: Settings) -> Store:
    """Open the store of a home folder with the embedding model and the reranker that the settings name.

    Raises:
        StoreError: the store, its embedding model or the reranker cannot be used.
    """
    from vectorstore import Store, find_reranker, load_embeddings

    models = home / "models"
    reranker = find_reranker(settings.reranker, models)
    embedder = load_embeddings(
        settings.embedding_model, models, dtype=settings.embedding_dtype, batch_size=settings.embedding_batch
    )
    with report_full_disk(home):
        return Store.open(home, embedder, reranker)
