from __future__ import annotations

from datetime import date

import pytest

from ingest import LOADERS
from kb_assistant.answering.filters import DOCUMENT_TYPES, build_filter
from kb_assistant.errors import UsageError
from vectorstore import Filter


@pytest.mark.parametrize(
    ("types", "suffixes"),
    [
        ([], ()),
        (["pdf"], (".pdf",)),
        ([".PDF", "pdf "], (".pdf",)),
        (["markdown", "md"], (".md", ".markdown")),
        (["slides", "txt"], (".pptx", ".ppt", ".txt")),
    ],
)
def test_types_are_endings_or_families(types: list[str], suffixes: tuple[str, ...]) -> None:
    assert build_filter(types=types) == Filter(suffixes=suffixes)


def test_families_hold_what_can_be_read() -> None:
    assert {one for family in DOCUMENT_TYPES.values() for one in family} <= set(LOADERS)


def test_an_unknown_type_names_the_known_ones() -> None:
    with pytest.raises(UsageError, match=r"unknown document type 'exe'; known types: markdown, .*, pdf"):
        build_filter(types=["exe"])


def test_the_last_day_is_not_before_the_first() -> None:
    day = date(2024, 1, 2)
    assert build_filter("a*", since=day, until=day) == Filter("a*", (), day, day)
    with pytest.raises(UsageError, match="--until 2024-01-01 is before --since 2024-01-02"):
        build_filter(since=day, until=date(2024, 1, 1))
