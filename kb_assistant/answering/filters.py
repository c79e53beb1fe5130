"""Which documents are searched, as a user says it: by name, type and date."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from ingest import LOADERS
from kb_assistant.errors import UsageError
from vectorstore import Filter

__all__ = ["FAMILIES", "documents"]

FAMILIES = {
    "markdown": (".md", ".markdown"),
    "text": (".txt",),
    "html": (".html", ".htm"),
    "word": (".docx", ".doc", ".odt", ".rtf"),
    "slides": (".pptx", ".ppt"),
    "table": (".xlsx", ".xlsm", ".xls", ".csv", ".tsv"),
    "mail": (".eml", ".msg"),
    "image": (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".webp"),
}
"""Types that have several endings, or a name that is none."""


def documents(
    source: str | None = None, types: Sequence[str] = (), since: date | None = None, until: date | None = None
) -> Filter:
    """Return the filter for documents that meet all of this.

    Args:
        source: a pattern (`*`, `?`) that their names match.
        types: endings of file names, with or without the dot, or names of `FAMILIES`; any of them will do.
        since: the first day on which their files may have been changed last, in local time.
        until: the last such day.

    Raises:
        UsageError: there is no such type, or `until` comes before `since`.
    """
    if since and until and until < since:
        raise UsageError(f"--until {until} is before --since {since}; no document can meet both")
    return Filter(source, tuple(dict.fromkeys(one for name in types for one in _suffixes(name))), since, until)


def _suffixes(name: str) -> Sequence[str]:
    wanted = name.strip().lower()
    suffix = f".{wanted.removeprefix('.')}"
    if wanted in FAMILIES or suffix in LOADERS:
        return FAMILIES.get(wanted, (suffix,))
    known = [*FAMILIES, *(one[1:] for one in LOADERS)]
    raise UsageError(f"unknown document type {name!r}; there are: {', '.join(dict.fromkeys(known))}")
