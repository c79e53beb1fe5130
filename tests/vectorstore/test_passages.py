"""Text that stands in several places is indexed once, and found for as long as one of them holds it."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing

import pytest

from vectorstore import Collection, Filter, NewSource, Store


@pytest.fixture
def docs(store: Store) -> Collection:
    return store.prepare("docs")


def texts(store: Store) -> list[str]:
    with closing(sqlite3.connect(store.folder / "catalog.db")) as catalog:
        return sorted(text for (text,) in catalog.execute("SELECT text FROM passages"))


def test_a_text_of_several_sources_is_stored_and_found_once(
    store: Store, docs: Collection, source: Callable[..., NewSource]
) -> None:
    store.replace(docs, [source(f"{name}.md", "All rights reserved.", f"Text of {name}.") for name in "cab"])
    assert texts(store) == ["All rights reserved.", "Text of a.", "Text of b.", "Text of c."]
    assert [hit.source for hit in store.search("docs", "rights reserved", 5) if hit.coverage == 1] == ["a.md"]
    (info,) = store.catalog.collections()
    assert (info.sources, info.chunks, info.passages) == (3, 6, 4)


def test_it_stays_until_its_last_source_goes(store: Store, docs: Collection, source: Callable[..., NewSource]) -> None:
    store.replace(docs, [source("a.md", "Shared words."), source("b.md", "Shared words.")])
    store.remove(docs, ["a.md"])
    assert [hit.source for hit in store.search("docs", "shared words", 5)] == ["b.md"]
    store.replace(docs, [source("b.md", "Other words.")])
    assert texts(store) == ["Other words."]
    assert [hit.text for hit in store.search("docs", "shared words", 5)] == ["Other words."]


def test_it_is_found_by_the_names_of_all_its_sources(
    store: Store, docs: Collection, source: Callable[..., NewSource]
) -> None:
    store.replace(docs, [source("合同2022.md", "同一段文字。"), source("协议2023.md", "同一段文字。")])
    assert store.search("docs", "合同2022", 1)[0].text == "同一段文字。"
    assert store.search("docs", "协议2023", 1)[0].text == "同一段文字。"
    store.remove(docs, ["合同2022.md"])
    with closing(sqlite3.connect(store.folder / "catalog.db")) as catalog:
        assert catalog.execute("SELECT name FROM fulltext_1").fetchall() == [("协 议 协议 2023 md",)]


def test_what_an_edit_leaves_alone_is_found_by_the_new_name(
    store: Store, docs: Collection, source: Callable[..., NewSource]
) -> None:
    store.replace(docs, [source("年报.md", "Stays.", "Goes.", path="/d/sub/年报.md")])
    store.replace(docs, [source("sub/年报.md", "Stays.", "Comes.", path="/d/sub/年报.md")])
    with closing(sqlite3.connect(store.folder / "catalog.db")) as catalog:
        assert catalog.execute("SELECT DISTINCT name FROM fulltext_1").fetchall() == [("sub 年 报 年报 md",)]


def test_a_filter_shows_the_source_that_matches(
    store: Store, docs: Collection, source: Callable[..., NewSource]
) -> None:
    store.replace(docs, [source("a.md", "Shared words."), source("b/c.md", "Shared words.")])
    assert [hit.source for hit in store.search("docs", "shared", 5, Filter("b/*"))] == ["b/c.md"]


@pytest.mark.parametrize("pattern", ["[2023]年报.md", "[2023]*", "[????]年报.md"])
def test_brackets_in_a_filter_stand_for_themselves(
    store: Store, docs: Collection, source: Callable[..., NewSource], pattern: str
) -> None:
    store.replace(docs, [source("[2023]年报.md", "Shared words."), source("2年报.md", "Other words.")])
    assert [hit.source for hit in store.search("docs", "words", 5, Filter(pattern))] == ["[2023]年报.md"]


def test_a_text_that_a_source_repeats_is_cited_from_its_first_place(
    store: Store, docs: Collection, source: Callable[..., NewSource]
) -> None:
    store.replace(docs, [source("a.md", "Again.", "Something else.", "Again.")])
    assert [hit.text for hit in store.search("docs", "again", 5)].count("Again.") == 1


def test_what_an_edit_leaves_alone_keeps_its_place_in_the_indexes(
    store: Store, docs: Collection, source: Callable[..., NewSource]
) -> None:
    store.replace(docs, [source("a.md", "Stays.", "Goes.")])
    before = passage_ids(store)
    store.replace(docs, [source("a.md", "Comes.", "Stays.")])
    assert passage_ids(store)["Stays."] == before["Stays."]
    assert set(passage_ids(store)) == {"Comes.", "Stays."}


def passage_ids(store: Store) -> dict[str, int]:
    with closing(sqlite3.connect(store.folder / "catalog.db")) as catalog:
        return dict(catalog.execute("SELECT text, id FROM passages"))


def test_boilerplate_of_thousands_of_sources_does_not_slow_the_next_one(
    store: Store, docs: Collection, source: Callable[..., NewSource]
) -> None:
    store.replace(docs, [source(f"{number}.md", "All rights reserved.") for number in range(300)])
    with closing(sqlite3.connect(store.folder / "catalog.db")) as catalog:
        ((names,),) = catalog.execute("SELECT name FROM fulltext_1").fetchall()
    assert len(names.split()) == 2 * 20
