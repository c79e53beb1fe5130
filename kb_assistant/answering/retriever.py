"""A collection as a LangChain retriever."""

from __future__ import annotations

from collections.abc import Mapping

from kb_assistant.errors import as_kb_errors
from vectorstore import Hit, StoreRetriever

__all__ = ["KnowledgeBaseRetriever"]


class KnowledgeBaseRetriever(StoreRetriever):
    """`StoreRetriever` with the errors of the Python API."""

    def _search(self, query: str, limit: int, weights: Mapping[str, float] | None = None) -> list[Hit]:
        with as_kb_errors():
            return super()._search(query, limit, weights)
