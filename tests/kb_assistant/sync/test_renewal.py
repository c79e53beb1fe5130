"""A store that an earlier version of the analysis of text has indexed."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from kb_assistant import Assistant
from kb_assistant.sync import indexer
from vectorstore import ANALYSIS_VERSION, HashedEmbeddings, fulltext, terms


@pytest.fixture
def docs(tmp_path: Path) -> Path:
    folder = tmp_path / "docs"
    folder.mkdir()
    (folder / "leave.md").write_text("# Leave\n\nStaff get 15 days of annual leave.\n")
    (folder / "leave-copy.md").write_text("# Leave\n\nStaff get 15 days of annual leave.\n")
    (folder / "病假.txt").write_text("病假每年八天，须交医院证明。\n", encoding="utf-8")
    return folder


@pytest.fixture
def kb(docs: Path, own_home: Path) -> Iterator[Assistant]:
    """An assistant whose documents were ingested when text yielded other terms."""

    def former_terms(text: str) -> Iterator[str]:
        return (f"{term}x" for term in terms(text))

    with pytest.MonkeyPatch.context() as former:
        former.setattr(fulltext, "terms", former_terms)
        former.setattr(indexer, "ANALYSIS_VERSION", ANALYSIS_VERSION - 1)
        former.setattr(HashedEmbeddings, "model_id", f"builtin-{ANALYSIS_VERSION - 1}")
        with Assistant.open(own_home) as kb:
            kb.ingest(docs)
            assert full_text(kb, "annual leave") == []
    with Assistant.open(own_home) as kb:
        yield kb


def full_text(kb: Assistant, question: str) -> list[str]:
    return [hit.source for hit in kb.knowledge_base.store.search_full_text("default", question, 10)]


def test_it_is_searched_by_what_is_there_and_renewed_by_the_next_ingest(kb: Assistant, docs: Path) -> None:
    assert kb.search("annual leave") == [], "vectors of the former version are no help"
    report = kb.ingest(docs)
    assert (report.updated, report.unchanged) == (3, 0)
    assert full_text(kb, "annual leave") == ["leave-copy.md"]
    assert full_text(kb, "病假") == ["病假.txt"]
    assert full_text(kb, "copy") == ["leave-copy.md"], "a file's name is indexed anew as well"
    assert full_text(kb, "annualx") == []
    assert all(sound for _, sound, _ in kb.check())
    assert {one.embedding for one in kb.collections()} == {HashedEmbeddings.model_id}
    assert kb.ingest(docs).unchanged == 3
