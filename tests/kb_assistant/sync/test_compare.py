import os
from pathlib import Path

import pytest

from kb_assistant.sync.compare import make_plan
from kb_assistant.sync.plan import MadeWith
from kb_assistant.sync.scope import Scope
from vectorstore import SourceInfo

V1 = MadeWith("v1")


def stored(path: Path, digest: str, status: str = "ready", made_with: str = "v1") -> SourceInfo:
    return SourceInfo(hash(path), path.name, str(path), digest, made_with, status, None, None, (), 1)


def scope(*roots: Path) -> Scope:
    return Scope(roots, roots)


def test_another_version_of_the_chunker_means_parsing_again(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text("a")
    (item,) = make_plan([], scope(tmp_path), V1).parse
    known = stored(tmp_path / "a.md", item.digest)
    assert make_plan([known], scope(tmp_path), V1).unchanged == [known]
    assert [one.old for one in make_plan([known], scope(tmp_path), MadeWith("v2")).parse] == [known]


def test_what_failed_is_tried_again(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text("a")
    (item,) = make_plan([], scope(tmp_path), V1).parse
    known = stored(tmp_path / "a.md", item.digest, status="failed")
    assert [one.old for one in make_plan([known], scope(tmp_path), V1).parse] == [known]


def test_a_moved_file_is_known_by_its_content(tmp_path: Path) -> None:
    (tmp_path / "new.md").write_text("a")
    (item,) = make_plan([], scope(tmp_path), V1).parse
    known = stored(tmp_path / "old.md", item.digest)
    plan = make_plan([known], scope(tmp_path), V1)
    assert [(one.name, one.old) for one in plan.rename] == [("new.md", known)]
    assert (plan.parse, plan.gone) == ([], [])


def test_a_copy_is_not_a_move(tmp_path: Path) -> None:
    for name in ("a.md", "b.md"):
        (tmp_path / name).write_text("same")
    first = make_plan([], scope(tmp_path), V1).parse[0]
    known = stored(tmp_path / "a.md", first.digest)
    plan = make_plan([known], scope(tmp_path), V1)
    assert ([one.name for one in plan.parse], plan.unchanged, plan.rename) == (["b.md"], [known], [])


def test_a_file_renamed_to_another_kind_is_read_again(tmp_path: Path) -> None:
    (tmp_path / "page.html").write_text("<p>a</p>")
    (item,) = make_plan([], scope(tmp_path), V1).parse
    known = stored(tmp_path / "page.txt", item.digest)
    plan = make_plan([known], scope(tmp_path), V1)
    assert ([one.name for one in plan.parse], plan.gone, plan.rename) == (["page.html"], [known], [])


def test_a_file_too_large_to_be_read_is_not_hashed(tmp_path: Path) -> None:
    with (tmp_path / "huge.txt").open("wb") as stream:
        stream.truncate(10**12)  # a hole; hashing it would take an hour
    (item,) = make_plan([], scope(tmp_path), V1, largest_bytes=10**9).parse
    assert item.digest.startswith("1000000000000 bytes")


def test_names_follow_a_root_that_is_laid_around_the_former_one(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    for name in ("x.txt", "sub/x.txt"):
        (tmp_path / name).write_text(name)
    digests = {item.name: item.digest for item in make_plan([], scope(tmp_path), V1).parse}
    known = stored(tmp_path / "sub" / "x.txt", digests["sub/x.txt"])
    plan = make_plan([known], scope(tmp_path), V1)
    assert [(item.name, item.old) for item in plan.rename] == [("sub/x.txt", known)]
    assert [(item.name, item.old) for item in plan.parse] == [("x.txt", None)]


def test_folders_that_cannot_be_listed_are_told_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("a/closed", "b/closed"):
        (tmp_path / name).mkdir(parents=True)
    listed = os.scandir

    def scandir(folder: Path) -> object:
        if Path(folder).name == "closed":  # the superuser who may run this can list any folder
            raise PermissionError(13, "Permission denied")
        return listed(folder)

    monkeypatch.setattr(os, "scandir", scandir)
    plan = make_plan([], scope(tmp_path), V1)
    assert [one.name for one in plan.refused] == ["a/closed/", "b/closed/"]
