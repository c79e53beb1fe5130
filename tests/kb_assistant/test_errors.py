"""Wrong calls from Python: `except KbError` catches them all, and errors of the store stay errors of the store."""

import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from paths import SAMPLES

import vectorstore
from kb_assistant import Assistant, Citation, Filter, KbError, Upload
from kb_assistant.errors import EmptyStoreError, StoreError, UnknownCollectionError, UnknownSourceError, UsageError

CITATION = Citation(1, "员工手册.md", None, 1, 1, "", "年假", 0.5)


@pytest.fixture(scope="module")
def kb(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Assistant]:
    with Assistant.open(tmp_path_factory.mktemp("home")) as kb:
        kb.ingest(SAMPLES / "员工手册.md")
        yield kb


WRONG: dict[str, Callable[[Assistant], Any]] = {
    "search": lambda kb: kb.search("年假", collection="nowhere"),
    "ask": lambda kb: kb.ask("年假有几天？", collection="nowhere"),
    "stream": lambda kb: list(kb.stream("年假有几天？", collection="nowhere")),
    "covered": lambda kb: kb.covered("年假", "nowhere"),
    "sources": lambda kb: kb.sources("nowhere"),
    "folders": lambda kb: kb.folders("nowhere"),
    "text": lambda kb: kb.text("员工手册.md", "nowhere"),
    "remove": lambda kb: kb.remove("员工手册.md", collection="nowhere"),
    "ingest": lambda kb: kb.ingest(collection="nowhere"),
    "suggestions": lambda kb: kb.suggestions("nowhere"),
    "open_passage": lambda kb: kb.open_passage(CITATION, "nowhere"),
    "page_image": lambda kb: kb.page_image(CITATION, "nowhere"),
    "chats": lambda kb: list(kb.chats.ask("年假有几天？", collection="nowhere")),
}


@pytest.mark.parametrize("call", WRONG.values(), ids=WRONG)
def test_a_collection_that_is_not_there(kb: Assistant, call: Callable[[Assistant], Any]) -> None:
    with pytest.raises(KbError, match="no collection 'nowhere'; there are: default") as caught:
        call(kb)
    assert isinstance(caught.value, UnknownCollectionError)
    assert isinstance(caught.value, vectorstore.UnknownCollectionError)
    assert caught.value.exit_code == 2


def test_langchain_users_get_the_same_errors(tmp_path: Path) -> None:
    with Assistant.open(tmp_path / "home") as kb:
        for call in (
            lambda: kb.retriever.invoke("年假"),
            lambda: kb.chain.invoke({"query": "年假有几天？"}),
            lambda: kb.search("年假"),
        ):
            with pytest.raises(KbError, match="nothing has been ingested yet; run: kb ingest FOLDER") as caught:
                call()
            assert isinstance(caught.value, EmptyStoreError)
            assert isinstance(caught.value, vectorstore.EmptyStoreError)
            assert caught.value.exit_code == 3


def test_a_document_that_is_not_there(kb: Assistant) -> None:
    for call in (lambda: kb.text("nowhere.md"), lambda: kb.remove("nowhere.md")):
        with pytest.raises(KbError, match=r"nowhere\.md") as caught:
            call()
        assert isinstance(caught.value, UnknownSourceError)
        assert isinstance(caught.value, vectorstore.UnknownSourceError)


@pytest.mark.parametrize("settings", [{"embedding_model": "nowhere"}, {"reranker": "nowhere"}])
def test_a_model_that_is_not_there(own_home: Path, settings: dict[str, str]) -> None:
    with pytest.raises(KbError, match="no such folder") as caught:
        Assistant.open(own_home, **settings)
    assert isinstance(caught.value, StoreError)


def test_a_home_that_cannot_be_one(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(KbError, match="set KB_HOME to a folder"):
        Assistant.open(tmp_path / "file")


def test_a_damaged_catalogue(own_home: Path) -> None:
    with Assistant.open(own_home) as kb:
        kb.ingest(SAMPLES / "员工手册.md")
    (own_home / "catalog.db").write_bytes(b"no database, but longer than the header of one" * 100)
    with pytest.raises(KbError, match="cannot open the catalogue"):
        Assistant.open(own_home)


@pytest.mark.parametrize("limit", [0, -1])
def test_a_search_for_no_passages(kb: Assistant, limit: int) -> None:
    with pytest.raises(UsageError, match=f"limit cannot be {limit}; it is 1 or more"):
        kb.search("年假", limit=limit)


def test_a_page_whose_file_is_gone(own_home: Path, tmp_path: Path) -> None:
    copy = tmp_path / "specs.pdf"
    copy.write_bytes((SAMPLES / "product-specs.pdf").read_bytes())
    with Assistant.open(own_home) as kb:
        kb.ingest(copy)
        copy.unlink()
        with pytest.raises(KbError, match=r"specs\.pdf"):
            kb.page_image(Citation(1, "specs.pdf", 1, 1, 1, "", "气象站", 0.5))


def test_an_upload_takes_bytes_a_stream_and_a_path(own_home: Path, tmp_path: Path) -> None:
    (tmp_path / "c.md").write_text("Cats get 3 meals a day.\n")
    with Assistant.open(own_home) as kb:
        report = kb.upload(
            [
                Upload("a.md", b"Ants get 1 meal a day.\n"),
                Upload("b.md", io.BytesIO(b"Bats get 2 meals a day.\n")),
                Upload("c.md", tmp_path / "c.md"),
            ]
        )
        assert [(file.path, file.status) for file in report.files] == [(f"{one}.md", "ready") for one in "abc"]
        assert kb.text("a.md") == "Ants get 1 meal a day."


def test_the_filter_is_a_public_name(kb: Assistant) -> None:
    assert {hit.source for hit in kb.search("年假", only=Filter(suffixes=(".md",)))} == {"员工手册.md"}
    assert kb.search("年假", only=Filter(suffixes=(".pdf",))) == []
