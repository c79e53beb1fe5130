"""Finds the files under a folder, and what they are by content.

A link that leads out of the folder is passed over: a document set must not be able to
pull in files that nobody meant to share. So are folders that tools keep for themselves.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

__all__ = ["FoundFile", "content_hash", "find_files"]

_TOOL_FOLDERS = {".git", ".hg", ".svn", ".venv", ".tox", ".cache", ".ipynb_checkpoints", "node_modules", "__pycache__"}
# Word's lock on an open file, and the resource forks that macOS leaves on other file systems.
_LEFTOVERS = ("~$", "._")


@dataclass(frozen=True, slots=True)
class FoundFile:
    """A file under a root; `relative` is its path from there, with forward slashes."""

    path: Path
    relative: str


def _raise(_: Path, error: OSError) -> None:
    raise error


def find_files(root: Path, unreadable: Callable[[Path, OSError], None] = _raise) -> Iterator[FoundFile]:
    """Yield the files under `root` in the order of their names; a file is its own root.

    Args:
        root: a folder, or one file.
        unreadable: called with a folder inside that cannot be listed; by default its error is raised.

    Raises:
        FileNotFoundError: there is nothing at `root`.
        OSError: a folder cannot be listed, and `unreadable` does not take it.
    """
    if root.is_file():
        yield FoundFile(root, root.name)
        return
    if not root.is_dir():
        raise FileNotFoundError(root)
    yield from _walk(root, root.resolve(), root, unreadable)


def _walk(folder: Path, boundary: Path, root: Path, unreadable: Callable[[Path, OSError], None]) -> Iterator[FoundFile]:
    # A stack rather than recursion: folders may lie deeper in each other than Python's calls can.
    open_folders = [_entries(folder, unreadable)]
    while open_folders:
        entry = next(open_folders[-1], None)
        if entry is None:
            open_folders.pop()
            continue
        path = Path(entry.path)
        if entry.name in _TOOL_FOLDERS or entry.name.startswith(_LEFTOVERS):
            continue
        if entry.is_symlink() and not _leads_to_file_in(boundary, path):
            continue  # a linked folder can lead round in a circle, so none is followed
        if entry.is_dir():
            open_folders.append(_entries(path, unreadable))
        elif entry.is_file():
            yield FoundFile(path, path.relative_to(root).as_posix())


def _entries(folder: Path, unreadable: Callable[[Path, OSError], None]) -> Iterator[os.DirEntry[str]]:
    try:
        return iter(sorted(os.scandir(folder), key=lambda entry: entry.name))
    except OSError as error:
        unreadable(folder, error)
        return iter(())


def _leads_to_file_in(boundary: Path, link: Path) -> bool:
    try:
        target = link.resolve(strict=True)
    except (OSError, RuntimeError):  # it leads nowhere, or to itself
        return False
    return target.is_file() and target.is_relative_to(boundary)


def content_hash(path: Path) -> str:
    """Return the SHA-256 of the file's bytes, in hexadecimal.

    Raises:
        OSError: the file cannot be read.
    """
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
