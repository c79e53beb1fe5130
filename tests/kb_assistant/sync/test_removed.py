"""What was removed stays out of the collection until it is asked for."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from kb_assistant import Assistant
from vectorstore import UnknownSourceError


@pytest.fixture
def docs(tmp_path: Path) -> Path:
    folder = tmp_path / "docs"
    folder.mkdir()
    for name, text in (("leave.md", "Staff get 15 days of annual leave."), ("vpn.md", "Tokens expire after a day.")):
        (folder / name).write_text(text)
    return folder


@pytest.fixture
def kb(docs: Path) -> Iterator[Assistant]:
    """An assistant that has mirrored the folder, without a document that was removed."""
    with Assistant.open() as assistant:
        assistant.ingest(docs)
        assert assistant.remove("v*") == ["vpn.md"]
        yield assistant


def names(kb: Assistant) -> list[str]:
    return [source.name for source in kb.sources()]


def test_it_stays_out_after_it_was_edited_and_after_the_folder_was_named(kb: Assistant, docs: Path) -> None:
    (docs / "vpn.md").write_text("Tokens expire after two days.")
    for paths in ((), (docs,), (docs.parent,)):
        report = kb.ingest(*paths)
        assert [file.status for file in report.files if file.path.endswith("vpn.md")] == ["left_out"]
    assert names(kb) == ["docs/leave.md"]


def test_it_stays_out_after_it_was_moved_and_then_edited(kb: Assistant, docs: Path) -> None:
    (docs / "it").mkdir()
    (docs / "vpn.md").rename(docs / "it" / "tokens.md")
    kb.ingest()
    (docs / "it" / "tokens.md").write_text("Tokens expire after two days.")
    kb.ingest()
    assert names(kb) == ["leave.md"]


def test_a_copy_elsewhere_is_another_document(kb: Assistant, docs: Path) -> None:
    (docs / "copy.md").write_bytes((docs / "vpn.md").read_bytes())
    kb.ingest()
    assert names(kb) == ["copy.md", "leave.md"]


@pytest.mark.parametrize("moved", [False, True])
def test_it_comes_back_when_its_file_is_named(kb: Assistant, docs: Path, moved: bool) -> None:
    if moved:
        (docs / "vpn.md").rename(docs / "tokens.md")
    name = "tokens.md" if moved else "vpn.md"
    kb.ingest(docs / name)
    kb.ingest()
    assert names(kb) == sorted(["leave.md", name])


def test_it_comes_back_when_all_that_was_removed_is_asked_for(kb: Assistant) -> None:
    kb.ingest(include_removed=True, dry_run=True)
    assert kb.ingest().added == 0
    assert kb.ingest(include_removed=True).added == 1
    assert kb.ingest().unchanged == 2


def test_a_removal_that_fails_keeps_nothing_out(kb: Assistant) -> None:
    with pytest.raises(UnknownSourceError):
        kb.remove("leave.md", "other.md")
    assert kb.ingest().unchanged == 1
    assert names(kb) == ["leave.md"]
