import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from vectorstore.catalog import Catalog
from vectorstore.folders import Folders
from vectorstore.records import NewSource

MODEL = "test"


@pytest.fixture
def catalog(tmp_path: Path) -> Iterator[Catalog]:
    opened = Catalog(tmp_path / "catalog.db")
    yield opened
    opened.close()


def test_roots_and_removed_files_are_replaced(catalog: Catalog) -> None:
    folders = Folders(catalog, catalog.ensure_collection("docs", MODEL).id)
    other = Folders(catalog, catalog.ensure_collection("other", MODEL).id)
    other.update([Path("/a")], {"/a/x.md": "3"})
    folders.update([Path("/b"), Path("/乙")], {"/b/x.md": "1", "/b/y.md": "2"})
    folders.update([Path("/乙")], {"/b/y.md": "4"})
    assert (folders.roots(), folders.removed()) == ([Path("/乙")], {"/b/y.md": "4"})
    assert (other.roots(), other.removed()) == ([Path("/a")], {"/a/x.md": "3"})


def test_a_catalogue_of_version_3_is_brought_up_to_date(
    tmp_path: Path, catalog: Catalog, source: Callable[..., NewSource]
) -> None:
    collection = catalog.ensure_collection("docs", MODEL)
    catalog.replace_source(collection.id, source("a.md", "年假十二天"))
    catalog.close()
    with closing(sqlite3.connect(tmp_path / "catalog.db")) as former:
        former.execute("DROP TABLE removed_files")
        former.execute("PRAGMA user_version = 3")
    reopened = Catalog(tmp_path / "catalog.db")
    Folders(reopened, collection.id).update([], {"/a.md": "1"})
    assert [one.name for one in reopened.sources(collection.id)] == ["a.md"]
    reopened.close()


def test_names_can_be_exchanged(catalog: Catalog, source: Callable[..., NewSource]) -> None:
    collection = catalog.ensure_collection("docs", MODEL)
    for name in ("a.md", "b.md"):
        catalog.replace_source(collection.id, source(name, f"text of {name}"))
    a, b = catalog.sources(collection.id)
    catalog.rename_sources(collection.id, [(a.id, "b.md", b.path), (b.id, "a.md", a.path)])
    assert [(one.id, one.name) for one in catalog.sources(collection.id)] == [(b.id, "a.md"), (a.id, "b.md")]
