"""What can go wrong with the store.

StoreError                    the store cannot be used as it is
├── UnknownCollectionError    no collection of that name
│   └── EmptyStoreError       no collection at all yet
├── UnknownSourceError        no source of that name
├── EmbeddingMismatchError    the collection was embedded with another model
├── EmbeddingModelError       the embedding model cannot be loaded
└── RerankerError             the reranker cannot be loaded
"""

from __future__ import annotations

__all__ = [
    "EmbeddingMismatchError",
    "EmbeddingModelError",
    "EmptyStoreError",
    "RerankerError",
    "StoreError",
    "UnknownCollectionError",
    "UnknownSourceError",
]


class StoreError(Exception):
    """The store cannot be used as it is; the message says what to do."""


class UnknownCollectionError(StoreError):
    """There is no collection of that name."""


class EmptyStoreError(UnknownCollectionError):
    """Nothing has been ingested yet."""


class UnknownSourceError(StoreError):
    """There is no source of that name in the collection."""


class EmbeddingMismatchError(StoreError):
    """The collection's vectors come from another embedding model than the one in use."""


class EmbeddingModelError(StoreError):
    """The embedding model is missing or cannot be loaded."""


class RerankerError(StoreError):
    """The reranker is missing or cannot be loaded."""
