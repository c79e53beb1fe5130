"""Says why there was nothing to search: an empty collection, or a filter that no document matches."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from prompts import load_prompt

if TYPE_CHECKING:
    from vectorstore import Filter, Store

__all__ = ["describe_filter", "explain_empty_search"]

_WORDS = {
    "zh": {"type": "类型 {}", "or": " 或 ", "since": "{} 起修改", "until": "{} 及以前修改", "and": "、"},
    "en": {"type": "type {}", "or": " or ", "since": "changed since {}", "until": "changed until {}", "and": ", "},
}


def explain_empty_search(store: Store, collection: str, only: Filter, language: str) -> str | None:
    """Return in `language` ("zh" or "en") why a search of a collection has no text to look at; None if it has.

    Raises:
        UnknownCollectionError: there is no such collection.
    """
    if store.has_text(collection, only):
        return None
    count = store.count_documents(collection)
    if not count:
        return load_prompt("no_documents", language).format(collection=collection)
    matching = store.count_documents(collection, only)
    if not matching:
        return load_prompt("no_match", language).format(filter=describe_filter(only, language), count=count)
    return load_prompt("no_text", language).format(count=matching)


def describe_filter(only: Filter, language: str) -> str:
    """Return a filter in words, as its user would say it."""
    return _WORDS[language]["and"].join(_conditions(only, _WORDS[language]))


def _conditions(only: Filter, words: dict[str, str]) -> Iterator[str]:
    if only.source is not None:
        yield only.source
    if only.suffixes:
        yield words["type"].format(words["or"].join(only.suffixes))
    if only.since:
        yield words["since"].format(only.since)
    if only.until:
        yield words["until"].format(only.until)
