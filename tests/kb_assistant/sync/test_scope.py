from pathlib import Path

import pytest

from kb_assistant.errors import UsageError
from kb_assistant.sync.scope import choose_scope, files_of_kb


@pytest.fixture
def docs(tmp_path: Path) -> Path:
    folder = tmp_path / "docs"
    (folder / "sub").mkdir(parents=True)
    (folder / "sub" / "a.md").write_text("text")
    return folder


def test_a_folder_inside_a_root_belongs_to_it(docs: Path, own_home: Path) -> None:
    scope = choose_scope([docs / "sub"], [docs], own_home)
    assert (scope.roots, scope.tops) == ((docs,), (docs / "sub",))


def test_a_folder_around_roots_takes_them_in(docs: Path, own_home: Path) -> None:
    scope = choose_scope([docs], [docs / "sub", Path("/other")], own_home)
    assert (scope.roots, scope.tops) == ((Path("/other"), docs), (docs,))


def test_folders_that_are_named_together_are_all_mirrored(docs: Path, own_home: Path, tmp_path: Path) -> None:
    scope = choose_scope([docs, tmp_path / "docs" / "sub", own_home.parent / "docs"], [Path("/other")], own_home)
    assert (scope.roots, scope.tops) == ((Path("/other"), docs), (docs,))


def test_without_paths_all_that_is_mirrored_is_looked_at(docs: Path, own_home: Path) -> None:
    roots = [docs, Path("/gone")]
    assert choose_scope([], roots, own_home).tops == tuple(roots)


def test_a_single_file_that_is_named_is_asked_for_even_beside_its_folder(docs: Path, own_home: Path) -> None:
    file = docs / "sub" / "a.md"
    scope = choose_scope([docs, file], [], own_home)
    assert (scope.tops, scope.asked_for) == ((docs,), {file})


def test_a_home_inside_a_folder_is_left_out_whole(tmp_path: Path) -> None:
    assert files_of_kb(tmp_path / "home", tmp_path) == [tmp_path / "home"]


def test_documents_beside_what_kb_keeps_in_a_home_are_not_left_out(tmp_path: Path) -> None:
    for top in (tmp_path, tmp_path / "documents"):
        left_out = files_of_kb(tmp_path, top)
        assert tmp_path / "models" in left_out
        assert not any((tmp_path / "documents" / "a.md").is_relative_to(path) for path in left_out)


@pytest.mark.parametrize("name", ["uploads", "models"])
def test_what_kb_keeps_is_not_ingested(own_home: Path, name: str) -> None:
    (own_home / name).mkdir(parents=True)
    with pytest.raises(UsageError, match=r"uploads are in their collections already|kb keeps its own files there"):
        choose_scope([own_home / name], [], own_home)
