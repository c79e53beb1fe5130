from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from ingest import content_hash, find_files


def names(root: Path) -> list[str]:
    return [found.relative for found in find_files(root)]


def test_files_come_in_order_of_their_names_with_forward_slashes(tmp_path: Path) -> None:
    for name in ("b.txt", "a/z.md", "a/制度/手册.md", "c.pdf"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    assert names(tmp_path) == ["a/z.md", "a/制度/手册.md", "b.txt", "c.pdf"]
    assert all(found.path == tmp_path / found.relative for found in find_files(tmp_path))


def test_a_file_is_its_own_root(tmp_path: Path) -> None:
    path = tmp_path / "only.txt"
    path.touch()
    assert [(found.path, found.relative) for found in find_files(path)] == [(path, "only.txt")]


def test_nothing_there(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        list(find_files(tmp_path / "absent"))


@pytest.mark.parametrize(
    "name", [".git/config", "node_modules/x/readme.md", "~$报告.docx", "._notes.txt", ".venv/a.txt"]
)
def test_what_tools_leave_is_passed_over(tmp_path: Path, name: str) -> None:
    (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / name).touch()
    (tmp_path / "kept.txt").touch()
    assert names(tmp_path) == ["kept.txt"]


def test_a_link_to_a_file_inside_is_followed_and_one_that_leads_out_is_not(tmp_path: Path) -> None:
    root = tmp_path / "documents"
    root.mkdir()
    (root / "real.txt").touch()
    (tmp_path / "secret.txt").touch()
    (root / "inside.txt").symlink_to("real.txt")
    (root / "outside.txt").symlink_to(tmp_path / "secret.txt")
    (root / "folder").symlink_to(tmp_path)
    assert names(root) == ["inside.txt", "real.txt"]


def test_links_to_nowhere_and_in_a_circle_do_not_stop_the_search(tmp_path: Path) -> None:
    (tmp_path / "kept.txt").touch()
    (tmp_path / "itself").symlink_to("itself")
    (tmp_path / "one").symlink_to("other")
    (tmp_path / "other").symlink_to("one")
    (tmp_path / "nowhere").symlink_to("absent")
    (tmp_path / "up").symlink_to(tmp_path)
    assert names(tmp_path) == ["kept.txt"]


@pytest.fixture
def chain(tmp_path: Path) -> Iterator[list[str]]:
    """Folders one inside the other, as deep as a path can name them; the outermost comes first."""
    folders = [str(tmp_path / "deep")]
    Path(folders[0]).mkdir()
    for _ in range(1100):
        folders.append(f"{folders[-1]}/d")
        Path(folders[-1]).mkdir()
    yield folders
    for folder in reversed(folders):  # shutil.rmtree recurses, and with it pytest's own clearing up
        for file in list(Path(folder).iterdir()):
            file.unlink()
        Path(folder).rmdir()


def test_folders_are_followed_however_deep(chain: list[str]) -> None:
    for folder, name in ((chain[-1], "last.txt"), (chain[1], "a.txt"), (chain[1], "e.txt")):
        Path(folder, name).touch()
    assert names(Path(chain[0])) == ["d/a.txt", "d/" * 1100 + "last.txt", "d/e.txt"]


def test_a_folder_whose_path_is_too_long_is_unreadable(tmp_path: Path) -> None:
    # Made from a handle on the folder above: no path names what lies so deep.
    made = [os.open(tmp_path, os.O_RDONLY)]
    try:
        for _ in range(25):
            os.mkdir("x" * 200, dir_fd=made[-1])
            made.append(os.open("x" * 200, os.O_RDONLY, dir_fd=made[-1]))
        (tmp_path / "z.txt").touch()
        unreadable: list[OSError] = []
        found = [file.relative for file in find_files(tmp_path, lambda _, error: unreadable.append(error))]
        with pytest.raises(OSError, match="too long"):
            names(tmp_path)
    finally:
        for depth in range(len(made) - 1, 0, -1):
            os.rmdir("x" * 200, dir_fd=made[depth - 1])
        for handle in made:
            os.close(handle)
    assert found == ["z.txt"]
    assert len(unreadable) == 1


def test_the_hash_is_of_the_content_alone(tmp_path: Path) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    one.write_bytes("内容".encode())
    other.write_bytes("内容".encode())
    assert content_hash(one) == content_hash(other) == hashlib.sha256("内容".encode()).hexdigest()
    other.write_bytes("别的".encode())
    assert content_hash(one) != content_hash(other)
    other.unlink()
    with pytest.raises(FileNotFoundError):
        content_hash(other)
