"""Indexes a question set's documents in a temporary home, chunked as `ingest` does it."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from typing import Any

from ingest.loaders.plain_text import parse_text
from kb_assistant.answering.knowledge_base import KnowledgeBase
from kb_assistant.errors import UsageError
from kb_assistant.evaluation.questions import EvalDocument
from kb_assistant.settings import Settings, load_settings
from kb_assistant.sync.indexer import new_chunk
from kb_assistant.sync.mirror import chunk_settings
from vectorstore import NewSource

__all__ = ["changed_settings", "index_documents", "throw_away"]

_BATCH_DOCUMENTS = 200


def changed_settings(kb: KnowledgeBase, changes: Mapping[str, Any]) -> dict[str, Any]:
    """Return a knowledge base's settings with changes, to open another home with.

    Names of models in its own home become paths.

    Raises:
        UsageError: there is no such setting, or it cannot have that value.
    """
    for name in changes:
        if name not in Settings.model_fields:
            raise UsageError(f"unknown setting {name!r}; there are: {', '.join(Settings.model_fields)}")
    settings = {**kb.settings.model_dump(), **changes}
    models = kb.home / "models"
    for name, value in settings.items():
        if isinstance(value, str) and value and (models / value).is_dir():
            settings[name] = str(models / value)
    load_settings(kb.home, **settings)  # raises for a value that does not hold
    return settings


@contextmanager
def throw_away(kb: KnowledgeBase, changes: Mapping[str, Any]) -> Iterator[KnowledgeBase]:
    """Give a knowledge base with changed settings over an empty home, which is deleted afterwards."""
    settings = changed_settings(kb, changes)
    with (
        tempfile.TemporaryDirectory(prefix="kb-eval-") as home,
        closing(KnowledgeBase.open(home, **settings)) as made,
    ):
        yield made


def index_documents(kb: KnowledgeBase, documents: Iterable[EvalDocument], collection: str) -> None:
    """Store documents in a collection as if they were text files."""
    store = kb.store
    chunker = chunk_settings(kb.settings, store).chunker()
    made: list[NewSource] = []
    for document in documents:
        chunks = tuple(new_chunk(chunk) for chunk in chunker.chunk(parse_text(document.text)))
        made.append(NewSource(document.name, document.name, "", "", "ready", None, None, (), chunks))
    with store.writing(lambda message: None):
        info = store.prepare(collection)
        for start in range(0, len(made), _BATCH_DOCUMENTS):
            store.replace(info, made[start : start + _BATCH_DOCUMENTS])
