"""Measures the speed of an embedding model, for each number format and batch size."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Literal

from kb_assistant.bench.measurements import EmbeddingSpeed

__all__ = ["measure_embedding"]

_DTYPES: tuple[Literal["float32", "bfloat16"], ...] = ("float32", "bfloat16")
_BATCH_SIZES = (4, 8, 16, 32)


def measure_embedding(name: str, models: Path, texts: Sequence[str]) -> Iterator[EmbeddingSpeed]:
    """Yield the speed of each setting on `texts`, the fastest marked.

    Args:
        name: "builtin", a folder in `models`, or a path.
        models: the folder where models are kept.
        texts: chunks of documents.

    Raises:
        EmbeddingModelError: there is no such model, or it cannot be loaded.
    """
    from vectorstore import load_embeddings

    found = []
    for dtype, size in [(_DTYPES[0], 1)] if name == "builtin" else product(_DTYPES, _BATCH_SIZES):
        embedder = load_embeddings(name, models, dtype=dtype, batch_size=size)
        embedder.embed(texts[:16])  # the first call does work that later ones do not
        started = time.perf_counter()
        embedder.embed(texts)
        found.append(EmbeddingSpeed(name, dtype, size, round(len(texts) / (time.perf_counter() - started), 1)))
    fastest = max(found, key=lambda speed: speed.chunks_per_s)
    yield from (replace(speed, recommended=speed is fastest) for speed in found)
