"""Finds the files under a folder, and identifies them by their content.

Links that lead out of the folder are skipped: a document set must not pull in files that
nobody meant to share. So are the folders that tools keep for themselves, and everything
that a `.kbignore` file excludes.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

from ingest.ignore_rules import IGNORE_FILE, IgnoreRules

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


def find_files(
    root: Path,
    on_unreadable: Callable[[Path, OSError], None] = _raise,
    *,
    excluded: Collection[Path] = (),
    ignore_from: Path | None = None,
    on_ignored: Callable[[Path], None] = lambda path: None,
) -> Iterator[FoundFile]:
    """Yield the files under `root` in the order of their names; a file is its own root.

    `.kbignore` files, in the root and in the folders below, exclude files as `.gitignore` files do.

    Args:
        root: a folder, or a single file.
        on_unreadable: called with each folder that cannot be listed, or whose `.kbignore` cannot be read;
            that folder is skipped. By default its error is raised.
        excluded: folders or files to leave out, with everything in them.
        ignore_from: a folder above `root` whose `.kbignore` files apply too, and those of the folders
            between; by default those from `root` on, and none for a single file.
        on_ignored: called with each file or folder that a `.kbignore` excludes, not with what is in such a folder.

    Raises:
        FileNotFoundError: there is nothing at `root`.
        OSError: a folder cannot be listed, and `on_unreadable` raises its error.
    """
    if not root.is_dir() and not root.is_file():
        raise FileNotFoundError(root)
    try:
        rules = _rules_above(root, ignore_from or root)
    except OSError as error:
        on_unreadable(root, error)
        return
    left_out = {path.resolve() for path in excluded}
    if any(root.resolve().is_relative_to(path) for path in left_out):
        return
    if rules is None:
        on_ignored(root)
        return
    if root.is_file():
        yield FoundFile(root, root.name)
    else:
        prefix = _prefix(root.relative_to(ignore_from or root))
        yield from _Walk(root, root.resolve(), left_out, on_unreadable, on_ignored, len(prefix)).files(prefix, rules)


def _rules_above(root: Path, top: Path) -> IgnoreRules | None:
    """Return the rules that the folders from `top` to above `root` set; None if they exclude `root`."""
    rules = IgnoreRules()
    folder = top
    for part in root.relative_to(top).parts:
        rules = rules.extended(folder, _prefix(folder.relative_to(top)))
        folder /= part
        if rules.exclude(folder.relative_to(top).as_posix(), is_folder=folder.is_dir()):
            return None
    return rules


def _prefix(relative: Path) -> str:
    """Return what the paths of all files in a folder begin with."""
    return f"{relative.as_posix()}/" if relative.parts else ""


@dataclass(frozen=True, slots=True)
class _Walk:
    """Lists the files of a tree of folders, depth first."""

    root: Path
    boundary: Path
    """The root with all links resolved."""
    left_out: Collection[Path]
    on_unreadable: Callable[[Path, OSError], None]
    on_ignored: Callable[[Path], None]
    root_length: int
    """How much of each path, as the ignore rules see it, leads to the root."""

    def files(self, prefix: str, rules: IgnoreRules) -> Iterator[FoundFile]:
        # A stack, because folders may be nested deeper than Python's calls can be.
        open_folders = [self._open(self.root, prefix, rules)]
        while open_folders:
            entries, prefix, rules = open_folders[-1]
            entry = next(entries, None)
            if entry is None:
                open_folders.pop()
                continue
            path, name = Path(entry.path), prefix + entry.name
            if self._skips(entry, path, name):
                continue
            if rules.exclude(name, is_folder=entry.is_dir()):
                self.on_ignored(path)
                continue
            if entry.is_dir():
                open_folders.append(self._open(path, f"{name}/", rules))
            elif entry.is_file():
                yield FoundFile(path, name[self.root_length :])

    def _skips(self, entry: os.DirEntry[str], path: Path, name: str) -> bool:
        if entry.name in _TOOL_FOLDERS or entry.name.startswith(_LEFTOVERS) or entry.name == IGNORE_FILE:
            return True
        if entry.is_symlink():  # linked folders may form circles, so none is followed
            return not self._leads_to_file_inside(path)
        return bool(self.left_out) and self.boundary / name[self.root_length :] in self.left_out

    def _leads_to_file_inside(self, link: Path) -> bool:
        try:
            target = link.resolve(strict=True)
        except (OSError, RuntimeError):  # it points nowhere, or to itself
            return False
        inside = target.is_relative_to(self.boundary) and not any(map(target.is_relative_to, self.left_out))
        return inside and target.is_file()

    def _open(
        self, folder: Path, prefix: str, rules: IgnoreRules
    ) -> tuple[Iterator[os.DirEntry[str]], str, IgnoreRules]:
        try:
            entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
            if any(entry.name == IGNORE_FILE for entry in entries):
                rules = rules.extended(folder, prefix)
        except OSError as error:
            self.on_unreadable(folder, error)
            entries = []
        return iter(entries), prefix, rules


def content_hash(path: Path) -> str:
    """Return the SHA-256 of the file's bytes, in hexadecimal.

    Raises:
        OSError: the file cannot be read.
    """
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
