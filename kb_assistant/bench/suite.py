"""Decides what is measured: the settings' own models, or a shape with random weights beside the plain libraries."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from importlib.resources import as_file, files
from importlib.util import find_spec
from pathlib import Path
from typing import TypedDict

from kb_assistant.bench.embedding import measure_embedding
from kb_assistant.bench.generation import Task, measure
from kb_assistant.bench.measurements import Measurement
from kb_assistant.bench.shapes import make_shape
from kb_assistant.settings import Settings

__all__ = ["BenchOptions", "bench"]

PROMPT_TOKENS = (128, 1024, 4096)
_EMBEDDED = 256
"""How many chunks are embedded for each setting."""


class BenchOptions(TypedDict, total=False):
    """Options of `Assistant.bench`; see `bench`."""

    shape: str | None
    tokenizer: Path | None
    prompt_tokens: Sequence[int]
    new_tokens: int
    progress: Callable[[str], None]


def bench(
    settings: Settings,
    models: Path,
    *,
    shape: str | None = None,
    tokenizer: Path | None = None,
    prompt_tokens: Sequence[int] = (),
    new_tokens: int = 64,
    progress: Callable[[str], None] = lambda message: None,
) -> Iterator[Measurement]:
    """Measure the models that are set, and yield each figure as it comes.

    Args:
        settings: name the language model, its engine and the embedding model.
        models: the folder where models are kept.
        shape: one of `SHAPES`: measure every engine on random weights of that shape instead, made on the spot
            and thrown away, and beside them plain ipex-llm and plain transformers in bfloat16.
        tokenizer: for a shape, the folder of the tokenizer.
        prompt_tokens: lengths of the prompts; none: 128, 1,024 and 4,096.
        new_tokens: how many tokens an answer has.
        progress: called with what is being measured.

    Raises:
        UsageError: there is no such shape.
        ModelError: a model cannot be used, or there is no room for it.
    """
    chunks = _chunks()
    task = Task("", settings, models, "\n".join(chunks), tuple(prompt_tokens) or PROMPT_TOKENS, new_tokens)
    if shape:
        yield from _shape(task, shape, tokenizer or Path(), progress)
    elif settings.engine != "extractive":
        progress(f"measuring {settings.engine} with {settings.model}")
        yield from measure(replace(task, name=settings.engine))
    progress(f"embedding with {settings.embedding_model}")
    many = chunks * (_EMBEDDED // len(chunks) + 1)
    yield from measure_embedding(settings.embedding_model, models, many[:_EMBEDDED])


def _shape(task: Task, shape: str, tokenizer: Path, progress: Callable[[str], None]) -> Iterator[Measurement]:
    from kb_assistant.models.convert import convert_model

    with tempfile.TemporaryDirectory(prefix="kb-bench-") as folder:
        models, full = Path(folder), "full"
        progress(f"making random weights of the shape {shape}")
        make_shape(shape, tokenizer, models / full)
        tasks = []
        for engine in ["ipex", *(["openvino"] if find_spec("openvino_genai") else [])]:
            started = time.perf_counter()
            convert_model(models / full, models, name=engine, to=engine, notify=progress)
            own = task.settings.model_copy(update={"engine": engine, "model": engine, "adapter": ""})
            took = round(time.perf_counter() - started, 2)
            tasks.append(replace(task, name=engine, settings=own, models=models, convert_s=took))
        for name, plain, model in (("plain ipex-llm", "ipex", "ipex"), ("plain transformers", "transformers", full)):
            own = task.settings.model_copy(update={"model": model})
            tasks.append(replace(task, name=name, settings=own, models=models, plain=plain))
        for one in tasks:
            progress(f"measuring {one.name}")
            yield from measure(one)


def _chunks() -> list[str]:
    """Chunks of the sample documents, in Chinese and English."""
    from ingest import Chunker, load

    with as_file(files("kb_assistant.demo") / "samples") as folder:
        documents = [load(path) for path in sorted(Path(folder).iterdir())]
    chunker = Chunker(256)
    return [chunk.text for document in documents for chunk in chunker.chunk(document)]
