"""Builds the filter for a search from what a user gives: a name, types and dates."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from ingest import LOADERS
from kb_assistant.errors import UsageError
from vectorstore import Filter

__all__ = ["DOCUMENT_TYPES", "build_filter"]

DOCUMENT_TYPES = {
    "markdown": (".md", ".markdown"),
    "text": (".txt",),
    "html": (".html", ".htm"),
    "word": (".docx", ".doc", ".odt", ".rtf"),
    "slides": (".pptx", ".ppt"),
    "table": (".xlsx", ".xlsm", ".xls", ".csv", ".tsv"),
    "mail": (".eml", ".msg"),
    "image": (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".webp"),
}
"""Names for types of documents, with the suffixes of their files."""


def build_filter(
    source: str | None = None, types: Sequence[str] = (), since: date | None = None, until: date | None = None
) -> Filter:
    """Return the filter for documents that meet all conditions.

    Args:
        source: a pattern (`*`, `?`) for the name.
        types: suffixes, with or without the dot, or names of `DOCUMENT_TYPES`; a document needs one of them.
        since: the earliest day of the last change, in local time.
        until: the latest day of the last change.

    Raises:
        UsageError: a type is unknown, or `until` comes before `since`.
    """
    if since and until and until < since:
        raise UsageError(f"--until {until} is before --since {since}, so no document can match; swap the dates")
    suffixes = dict.fromkeys(suffix for name in types for suffix in _suffixes(name))
    return Filter(source, tuple(suffixes), since, until)


def _suffixes(name: str) -> Sequence[str]:
    wanted = name.strip().lower()
    suffix = f".{wanted.removeprefix('.')}"
    if wanted in DOCUMENT_TYPES or suffix in LOADERS:
        return DOCUMENT_TYPES.get(wanted, (suffix,))
    known = [*DOCUMENT_TYPES, *(suffix[1:] for suffix in LOADERS)]
    raise UsageError(f"unknown document type {name!r}; known types: {', '.join(dict.fromkeys(known))}")
