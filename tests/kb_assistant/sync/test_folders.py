"""Several folders in one collection: all of them mirrored, each document under a name of its own."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from kb_assistant import Assistant
from kb_assistant.errors import EmptiedFolderError, UsageError
from kb_assistant.sync.report import IngestReport


@pytest.fixture
def kb() -> Iterator[Assistant]:
    with Assistant.open() as assistant:
        yield assistant


@pytest.fixture
def a(tmp_path: Path) -> Path:
    return folder(tmp_path / "A", {"readme.md": "Apples are red.", "leave.md": "Staff get 15 days of annual leave."})


@pytest.fixture
def b(tmp_path: Path) -> Path:
    return folder(tmp_path / "B", {"readme.md": "Bananas are yellow.", "vpn.md": "Tokens expire after twelve hours."})


def folder(path: Path, files: dict[str, str]) -> Path:
    path.mkdir(parents=True)
    for name, text in files.items():
        (path / name).write_text(text)
    return path


def counts(report: IngestReport) -> dict[str, int]:
    names = ("added", "updated", "renamed", "unchanged", "deleted", "failed")
    return {name: getattr(report, name) for name in names if getattr(report, name)}


def names(kb: Assistant) -> list[str]:
    return [source.name for source in kb.sources()]


def found(kb: Assistant, question: str) -> list[str]:
    return [hit.source for hit in kb.search(question) if hit.coverage > 0.5]


def test_folders_that_are_named_together_are_all_mirrored_with_names_of_their_own(
    kb: Assistant, a: Path, b: Path
) -> None:
    assert counts(kb.ingest(a, b)) == {"added": 4}
    assert kb.folders() == [a, b]
    assert names(kb) == ["A/readme.md", "B/readme.md", "leave.md", "vpn.md"]
    (a / "leave.md").write_text("Staff get 20 days of annual leave.")
    (b / "vpn.md").write_text("Tokens expire after eight hours.")
    assert counts(kb.ingest()) == {"updated": 2, "unchanged": 2}
    assert kb.search("annual leave days", limit=1)[0].text == "Staff get 20 days of annual leave."
    assert all(sound for _, sound, _ in kb.check())


def test_a_folder_that_is_added_later_renames_nothing(kb: Assistant, a: Path, b: Path) -> None:
    kb.ingest(a)
    report = kb.ingest(b)
    assert counts(report) == {"added": 2}
    assert (kb.folders(), names(kb)) == ([a, b], ["B/readme.md", "leave.md", "readme.md", "vpn.md"])
    assert counts(kb.ingest()) == {"unchanged": 4}
    assert found(kb, "apples red") == ["readme.md"]


def test_a_namesake_that_is_deleted_and_made_again(kb: Assistant, a: Path, b: Path) -> None:
    kb.ingest(a, b)
    (a / "readme.md").unlink()
    assert counts(kb.ingest()) == {"deleted": 1, "unchanged": 3}
    assert "B/readme.md" in names(kb)
    (a / "readme.md").write_text("Apricots are orange.")
    assert counts(kb.ingest()) == {"added": 1, "unchanged": 3}
    assert names(kb) == ["A/readme.md", "B/readme.md", "leave.md", "vpn.md"]


def test_a_namesake_that_goes_as_another_comes(kb: Assistant, a: Path, b: Path) -> None:
    (b / "readme.md").unlink()
    kb.ingest(a, b)
    (a / "readme.md").unlink()
    (b / "readme.md").write_text("Bananas are yellow.")
    assert counts(kb.ingest()) == {"added": 1, "deleted": 1, "unchanged": 2}
    assert (names(kb), found(kb, "bananas yellow")) == (["leave.md", "readme.md", "vpn.md"], ["readme.md"])


def test_a_file_that_moves_to_another_folder_is_not_embedded_again(kb: Assistant, a: Path, b: Path) -> None:
    kb.ingest(a, b)
    (a / "leave.md").rename(b / "leave.md")
    report = kb.ingest()
    assert (counts(report), report.chunks_embedded) == ({"renamed": 1, "unchanged": 3}, 0)
    assert found(kb, "annual leave days") == ["leave.md"]
    assert {Path(source.path).parent for source in kb.sources() if source.name == "leave.md"} == {b}


def test_a_move_is_seen_where_only_the_new_folder_is_looked_at(kb: Assistant, a: Path, b: Path) -> None:
    kb.ingest(a, b)
    (a / "leave.md").rename(b / "holidays.md")
    report = kb.ingest(b)
    assert (counts(report), report.chunks_embedded) == ({"renamed": 1, "unchanged": 2}, 0)
    assert counts(kb.ingest()) == {"unchanged": 4}


def test_files_of_two_folders_that_change_places(kb: Assistant, a: Path, b: Path, tmp_path: Path) -> None:
    kb.ingest(a, b)
    (a / "leave.md").rename(tmp_path / "aside")
    (b / "vpn.md").rename(a / "vpn.md")
    (tmp_path / "aside").rename(b / "leave.md")
    report = kb.ingest()
    assert (counts(report), report.chunks_embedded) == ({"renamed": 2, "unchanged": 2}, 0)
    (a / "vpn.md").rename(b / "vpn.md")
    (b / "leave.md").rename(b / "readme2.md")
    assert counts(kb.ingest()) == {"renamed": 2, "unchanged": 2}
    assert sorted(Path(source.path) for source in kb.sources()) == sorted([*a.iterdir(), *b.iterdir()])


def test_folders_of_the_same_name(kb: Assistant, tmp_path: Path) -> None:
    first = folder(tmp_path / "x" / "docs", {"readme.md": "Apples are red."})
    second = folder(tmp_path / "y" / "docs", {"readme.md": "Bananas are yellow."})
    kb.ingest(first, second)
    assert names(kb) == ["x/docs/readme.md", "y/docs/readme.md"]
    assert found(kb, "bananas yellow") == ["y/docs/readme.md"]


def test_a_folder_and_one_inside_it_are_one_folder(kb: Assistant, a: Path) -> None:
    inner = folder(a / "inner", {"readme.md": "Pears are green."})
    assert counts(kb.ingest(inner, a)) == {"added": 3}
    assert (kb.folders(), names(kb)) == ([a], ["inner/readme.md", "leave.md", "readme.md"])
    assert counts(kb.ingest(inner)) == {"unchanged": 1}


def test_a_folder_around_the_former_one_takes_it_in(kb: Assistant, a: Path) -> None:
    inner = folder(a / "inner", {"readme.md": "Pears are green.", "x.md": "Plums are blue."})
    kb.ingest(inner)
    (inner / "x.md").write_text("Plums are purple.")
    (inner / "readme.md").rename(inner / "pears.md")
    report = kb.ingest(a)
    assert (counts(report), report.chunks_embedded) == ({"added": 2, "updated": 1, "renamed": 1}, 3)
    assert (kb.folders(), names(kb)) == ([a], ["inner/pears.md", "inner/x.md", "leave.md", "readme.md"])


def test_a_folder_around_the_former_one_has_a_file_of_a_name_that_is_gone_there(kb: Assistant, a: Path) -> None:
    inner = folder(a / "inner", {"readme.md": "Pears are green.", "x.md": "Plums are blue."})
    kb.ingest(inner)
    (inner / "readme.md").unlink()
    assert counts(kb.ingest(a)) == {"added": 2, "renamed": 1, "deleted": 1}
    assert names(kb) == ["inner/x.md", "leave.md", "readme.md"]
    assert found(kb, "apples red") == ["readme.md"]


def test_single_files_are_mirrored_beside_folders(kb: Assistant, a: Path, b: Path) -> None:
    kb.ingest(a, b / "readme.md")
    assert (kb.folders(), names(kb)) == ([a, b / "readme.md"], ["A/readme.md", "B/readme.md", "leave.md"])
    assert counts(kb.ingest(b)) == {"added": 1, "unchanged": 1}
    assert (kb.folders(), names(kb)) == ([a, b], ["A/readme.md", "B/readme.md", "leave.md", "vpn.md"])


def test_an_upload_keeps_its_name_when_a_folder_has_a_file_of_it(kb: Assistant, a: Path, tmp_path: Path) -> None:
    from kb_assistant import Upload

    (tmp_path / "sent").write_text("Cherries are red.")
    kb.upload([Upload("readme.md", tmp_path / "sent")])
    kb.ingest(a)
    assert names(kb) == ["A/readme.md", "leave.md", "readme.md"]
    assert counts(kb.ingest()) == {"unchanged": 3}


def test_an_emptied_folder_among_several_deletes_nothing(kb: Assistant, a: Path, b: Path) -> None:
    kb.ingest(a, b)
    shutil.rmtree(b)
    (a / "leave.md").unlink()
    with pytest.raises(EmptiedFolderError, match="B is gone now, and 2 documents"):
        kb.ingest()
    assert len(names(kb)) == 4
    assert counts(kb.ingest(a)) == {"deleted": 1, "unchanged": 1}


def test_a_folder_whose_files_have_all_moved_to_another_is_not_taken_for_emptied(
    kb: Assistant, a: Path, b: Path
) -> None:
    kb.ingest(a, b)
    for name in ("vpn.md", "readme.md"):
        (b / name).rename(a / f"b-{name}")
    assert counts(kb.ingest()) == {"renamed": 2, "unchanged": 2}


def test_a_killed_run_leaves_names_that_the_next_one_completes(kb: Assistant, a: Path, b: Path) -> None:
    def stop(done: int, *_: object) -> None:
        if done == 2:
            raise KeyboardInterrupt

    (a / "long.md").write_text("\n\n".join(f"# Part {number}\n\nWords of part {number}." for number in range(600)))
    with pytest.raises(KeyboardInterrupt):
        kb.ingest(a, b, progress=stop)
    assert 0 < len(names(kb)) < 5
    kb.ingest()
    assert names(kb) == ["A/readme.md", "B/readme.md", "leave.md", "long.md", "vpn.md"]


def test_documents_of_folders_that_are_not_mirrored_are_told_of(kb: Assistant, a: Path, b: Path) -> None:
    """As they are in homes of versions that mirrored only the last of several folders."""
    from vectorstore import Folders

    kb.ingest(a, b)
    catalog = kb.knowledge_base.store.catalog
    Folders(catalog, catalog.collection("default").id).update([b], {})
    report = kb.ingest()
    assert counts(report) == {"unchanged": 2}
    assert report.notices[0].startswith(f"2 documents, such as {a}")
    assert kb.ingest(a).notices == ()
    assert (kb.folders(), counts(kb.ingest())) == ([b, a], {"unchanged": 4})


def test_a_home_inside_the_folder_is_left_out(own_home: Path) -> None:
    docs = folder(own_home.parent / "all", {"leave.md": "Staff get 15 days of annual leave."})
    home = docs / "home"
    folder(home / "models" / "small", {"README.md": "A small model."})
    with Assistant.open(home) as kb:
        for dry_run in (True, False):
            report = kb.ingest(docs, dry_run=dry_run)
            assert report.notices == (f"{home} belongs to kb itself; the files that kb keeps there were left out",)
        assert names(kb) == ["leave.md"]
        with pytest.raises(UsageError, match="kb keeps its own files there"):
            kb.ingest(home / "models")


def test_a_home_that_is_the_folder_itself_gives_its_documents(tmp_path: Path) -> None:
    docs = folder(tmp_path / "all", {"leave.md": "Staff get 15 days of annual leave."})
    folder(docs / "models" / "small", {"README.md": "A small model."})
    with Assistant.open(docs) as kb:
        kb.ingest(docs)
        assert names(kb) == ["leave.md"]


def test_a_folder_is_no_longer_mirrored_and_its_documents_go(kb: Assistant, a: Path, b: Path) -> None:
    kb.ingest(a, b)
    kb.remove("leave.md")
    assert kb.stop_mirroring(a) == ["A/readme.md"]
    assert (kb.folders(), names(kb)) == ([b], ["B/readme.md", "vpn.md"])
    assert found(kb, "apples red") == []
    assert counts(kb.ingest()) == {"unchanged": 2}
    assert counts(kb.ingest(a)) == {"added": 2}  # nothing that was removed is remembered of it
    for path, reason in ((a / "leave.md", "is mirrored whole"), (a.parent, "does not mirror")):
        with pytest.raises(UsageError, match=reason):
            kb.stop_mirroring(path)
    shutil.rmtree(a)
    assert kb.stop_mirroring(a) == ["A/readme.md", "leave.md"]
