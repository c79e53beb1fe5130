"""Measures the models that the settings name: the language model first, then the embedding model."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from importlib.resources import as_file, files
from pathlib import Path
from typing import TypedDict

from kb_assistant.bench.embedding import measure_embedding
from kb_assistant.bench.generation import Task, measure
from kb_assistant.bench.measurements import Measurement
from kb_assistant.settings import Settings

__all__ = ["BenchOptions", "bench", "sample_chunks"]

PROMPT_TOKENS = (128, 1024, 4096)
_EMBEDDED = 256
"""How many chunks are embedded for each setting."""


class BenchOptions(TypedDict, total=False):
    """Options of `Assistant.bench`; see `bench`."""

    prompt_tokens: Sequence[int]
    new_tokens: int
    progress: Callable[[str], None]


def bench(
    settings: Settings,
    models: Path,
    *,
    prompt_tokens: Sequence[int] = (),
    new_tokens: int = 64,
    progress: Callable[[str], None] = lambda message: None,
) -> Iterator[Measurement]:
    """Measure the models that are set, and yield each figure as it comes.

    Args:
        settings: name the language model, its engine and the embedding model.
        models: the folder where models are kept.
        prompt_tokens: lengths of the prompts; none: 128, 1,024 and 4,096.
        new_tokens: how many tokens an answer has.
        progress: called with what is being measured.

    Raises:
        ModelError: a model cannot be used.
    """
    chunks = sample_chunks()
    if settings.engine != "extractive":
        progress(f"measuring {settings.engine} with {settings.model}")
        lengths = tuple(prompt_tokens) or PROMPT_TOKENS
        yield from measure(Task(settings.engine, settings, models, "\n".join(chunks), lengths, new_tokens))
    progress(f"embedding with {settings.embedding_model}")
    many = chunks * (_EMBEDDED // len(chunks) + 1)
    yield from measure_embedding(settings.embedding_model, models, many[:_EMBEDDED])


def sample_chunks() -> list[str]:
    """Return the chunks of the sample documents, in Chinese and English."""
    from ingest import Chunker, load

    with as_file(files("kb_assistant.demo") / "samples") as folder:
        documents = [load(path) for path in sorted(Path(folder).iterdir())]
    chunker = Chunker(256)
    return [chunk.text for document in documents for chunk in chunker.chunk(document)]
