from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import chromadb
import numpy as np
import pytest
from chromadb.api.shared_system_client import SharedSystemClient

from vectorstore import Collection, NewSource, StoreError
from vectorstore.catalog import Catalog
from vectorstore.chroma import ReadOnlyIndex, VectorIndex
from vectorstore.passages import Passages
from vectorstore.records import text_hash

VECTORS = {"东": [1.0, 0.0], "南": [0.0, 1.0], "东南": [0.7071068, 0.7071068]}


@pytest.fixture
def catalog(tmp_path: Path) -> Iterator[Catalog]:
    catalog = Catalog(tmp_path / "catalog.db")
    yield catalog
    catalog.close()


@pytest.fixture
def index(tmp_path: Path, catalog: Catalog) -> Iterator[VectorIndex]:
    index = VectorIndex(tmp_path / "chroma", catalog)
    yield index
    index.close()


@pytest.fixture
def collection(catalog: Catalog, source: Callable[..., NewSource]) -> Collection:
    collection = catalog.ensure_collection("docs", "model-1")
    catalog.vectors.add("model-1", [(text_hash(text), np.array(v, np.float32)) for text, v in VECTORS.items()])
    for text in VECTORS:
        catalog.replace_source(collection.id, source(f"{text}.md", text))
    return collection


def held(folder: Path) -> dict[str, set[str]]:
    """The ids in each of Chroma's collections, asked of Chroma itself."""
    SharedSystemClient.clear_system_cache()
    client = chromadb.PersistentClient(str(folder))
    found = {each.name: set(each.get(include=[])["ids"]) for each in client.list_collections()}
    client.close()
    return found


def texts(catalog: Catalog, ids: list[int]) -> list[str]:
    with catalog.transaction() as connection:
        found = Passages(1).find(connection, ids)
    return [found[passage_id].text for passage_id in ids]


def test_where_chroma_may_only_be_read_the_catalogues_vectors_give_the_same(
    tmp_path: Path, catalog: Catalog, index: VectorIndex, collection: Collection
) -> None:
    index.follow(collection)
    current, reading = catalog.collection("docs"), ReadOnlyIndex(tmp_path / "nowhere", catalog)
    for query in ([1.0, 0.0], [0.0, 1.0], [0.8, 0.6]):
        for limit in (1, 2, 10):
            assert reading.search(current, query, limit) == index.search(current, query, limit)
    assert reading.count(current) == index.count(current) == 3
    assert reading.search(catalog.ensure_collection("empty", "model-1"), [1.0, 0.0], 5) == []


def test_the_nearest_come_first(catalog: Catalog, index: VectorIndex, collection: Collection) -> None:
    index.follow(collection)
    assert texts(catalog, index.search(catalog.collection("docs"), [1.0, 0.0], 10)) == ["东", "东南", "南"]
    assert texts(catalog, index.search(catalog.collection("docs"), [0.0, 1.0], 1)) == ["南"]


def test_two_open_one_folder_in_one_process(
    tmp_path: Path, catalog: Catalog, index: VectorIndex, collection: Collection
) -> None:
    index.follow(collection)
    other = VectorIndex(tmp_path / "chroma", catalog)
    assert (other.count(collection), index.count(collection)) == (3, 3)
    other.close()


def test_nothing_is_there_before_the_first_following(index: VectorIndex, collection: Collection) -> None:
    assert index.count(collection) == 0
    assert index.search(collection, [1.0, 0.0], 5) == []


def test_following_empties_the_queue_and_moves_the_generation(
    catalog: Catalog, index: VectorIndex, collection: Collection
) -> None:
    assert len(catalog.queued(collection.id, 10)) == 3
    index.follow(collection)
    assert catalog.queued(collection.id, 10) == []
    assert catalog.collection("docs").generation == collection.generation + 1
    index.follow(collection)
    assert catalog.collection("docs").generation == collection.generation + 1, "nothing to follow, nothing moved"


def test_following_twice_does_no_harm(catalog: Catalog, index: VectorIndex, collection: Collection) -> None:
    index.follow(collection)
    catalog.requeue(collection.id)
    index.follow(collection)
    assert index.count(collection) == 3


def test_what_is_removed_leaves_chroma(
    catalog: Catalog, index: VectorIndex, collection: Collection, tmp_path: Path
) -> None:
    index.follow(collection)
    catalog.remove_sources(collection.id, ["东.md", "南.md"])
    index.follow(collection)
    assert [len(ids) for ids in held(tmp_path / "chroma").values()] == [1]


def test_what_came_and_went_before_chroma_followed_never_gets_there(
    catalog: Catalog, index: VectorIndex, collection: Collection
) -> None:
    catalog.remove_sources(collection.id, ["东.md"])
    index.follow(collection)
    assert index.count(collection) == 2


def test_resetting_empties_one_collection_whatever_its_models(
    catalog: Catalog, index: VectorIndex, collection: Collection, source: Callable[..., NewSource], tmp_path: Path
) -> None:
    index.follow(collection)
    another = catalog.ensure_collection("another", "model-1")
    catalog.replace_source(another.id, source("x.md", "东"))
    index.follow(another)
    catalog.vectors.add("model-2", [(text_hash(text), np.ones(3, np.float32)) for text in VECTORS])
    catalog.set_embedding(collection.id, "model-2")
    index.follow(catalog.collection("docs"))
    assert sorted(len(ids) for ids in held(tmp_path / "chroma").values()) == [1, 3, 3]
    index.close()
    index.reset(catalog.collection("docs"))
    assert index.count(another) == 1
    assert index.count(catalog.collection("docs")) == 0


def test_a_folder_that_is_none_is_told_with_the_remedy(
    tmp_path: Path, index: VectorIndex, collection: Collection
) -> None:
    (tmp_path / "chroma").write_text("a file")
    with pytest.raises(StoreError, match="move the folder away and run kb ingest: it is rebuilt"):
        index.follow(collection)


def test_a_broken_chroma_database_is_told_with_the_remedy(
    tmp_path: Path, index: VectorIndex, collection: Collection
) -> None:
    (tmp_path / "chroma").mkdir()
    (tmp_path / "chroma" / "chroma.sqlite3").write_bytes(b"garbage " * 1000)
    with pytest.raises(StoreError, match=r"cannot use the vectors in .*move the folder away"):
        index.follow(collection)
