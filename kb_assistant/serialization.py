"""Results as JSON, the same for the command line, the API and MCP."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vectorstore import CollectionInfo, Hit, SourceInfo

__all__ = ["collections_json", "display_name", "hits_json", "printable", "sources_json", "to_json"]


def to_json(value: Any) -> str:
    """Return a JSON document; characters beyond ASCII stay readable."""
    return json.dumps(value, ensure_ascii=False, indent=2)


_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


def printable(text: str) -> str:
    """Remove the control characters that could steer a terminal."""
    return _CONTROL.sub("", text)


def display_name(name: str) -> str:
    """Return a name as it is displayed: on one line, without control characters."""
    return printable(" ".join(name.split()))


def hits_json(query: str, hits: Iterable[Hit]) -> dict[str, Any]:
    """Return search results in the form that `kb search --json` prints."""
    return {
        "query": query,
        "hits": [
            {
                "rank": hit.rank,
                "score": hit.score,
                "source": hit.source,
                "page": hit.page,
                "line_start": hit.line_start,
                "line_end": hit.line_end,
                "heading": hit.heading_path,
                "text": hit.text,
            }
            for hit in hits
        ],
    }


def sources_json(sources: Iterable[SourceInfo]) -> list[dict[str, Any]]:
    """Return the documents of a collection in the form that `kb sources --json` prints."""
    return [
        {
            "source": source.name,
            "status": source.status,
            "chunks": source.chunks,
            "pages": source.pages,
            "notes": list(source.notes),
            "path": source.path,
        }
        for source in sources
    ]


def collections_json(collections: Iterable[CollectionInfo]) -> list[dict[str, Any]]:
    """Return the collections in the form that `kb collections --json` prints."""
    return [
        {"collection": found.name, "sources": found.sources, "chunks": found.chunks, "embedding": found.embedding}
        for found in collections
    ]
