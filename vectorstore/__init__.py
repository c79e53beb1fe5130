"""Chunks in, the nearest passages out: catalogue, full text, embeddings, Chroma, fusion.

`Store` puts them together. Knows nothing of files, models that write, or settings.
Names are imported when they are first used: a run that changes nothing needs few of them.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from vectorstore.analysis import ANALYSIS_VERSION, query_terms, terms
    from vectorstore.catalog import Catalog
    from vectorstore.database import is_read_only
    from vectorstore.documents import as_document, from_documents
    from vectorstore.embeddings import Embedder, HashedEmbeddings, SentenceTransformerEmbeddings, load_embeddings
    from vectorstore.errors import (
        EmbeddingMismatchError,
        EmbeddingModelError,
        EmptyStoreError,
        RerankerError,
        StoreError,
        UnknownCollectionError,
        UnknownSourceError,
    )
    from vectorstore.folders import Folders
    from vectorstore.hit import Hit
    from vectorstore.records import (
        Collection,
        CollectionInfo,
        Filter,
        NewChunk,
        NewSource,
        Passage,
        SourceInfo,
        line_at,
    )
    from vectorstore.reranker import Reranker, find_reranker
    from vectorstore.retriever import StoreRetriever
    from vectorstore.scores import coverage
    from vectorstore.store import Store

_MODULES = {
    "analysis": ("ANALYSIS_VERSION", "query_terms", "terms"),
    "catalog": ("Catalog",),
    "database": ("is_read_only",),
    "documents": ("as_document", "from_documents"),
    "embeddings": ("Embedder", "HashedEmbeddings", "SentenceTransformerEmbeddings", "load_embeddings"),
    "errors": (
        "EmbeddingMismatchError",
        "EmbeddingModelError",
        "EmptyStoreError",
        "RerankerError",
        "StoreError",
        "UnknownCollectionError",
        "UnknownSourceError",
    ),
    "folders": ("Folders",),
    "hit": ("Hit",),
    "records": (
        "Collection",
        "CollectionInfo",
        "Filter",
        "NewChunk",
        "NewSource",
        "Passage",
        "SourceInfo",
        "line_at",
    ),
    "reranker": ("Reranker", "find_reranker"),
    "retriever": ("StoreRetriever",),
    "scores": ("coverage",),
    "store": ("Store",),
}
_HOMES = {name: module for module, names in _MODULES.items() for name in names}

__all__ = [
    "ANALYSIS_VERSION",
    "Catalog",
    "Collection",
    "CollectionInfo",
    "Embedder",
    "EmbeddingMismatchError",
    "EmbeddingModelError",
    "EmptyStoreError",
    "Filter",
    "Folders",
    "HashedEmbeddings",
    "Hit",
    "NewChunk",
    "NewSource",
    "Passage",
    "Reranker",
    "RerankerError",
    "SentenceTransformerEmbeddings",
    "SourceInfo",
    "Store",
    "StoreError",
    "StoreRetriever",
    "UnknownCollectionError",
    "UnknownSourceError",
    "as_document",
    "coverage",
    "find_reranker",
    "from_documents",
    "is_read_only",
    "line_at",
    "load_embeddings",
    "query_terms",
    "terms",
]


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
