"""`kb ingest` as a mirror of a folder, through the Python API."""

import os
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest

from kb_assistant import Assistant
from kb_assistant.answering.filters import build_filter
from kb_assistant.errors import EmptiedFolderError, UsageError
from kb_assistant.sync import compare
from kb_assistant.sync.report import IngestReport
from vectorstore import UnknownCollectionError


@pytest.fixture
def docs(tmp_path: Path) -> Path:
    folder = tmp_path / "docs"
    (folder / "zh").mkdir(parents=True)
    (folder / "leave.md").write_text("# Leave\n\nStaff get 15 days of annual leave.\n")
    (folder / "zh" / "病假.txt").write_text("病假每年八天，须交医院证明。\n", encoding="utf-8")
    (folder / "vpn.md").write_text("# VPN\n\nTokens expire after twelve hours.\n")
    return folder


@pytest.fixture
def kb() -> Iterator[Assistant]:
    with Assistant.open() as assistant:
        yield assistant


def counts(report: IngestReport) -> dict[str, int]:
    names = ("added", "updated", "renamed", "unchanged", "deleted", "failed")
    return {name: getattr(report, name) for name in names if getattr(report, name)}


def found(kb: Assistant, question: str) -> list[str]:
    return [hit.source for hit in kb.search(question) if hit.coverage > 0.5]


def test_the_first_run_adds_and_the_second_finds_nothing_to_do(kb: Assistant, docs: Path) -> None:
    assert counts(kb.ingest(docs)) == {"added": 3}
    again = kb.ingest(docs)
    assert (counts(again), again.chunks_embedded) == ({"unchanged": 3}, 0)
    assert found(kb, "annual leave days") == ["leave.md"]
    assert found(kb, "病假几天") == ["zh/病假.txt"]


def test_an_edit_replaces_what_was_there(kb: Assistant, docs: Path) -> None:
    kb.ingest(docs)
    (docs / "leave.md").write_text("# Leave\n\nStaff get 20 days of annual holiday.\n")
    assert counts(kb.ingest(docs)) == {"updated": 1, "unchanged": 2}
    (hit,) = kb.search("annual holiday", limit=1)
    assert hit.text == "Leave\n\nStaff get 20 days of annual holiday."
    assert "15 days" not in " ".join(hit.text for hit in kb.search("15 days annual leave"))


def test_a_new_date_alone_is_noted_and_nothing_is_read_again(kb: Assistant, docs: Path) -> None:
    kb.ingest(docs)
    os.utime(docs / "leave.md", (1_600_000_000, 1_600_000_000))
    kb.ingest(docs, dry_run=True)
    only = build_filter(until=date(2020, 12, 31))
    assert kb.search("annual leave", only=only) == []
    again = kb.ingest(docs)
    assert (counts(again), again.chunks_embedded) == ({"unchanged": 3}, 0)
    assert {hit.source for hit in kb.search("annual leave", only=only)} == {"leave.md"}
    (docs / "leave.md").rename(docs / "holidays.md")
    kb.ingest(docs)
    assert {hit.source for hit in kb.search("annual leave", only=only)} == {"holidays.md"}


def test_a_deleted_file_no_longer_answers(kb: Assistant, docs: Path) -> None:
    kb.ingest(docs)
    (docs / "vpn.md").unlink()
    assert counts(kb.ingest(docs)) == {"deleted": 1, "unchanged": 2}
    assert found(kb, "tokens expire hours") == []
    assert kb.ask("When do tokens expire?").refused


def test_a_moved_file_is_not_embedded_again(kb: Assistant, docs: Path) -> None:
    kb.ingest(docs)
    (docs / "it").mkdir()
    (docs / "vpn.md").rename(docs / "it" / "remote-access.md")
    report = kb.ingest(docs)
    assert (counts(report), report.chunks_embedded) == ({"renamed": 1, "unchanged": 2}, 0)
    assert found(kb, "tokens expire hours") == ["it/remote-access.md"]
    assert kb.search("remote access", limit=1)[0].source == "it/remote-access.md"


def test_a_dry_run_changes_nothing(kb: Assistant, docs: Path) -> None:
    report = kb.ingest(docs, dry_run=True)
    assert (counts(report), {file.status for file in report.files}) == ({"added": 3}, {"added"})
    with pytest.raises(UnknownCollectionError, match="nothing has been ingested yet"):
        kb.sources()


def test_a_dry_run_shows_what_would_happen(kb: Assistant, docs: Path) -> None:
    kb.ingest(docs)
    (docs / "leave.md").write_text("new")
    (docs / "vpn.md").rename(docs / "net.md")
    (docs / "zh" / "病假.txt").unlink()
    report = kb.ingest(docs, dry_run=True)
    assert {file.path: file.status for file in report.files} == {
        "leave.md": "updated",
        "net.md": "renamed",
        "zh/病假.txt": "deleted",
    }
    assert len(kb.sources()) == 3


def test_keep_missing_keeps(kb: Assistant, docs: Path) -> None:
    kb.ingest(docs)
    (docs / "vpn.md").unlink()
    assert counts(kb.ingest(docs, keep_missing=True)) == {"unchanged": 3}
    assert found(kb, "tokens expire hours") == ["vpn.md"]


def test_a_folder_that_is_suddenly_empty_deletes_nothing(kb: Assistant, docs: Path) -> None:
    kb.ingest(docs)
    for path in list(docs.rglob("*.*")):
        path.unlink()
    with pytest.raises(UsageError, match="is empty now, and 3 documents from it are in collection 'default'"):
        kb.ingest(docs)
    assert len(kb.sources()) == 3


def test_a_folder_that_is_gone_deletes_nothing(kb: Assistant, docs: Path, tmp_path: Path) -> None:
    kb.ingest(docs)
    docs.rename(tmp_path / "elsewhere")
    with pytest.raises(EmptiedFolderError, match="is gone now, and 3 documents from it are in collection 'default'"):
        kb.ingest(docs)
    assert len(kb.sources()) == 3
    assert counts(kb.ingest(docs, delete_missing=True)) == {"deleted": 3}


def test_a_bad_file_does_not_stop_the_others(kb: Assistant, docs: Path) -> None:
    (docs / "broken.pdf").write_bytes(b"%PDF-1.7 and then nothing")
    (docs / "broken.docx").write_bytes(b"PK\x03\x04 cut short")
    (docs / "empty.md").write_text("")
    report = kb.ingest(docs)
    assert counts(report) == {"added": 4, "failed": 2}
    outcomes = {file.path: file for file in report.files}
    assert outcomes["empty.md"].status == "empty"
    for name, reason in (("broken.pdf", "broken"), ("broken.docx", "not a document of Word, or cut short")):
        assert outcomes[name].status == "failed"
        assert reason in outcomes[name].notes[0]
    assert counts(kb.ingest(docs)) == {"unchanged": 4, "failed": 2}


def test_a_file_that_breaks_later_no_longer_answers(kb: Assistant, docs: Path) -> None:
    kb.ingest(docs)
    (docs / "vpn.md").write_bytes(bytes(range(128, 256)) * 9)
    report = kb.ingest(docs)
    assert counts(report) == {"failed": 1, "unchanged": 2}
    assert found(kb, "tokens expire hours") == []


@pytest.mark.skipif(os.name == "nt", reason="such names cannot be made on Windows")
def test_a_name_that_is_not_unicode_is_reported(kb: Assistant, docs: Path) -> None:
    Path(os.fsdecode(os.fsencode(docs) + b"/\xff.md")).write_text("text")
    report = kb.ingest(docs)
    assert counts(report) == {"added": 3, "failed": 1}
    assert any("not valid Unicode; rename it" in note for file in report.files for note in file.notes)


def test_a_file_that_cannot_be_read_for_a_moment_still_answers(
    kb: Assistant, docs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kb.ingest(docs)
    real = compare.content_hash

    def locked(path: Path) -> str:
        if path.name == "vpn.md":  # as another program's lock does; permissions do not bind root
            raise PermissionError(13, "Permission denied", str(path))
        return real(path)

    monkeypatch.setattr(compare, "content_hash", locked)
    report = kb.ingest(docs)
    assert counts(report) == {"unchanged": 2, "failed": 1}
    assert found(kb, "tokens expire hours") == ["vpn.md"]


@pytest.mark.parametrize("leftover", [".DS_Store", "thumbs.db"])
def test_a_folder_emptied_but_for_other_files_deletes_nothing(kb: Assistant, docs: Path, leftover: str) -> None:
    kb.ingest(docs)
    for path in list(docs.rglob("*.*")):
        path.unlink()
    (docs / leftover).write_bytes(b"x")
    with pytest.raises(UsageError, match="is empty now"):
        kb.ingest(docs)


def test_paths_that_overlap_are_gone_through_once(kb: Assistant, docs: Path) -> None:
    report = kb.ingest(docs, docs / "zh", docs)
    assert counts(report) == {"added": 3}
    assert len(report.files) == 3


@pytest.mark.skipif(os.name == "nt", reason="such names cannot be made on Windows")
def test_a_folder_whose_name_is_not_unicode(kb: Assistant, tmp_path: Path) -> None:
    folder = Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff"))
    folder.mkdir()
    with pytest.raises(UsageError, match="not valid Unicode; rename it"):
        kb.ingest(folder)


def test_a_part_of_a_folder_can_be_ingested_alone(kb: Assistant, docs: Path) -> None:
    kb.ingest(docs)
    (docs / "zh" / "病假.txt").write_text("病假每年十天。\n", encoding="utf-8")
    (docs / "leave.md").unlink()
    assert counts(kb.ingest(docs / "zh")) == {"updated": 1}
    assert {source.name for source in kb.sources()} == {"leave.md", "vpn.md", "zh/病假.txt"}


def test_a_single_file_and_then_its_folder(kb: Assistant, docs: Path) -> None:
    assert counts(kb.ingest(docs / "vpn.md")) == {"added": 1}
    assert counts(kb.ingest(docs)) == {"added": 2, "unchanged": 1}


def test_collections_are_apart(kb: Assistant, docs: Path) -> None:
    kb.ingest(docs / "leave.md", collection="hr")
    kb.ingest(docs / "vpn.md", collection="it")
    assert [(one.name, one.sources) for one in kb.collections()] == [("hr", 1), ("it", 1)]
    assert (
        kb.search("tokens expire", collection="hr") == [] or not kb.search("tokens expire", collection="hr")[0].coverage
    )
    with pytest.raises(UnknownCollectionError, match="no collection 'legal'; there are: hr, it"):
        kb.search("x", collection="legal")


def test_brackets_in_a_pattern_stand_for_themselves(kb: Assistant, docs: Path) -> None:
    (docs / "[v]pn.md").write_text("words", encoding="utf-8")
    kb.ingest(docs)
    assert kb.remove("[v]*") == ["[v]pn.md"]


def test_progress_counts_up_to_all(kb: Assistant, docs: Path) -> None:
    seen: list[tuple[int, int, str]] = []
    kb.ingest(docs, progress=lambda *step: seen.append(step))
    assert [step[:2] for step in seen] == [(0, 3), (1, 3), (2, 3), (3, 3)]
    assert {name for _, _, name in seen[1:]} == {"leave.md", "vpn.md", "zh/病假.txt"}


def test_a_file_that_changes_while_it_is_read_is_read_again(kb: Assistant, docs: Path) -> None:
    leave = docs / "leave.md"
    original = leave.read_text()

    def change(done: int, *_: object) -> None:
        if done == 0:
            leave.write_text("# Leave\n\nStaff get 99 days of annual leave.\n")

    kb.ingest(docs, progress=change)
    leave.write_text(original)
    assert counts(kb.ingest(docs)) == {"updated": 1, "unchanged": 2}
    assert "15 days" in kb.search("annual leave days", limit=1)[0].text


def test_a_renamed_file_that_failed_is_counted_once(kb: Assistant, docs: Path) -> None:
    (docs / "broken.pdf").write_bytes(b"%PDF-1.7 and then nothing")
    kb.ingest(docs)
    (docs / "broken.pdf").rename(docs / "b.pdf")
    report = kb.ingest(docs)
    assert sum(counts(report).values()) - report.deleted == len(report.files) - report.deleted


def test_a_folder_that_has_become_a_file_deletes_nothing(kb: Assistant, docs: Path, tmp_path: Path) -> None:
    kb.ingest(docs)
    docs.rename(tmp_path / "elsewhere")
    docs.write_text("x")
    with pytest.raises(EmptiedFolderError, match="is a file now, and 3 documents from it"):
        kb.ingest(docs)
    assert len(kb.sources()) == 3


@pytest.mark.skipif(os.name == "nt", reason="there are no pipes with names on Windows")
def test_what_is_neither_file_nor_folder_is_refused(kb: Assistant, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.txt")
    with pytest.raises(UsageError, match="neither a file nor a folder"):
        kb.ingest(tmp_path / "pipe.txt")
