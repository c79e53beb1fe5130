"""The bundled handbook of an invented company, ingested into a home that is thrown away."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import as_file, files
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kb_assistant.assistant import Assistant
    from kb_assistant.sync.report import IngestReport

__all__ = ["QUESTIONS", "handbook"]

QUESTIONS = (
    "去一类城市出差，酒店每晚最多可以报多少钱？",
    "How long is the warranty on rechargeable batteries?",
)


@contextmanager
def handbook(**settings: Any) -> Iterator[tuple[Assistant, IngestReport]]:
    """Give an assistant over the sample documents, and the report of their ingestion."""
    from kb_assistant.assistant import Assistant

    with (
        tempfile.TemporaryDirectory(prefix="kb-demo-") as home,
        as_file(files(__name__) / "samples") as samples,
        Assistant.open(home, **settings) as assistant,
    ):
        yield assistant, assistant.ingest(Path(samples))
