from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from damage import damage
from sqlalchemy.exc import IntegrityError

from vectorstore import CollectionInfo, NewChunk, NewSource, StoreError, UnknownCollectionError, UnknownSourceError
from vectorstore.catalog import Catalog
from vectorstore.errors import EmptyStoreError
from vectorstore.fulltext import FullTextIndex
from vectorstore.passages import Passages
from vectorstore.records import text_hash

MODEL = "model-1"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "catalog.db"


@pytest.fixture
def catalog(path: Path) -> Iterator[Catalog]:
    catalog = Catalog(path)
    yield catalog
    catalog.close()


def counts(path: Path) -> dict[str, int]:
    """How many rows each table holds, asked of SQLite itself."""
    connection = sqlite3.connect(path)
    names = ["roots", "sources", "chunks", "passages", "vectors", "chroma_queue"]
    names += [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE sql LIKE '%USING fts5(%'")]
    found = {name: connection.execute(f"SELECT count(*) FROM {name}").fetchone()[0] for name in names}
    connection.close()
    return found


# Collections


def test_a_collection_is_made_once(catalog: Catalog) -> None:
    made = catalog.ensure_collection("内部", MODEL)
    assert catalog.ensure_collection("内部", "another") == made
    assert catalog.collections() == [CollectionInfo(made.id, "内部", MODEL, 0, sources=0, chunks=0, passages=0)]


def test_collections_count_their_own(catalog: Catalog, source: Callable[..., NewSource]) -> None:
    one, other = (catalog.ensure_collection(name, MODEL) for name in ("one", "other"))
    catalog.replace_source(one.id, source("a.md", "一", "二"))
    catalog.replace_source(other.id, source("a.md", "三"))
    assert [(c.name, c.sources, c.chunks) for c in catalog.collections()] == [("one", 1, 2), ("other", 1, 1)]


def test_an_unknown_collection_lists_the_known_ones(catalog: Catalog) -> None:
    with pytest.raises(EmptyStoreError, match="nothing has been ingested yet; run: kb ingest FOLDER"):
        catalog.collection("docs")
    catalog.ensure_collection("a", MODEL)
    catalog.ensure_collection("b", MODEL)
    with pytest.raises(UnknownCollectionError, match="no collection 'docs'; there are: a, b"):
        catalog.collection("docs")


# Sources


def test_a_source_comes_back_as_it_went_in(catalog: Catalog) -> None:
    collection = catalog.ensure_collection("docs", MODEL)
    chunk = NewChunk("一\n二", "题 › 假期", ("手册", "假期"), 3, ((0, 7), (2, 9)), 10, 13, 2, "https://a.example/")
    catalog.replace_source(
        collection.id, NewSource("a.pdf", "/x/a.pdf", "h", "2.1", "partial", "题", 4, ("no text on page 2",), (chunk,))
    )
    (info,) = catalog.sources(collection.id)
    assert (info.name, info.path, info.content_hash, info.made_with, info.status, info.title, info.pages) == (
        "a.pdf", "/x/a.pdf", "h", "2.1", "partial", "题", 4,
    )  # fmt: skip
    assert (info.notes, info.chunks) == (("no text on page 2",), 1)
    with catalog.transaction() as connection:
        (stored,) = Passages(collection.id).find(connection, range(10)).values()
    assert (stored.source, stored.title, stored.text, stored.heading) == ("a.pdf", "题", "一\n二", ("手册", "假期"))
    assert (stored.page, stored.lines, stored.repeated) == (3, ((0, 7), (2, 9)), 2)
    assert stored.link == "https://a.example/"
    assert stored.text_hash == text_hash("题 › 假期\n一\n二")


def test_a_source_takes_the_place_of_the_one_at_its_path(
    catalog: Catalog, path: Path, source: Callable[..., NewSource]
) -> None:
    collection = catalog.ensure_collection("docs", MODEL)
    catalog.replace_source(collection.id, source("a.md", "旧一", "旧二"))
    catalog.replace_source(collection.id, source("a.md", "新"))
    assert [info.chunks for info in catalog.sources(collection.id)] == [1]
    found = counts(path)
    assert found["chunks"] == found["passages"] == found[f"fulltext_{collection.id}"] == 1


def test_a_change_that_fails_half_way_changes_nothing(
    catalog: Catalog, path: Path, source: Callable[..., NewSource]
) -> None:
    collection = catalog.ensure_collection("docs", MODEL)
    catalog.replace_source(collection.id, source("a.md", "一"))
    catalog.replace_source(collection.id, source("b.md", "二"))
    before = counts(path)
    with pytest.raises(IntegrityError):  # its name is taken, which shows after the old rows are gone
        catalog.replace_source(collection.id, source("b.md", "三", "四", path="/documents/a.md"))
    assert counts(path) == before
    assert [info.name for info in catalog.sources(collection.id)] == ["a.md", "b.md"]


def test_a_removed_source_leaves_no_row(catalog: Catalog, path: Path, source: Callable[..., NewSource]) -> None:
    collection = catalog.ensure_collection("docs", MODEL)
    removed = source("a.md", "要删除的内容", "还有一段")
    catalog.vectors.add(MODEL, [(text_hash(c.indexed_text), np.ones(4, np.float32)) for c in removed.chunks])
    catalog.replace_source(collection.id, removed)
    catalog.remove_sources(collection.id, ["a.md"])
    catalog.followed(collection.id, 1 << 40)
    assert set(counts(path).values()) == {0}


def test_text_that_another_source_shares_keeps_its_vector(catalog: Catalog, source: Callable[..., NewSource]) -> None:
    collection = catalog.ensure_collection("docs", MODEL)
    catalog.vectors.add(MODEL, [(text_hash("同"), np.ones(4, np.float32)), (text_hash("异"), np.ones(4, np.float32))])
    catalog.replace_source(collection.id, source("a.md", "同", "异"))
    catalog.replace_source(collection.id, source("b.md", "同"))
    catalog.remove_sources(collection.id, ["a.md"])
    assert catalog.vectors.missing(MODEL, [text_hash("同"), text_hash("异")]) == {text_hash("异")}


def test_an_unknown_source_stops_the_whole_removal(catalog: Catalog, source: Callable[..., NewSource]) -> None:
    collection = catalog.ensure_collection("docs", MODEL)
    catalog.replace_source(collection.id, source("a.md", "一"))
    with pytest.raises(UnknownSourceError, match=r"no source 'b\.md' in the collection; kb sources lists them"):
        catalog.remove_sources(collection.id, ["a.md", "b.md"])
    assert [info.name for info in catalog.sources(collection.id)] == ["a.md"]


def test_passage_ids_are_never_given_again(catalog: Catalog, source: Callable[..., NewSource]) -> None:
    collection = catalog.ensure_collection("docs", MODEL)
    seen: set[int] = set()
    for number in range(3):
        catalog.replace_source(collection.id, source("a.md", f"一{number}", f"二{number}"))
        with catalog.transaction() as connection:
            ids = set(Passages(collection.id).find(connection, range(100)))
        assert len(ids) == 2
        assert not ids & seen
        seen |= ids


def test_more_chunks_than_one_statement_takes(catalog: Catalog, source: Callable[..., NewSource]) -> None:
    collection = catalog.ensure_collection("docs", MODEL)
    texts = [f"第{number}段" for number in range(3000)]
    catalog.replace_source(collection.id, source("a.md", *texts))
    catalog.vectors.add(MODEL, [(text_hash(text), np.full(2, i, np.float32)) for i, text in enumerate(texts[:-1])])
    assert catalog.vectors.missing(MODEL, [text_hash(text) for text in texts]) == {text_hash(texts[-1])}
    assert catalog.vectors.unembedded(collection.id, MODEL, 10) == [texts[-1]]


# The file


@pytest.mark.parametrize("content", [b"garbage " * 200, b"\0" * 5000, b"SQLite format 3\0" + b"\xff" * 4000])
def test_a_file_that_is_no_catalogue_is_refused_in_one_line(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    with pytest.raises(
        StoreError, match=f"^cannot open the catalogue {path}: .+; restore it from a copy, or"
    ) as caught:
        Catalog(path)
    assert "\n" not in str(caught.value)
    assert path.read_bytes() == content


def test_a_newer_catalogue_is_refused(path: Path) -> None:
    Catalog(path).close()
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(StoreError, match="was made by a newer kb; upgrade kb"):
        Catalog(path)


def test_damage_inside_is_told_in_one_line(path: Path, source: Callable[..., NewSource]) -> None:
    catalog = Catalog(path)
    collection = catalog.ensure_collection("docs", MODEL)
    catalog.replace_source(collection.id, source("a.md", *(f"第{number}段" for number in range(500))))
    assert catalog.damage() is None
    catalog.close()
    damage(path)
    catalog = Catalog(path)
    assert catalog.damage()
    with pytest.raises(StoreError, match=f"^cannot use the catalogue {path}: .*malformed; kb doctor") as caught:
        catalog.collections()
    assert "\n" not in str(caught.value)
    catalog.close()


def test_a_catalogue_of_version_1_is_brought_up_to_date(path: Path, source: Callable[..., NewSource]) -> None:
    catalog = Catalog(path)
    collection = catalog.ensure_collection("docs", MODEL)
    catalog.replace_source(collection.id, source("a.md", "年假十二天", "annual leave, annual report"))
    frequencies = f"SELECT term, passages FROM fulltext_{collection.id}_frequencies ORDER BY term"
    with catalog.transaction() as connection:
        expected = connection.exec_driver_sql(frequencies).all()
    catalog.close()
    former = sqlite3.connect(path)
    former.execute(f"DROP TABLE fulltext_{collection.id}_frequencies")
    former.execute(
        f"CREATE VIRTUAL TABLE fulltext_{collection.id}_terms USING fts5vocab(fulltext_{collection.id}, 'row')"
    )
    former.execute("ALTER TABLE sources DROP COLUMN modified_ns")
    former.execute("PRAGMA user_version = 1")
    former.close()
    for _ in range(2):  # brought up to date, and then left alone
        again = Catalog(path)
        with again.transaction() as connection:
            assert connection.exec_driver_sql(frequencies).all() == expected
            assert FullTextIndex(collection.id).search(connection, ["report"], 5) != []
        (kept,) = again.sources(collection.id)
        assert (kept.name, kept.chunks, kept.modified_ns) == ("a.md", 2, None)
        again.close()


def test_a_catalogue_of_version_2_is_brought_up_to_date(path: Path, source: Callable[..., NewSource]) -> None:
    catalog = Catalog(path)
    collection = catalog.ensure_collection("docs", MODEL)
    catalog.replace_source(collection.id, source("a.md", "年假十二天"))
    catalog.close()
    former = sqlite3.connect(path)
    former.execute("PRAGMA user_version = 2")
    former.close()
    again = Catalog(path)
    assert [one.name for one in again.sources(collection.id)] == ["a.md"]
    again.close()


def test_many_may_open_a_new_catalogue_at_once(tmp_path: Path) -> None:
    failed: list[BaseException] = []

    def open_it(path: Path, start: threading.Barrier) -> None:
        start.wait()
        try:
            Catalog(path).close()
        except StoreError as error:
            failed.append(error)

    for number in range(20):
        start = threading.Barrier(4)
        threads = [threading.Thread(target=open_it, args=(tmp_path / f"{number}.db", start)) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert failed == []
