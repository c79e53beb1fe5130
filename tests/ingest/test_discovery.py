from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

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


def test_a_missing_root_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        list(find_files(tmp_path / "absent"))


@pytest.mark.parametrize(
    "name", [".git/config", "node_modules/x/readme.md", "~$报告.docx", "._notes.txt", ".venv/a.txt"]
)
def test_leftovers_of_tools_are_skipped(tmp_path: Path, name: str) -> None:
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


def test_broken_and_circular_links_do_not_stop_the_search(tmp_path: Path) -> None:
    (tmp_path / "kept.txt").touch()
    (tmp_path / "itself").symlink_to("itself")
    (tmp_path / "one").symlink_to("other")
    (tmp_path / "other").symlink_to("one")
    (tmp_path / "nowhere").symlink_to("absent")
    (tmp_path / "up").symlink_to(tmp_path)
    assert names(tmp_path) == ["kept.txt"]


@pytest.fixture
def chain(tmp_path: Path) -> Iterator[list[str]]:
    """Nested folders, as deep as a path can name them, the outermost first."""
    folders = [str(tmp_path / "deep")]
    Path(folders[0]).mkdir()
    for _ in range(1100):
        folders.append(f"{folders[-1]}/d")
        Path(folders[-1]).mkdir()
    yield folders
    for folder in reversed(folders):  # shutil.rmtree, which pytest cleans up with, recurses
        for file in list(Path(folder).iterdir()):
            file.unlink()
        Path(folder).rmdir()


def test_folders_may_be_nested_however_deep(chain: list[str]) -> None:
    for folder, name in ((chain[-1], "last.txt"), (chain[1], "a.txt"), (chain[1], "e.txt")):
        Path(folder, name).touch()
    assert names(Path(chain[0])) == ["d/a.txt", "d/" * 1100 + "last.txt", "d/e.txt"]


def test_a_folder_whose_path_is_too_long_is_unreadable(tmp_path: Path) -> None:
    # Made from a handle on the parent folder: no path can name folders so deep.
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


# Exclusions


def put(root: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)


def test_files_that_kbignore_excludes_are_not_found(tmp_path: Path) -> None:
    put(tmp_path, {".kbignore": "*.log\n/drafts/\n!kept.log\n"})
    put(tmp_path, dict.fromkeys(["a.log", "kept.log", "drafts/a.md", "deep/drafts/a.md", "deep/b.log", "c.md"], ""))
    assert names(tmp_path) == ["c.md", "deep/drafts/a.md", "kept.log"]


def test_kbignore_in_a_subfolder_applies_there_and_overrides_those_above(tmp_path: Path) -> None:
    put(tmp_path, {".kbignore": "*.md\n", "a/.kbignore": "!*.md\n/x.txt\n"})
    put(tmp_path, dict.fromkeys(["1.md", "a/2.md", "a/x.txt", "a/b/x.txt", "x.txt"], ""))
    assert names(tmp_path) == ["a/2.md", "a/b/x.txt", "x.txt"]


def test_kbignore_files_above_the_root_apply_with_ignore_from(tmp_path: Path) -> None:
    put(tmp_path, {".kbignore": "*.log\nsecret/\n", "a/.kbignore": "/b/x.md\n"})
    put(tmp_path, dict.fromkeys(["a/b/x.md", "a/b/y.log", "a/b/z.md", "secret/inner/s.md"], ""))
    assert names(tmp_path / "a/b") == ["x.md", "y.log", "z.md"]

    def below(name: str) -> list[str]:
        return [found.relative for found in find_files(tmp_path / name, ignore_from=tmp_path)]

    assert below("a/b") == ["z.md"]
    assert below("a/b/z.md") == ["z.md"]
    assert below("a/b/y.log") == below("secret/inner") == below("secret/inner/s.md") == []


def test_kbignore_may_be_in_any_encoding_and_have_invalid_lines(tmp_path: Path) -> None:
    (tmp_path / ".kbignore").write_bytes("# 草稿不收\r\n!\r\n草稿*\r\n\\\r\n".encode("gb18030"))
    put(tmp_path, dict.fromkeys(["草稿一.md", "正文.md"], ""))
    assert names(tmp_path) == ["正文.md"]


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root reads everything")
def test_a_folder_with_an_unreadable_kbignore_is_unreadable(tmp_path: Path) -> None:
    check_unreadable_kbignore(tmp_path, b"*.md", 0)


def test_a_folder_with_a_binary_kbignore_is_unreadable(tmp_path: Path) -> None:
    check_unreadable_kbignore(tmp_path, bytes(range(256)) * 8, 0o644)


def check_unreadable_kbignore(root: Path, content: bytes, mode: int) -> None:
    put(root, dict.fromkeys(["a/x.md", "b.md"], ""))
    (root / "a/.kbignore").write_bytes(content)
    (root / "a/.kbignore").chmod(mode)
    errors: list[tuple[Path, str]] = []
    found = [file.relative for file in find_files(root, lambda folder, error: errors.append((folder, error.strerror)))]
    assert found == ["b.md"]
    ((folder, message),) = errors
    assert folder == root / "a"
    assert message.startswith("its .kbignore cannot be read: ")
    with pytest.raises(OSError, match=r"its \.kbignore cannot be read"):
        names(root)


def test_folders_can_be_excluded(tmp_path: Path) -> None:
    put(tmp_path, dict.fromkeys(["home/kb.db", "home.md", "a/home/x.md"], ""))
    (tmp_path / "link.db").symlink_to("home/kb.db")
    (tmp_path.parent / f"{tmp_path.name}-link").symlink_to(tmp_path)
    for root in (tmp_path, tmp_path.parent / f"{tmp_path.name}-link"):
        for home in (tmp_path / "home", root / "home"):
            found = [file.relative for file in find_files(root, excluded=[home])]
            assert found == ["a/home/x.md", "home.md"]
    assert list(find_files(tmp_path / "home", excluded=[tmp_path / "home"])) == []
    assert list(find_files(tmp_path / "home/kb.db", excluded=[tmp_path / "home"])) == []


PATTERNS = [
    "*",
    "a",
    "b/",
    "/a",
    "a/b",
    "**/c",
    "a/**",
    "*/",
    "a*",
    "[ab]",
    "a/*",
    "?",
    "a/**/c",
    "\\#",
    "# a",
    " ",
    "c ",
]
FILES = ["a", "b", "c", "#"]
IGNORE_FILES = st.dictionaries(
    st.sampled_from(["", "a/", "b/", "a/b/"]),
    st.lists(st.tuples(st.sampled_from(["", "!"]), st.sampled_from(PATTERNS)), max_size=4),
    max_size=3,
)


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("tree")
    folders = ["", *(f"{one}/" for one in "ab"), *(f"{one}/{other}/" for one in "ab" for other in "bc")]
    put(root, {folder + name: "" for folder in folders for name in FILES if f"{folder}{name}/" not in folders})
    subprocess.run(["git", "init", "-q", str(root)], check=True)
    return root


@pytest.mark.skipif(not shutil.which("git"), reason="compares with git")
@given(IGNORE_FILES)
@settings(deadline=None, max_examples=60)
def test_kbignore_excludes_what_git_would(tree: Path, ignored: dict[str, list[tuple[str, str]]]) -> None:
    for old in tree.rglob(".kbignore"):
        old.unlink()
    put(tree, {f"{folder}.kbignore": "\n".join(map("".join, lines)) for folder, lines in ignored.items()})
    command = ["git", "-C", str(tree), "-c", "core.excludesFile=", "ls-files", "-z", "--others"]
    done = subprocess.run([*command, "--exclude-per-directory=.kbignore"], check=True, capture_output=True, text=True)
    listed = [name for name in done.stdout.split("\0") if name and not name.endswith(".kbignore")]
    assert sorted(names(tree)) == sorted(listed)


def test_the_hash_depends_on_the_content_alone(tmp_path: Path) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    one.write_bytes("内容".encode())
    other.write_bytes("内容".encode())
    assert content_hash(one) == content_hash(other) == hashlib.sha256("内容".encode()).hexdigest()
    other.write_bytes("别的".encode())
    assert content_hash(one) != content_hash(other)
    other.unlink()
    with pytest.raises(FileNotFoundError):
        content_hash(other)
