"""Hits as LangChain documents, and LangChain documents as hits; nothing else reads or writes their metadata."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from langchain_core.documents import Document

from vectorstore.errors import StoreError
from vectorstore.hit import Hit

__all__ = ["as_document", "from_documents"]


def as_document(hit: Hit) -> Document:
    """Return a hit as a LangChain document, with everything that is known of it in the metadata.

    `heading` is one line, for prompts; `headings` is the list. All values are plain JSON.
    """
    metadata = {
        "number": hit.rank,
        "source": hit.source,
        "title": hit.title or "",
        "heading": hit.heading_path,
        "headings": list(hit.heading),
        "page": hit.page,
        "lines": [list(mark) for mark in hit.lines],
        "repeated": hit.repeated,
        "link": hit.link,
        "text_hash": hit.text_hash.hex(),
        "score": hit.score,
        "coverage": hit.coverage,
        "cosine": hit.cosine,
        "neighbour": hit.neighbour,
    }
    return Document(page_content=hit.text, metadata=metadata, id=str(hit.id))


def from_documents(documents: Iterable[Document]) -> list[Hit]:
    """Return LangChain documents as hits, in their order.

    Those of `as_document` come back as they were. Those of another retriever need a `source`; `title`, `heading`,
    `page` and `score` are taken where they are there. Their lines are counted within the passage.

    Raises:
        StoreError: a document does not name its source.
    """
    return [
        _own(document) if "text_hash" in document.metadata else _foreign(document, place)
        for place, document in enumerate(documents, start=1)
    ]


def _own(document: Document) -> Hit:
    known = document.metadata
    return Hit(
        id=int(document.id or 0),
        source=known["source"],
        title=known["title"] or None,
        text=document.page_content,
        heading=tuple(known["headings"]),
        page=known["page"],
        lines=tuple((offset, line) for offset, line in known["lines"]),
        repeated=known["repeated"],
        link=known["link"],
        text_hash=bytes.fromhex(known["text_hash"]),
        rank=known["number"],
        score=known["score"],
        coverage=known["coverage"],
        cosine=known["cosine"],
        neighbour=known["neighbour"],
    )


def _foreign(document: Document, place: int) -> Hit:
    known: dict[str, Any] = document.metadata
    source, text = known.get("source"), document.page_content
    if not source:
        raise StoreError(
            f"document {place} of the retriever does not say where it comes from; "
            "put the name of its file into its metadata as 'source'"
        )
    page, score, heading = known.get("page"), known.get("score"), known.get("heading")
    starts = [0, *(offset + 1 for offset, character in enumerate(text) if character == "\n" and offset + 1 < len(text))]
    return Hit(
        id=-place,
        source=str(source),
        title=str(known["title"]) if known.get("title") else None,
        text=text,
        heading=(str(heading),) if heading else (),
        page=page if isinstance(page, int) else None,
        lines=tuple((offset, line) for line, offset in enumerate(starts, start=1)),
        rank=place,
        score=float(score) if isinstance(score, int | float) else 0.0,
    )
