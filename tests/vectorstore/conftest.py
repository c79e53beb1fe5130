"""A store in a folder of its own, sources made of texts, and embeddings that count."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest

from vectorstore import Collection, HashedEmbeddings, NewChunk, NewSource, Store


class CountingEmbeddings(HashedEmbeddings):
    """The built-in vectors under any id, and every text that they were made for."""

    def __init__(self, model_id: str = "counting-1") -> None:
        self.model_id = model_id
        self.embedded: list[str] = []

    def embed(self, texts: Sequence[str]) -> np.ndarray:
        self.embedded += texts
        return super().embed(texts)

    def embed_query(self, text: str) -> list[float]:
        """Questions are not counted."""
        vector: list[float] = super().embed([text])[0].tolist()
        return vector


def make_source(name: str, *texts: str, heading: tuple[str, ...] = (), path: str | None = None) -> NewSource:
    context = " › ".join(heading)
    chunks = tuple(NewChunk(text, context, heading, None, ((0, 1),), 0, len(text)) for text in texts)
    return NewSource(name, path or f"/documents/{name}", "hash", "1", "ready", None, None, (), chunks)


@pytest.fixture
def source() -> Callable[..., NewSource]:
    """Return what makes a source: `source("a.md", "text", "text")`."""
    return make_source


@pytest.fixture
def embedder() -> CountingEmbeddings:
    return CountingEmbeddings()


@pytest.fixture
def other_embedder() -> CountingEmbeddings:
    return CountingEmbeddings("counting-2")


@pytest.fixture
def open_store(tmp_path: Path) -> Iterator[Callable[..., Store]]:
    """Return what opens the store of this test, with any embeddings; all are closed at the end."""
    opened: list[Store] = []

    def open_(embedder: HashedEmbeddings) -> Store:
        opened.append(Store.open(tmp_path / "store", embedder))
        return opened[-1]

    yield open_
    for store in opened:
        store.close()


@pytest.fixture
def store(open_store: Callable[..., Store], embedder: CountingEmbeddings) -> Store:
    return open_store(embedder)


@pytest.fixture
def handbook(store: Store) -> Collection:
    """A collection of four sources, in Chinese and in English."""
    collection = store.prepare("handbook")
    store.replace(
        collection,
        [
            make_source(
                "制度/年假.md",
                "年休假满五年的员工每年十七天。",
                "没有用完的年假可以结转五天。",
                heading=("员工手册", "假期"),
            ),
            make_source("制度/差旅.docx", "一类城市的酒店每晚最多报销六百元。", "机票须提前七天预订。"),
            make_source(
                "support/warranty.html", "Rechargeable batteries are covered for 12 months.", "Keep the receipt."
            ),
            make_source("support/vpn.md", "Remote access uses WireGuard on UDP port 51877."),
        ],
    )
    return collection
