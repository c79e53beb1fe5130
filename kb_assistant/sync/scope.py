"""Decides which folders a run of `kb ingest` goes through, and what in them belongs to kb itself."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from kb_assistant.errors import UsageError
from kb_assistant.sync.naming import root_of

__all__ = ["Scope", "choose_scope", "files_of_kb", "is_unicode"]

_FILES_OF_KB = (
    *("kb.toml", "users.toml", "users.toml.lock"),
    *("catalog.db", "catalog.db-wal", "catalog.db-shm", "catalog.db-journal", "catalog.db.lock"),
    *("chroma", "models", "uploads", "writer.lock", "writer.pid"),
)
"""All that kb keeps in its home."""


@dataclass(frozen=True, slots=True)
class Scope:
    """What one run compares.

    Attributes:
        roots: the folders and files that the collection mirrors from now on; none lies in another.
        tops: those of them, or folders and files in them, that this run goes through.
        asked_for: single files that were named, which come back even if they were removed before.
        left_out: files and folders that belong to kb.
    """

    roots: tuple[Path, ...]
    tops: tuple[Path, ...]
    asked_for: frozenset[Path] = frozenset()
    left_out: tuple[Path, ...] = ()

    def covers(self, path: Path) -> bool:
        """Return whether this run looks at `path`."""
        return any(path.is_relative_to(top) for top in self.tops)


def choose_scope(paths: Sequence[Path], roots: Sequence[Path], home: Path) -> Scope:
    """Return what a run goes through that was given `paths`; without any, all that is mirrored already.

    Args:
        paths: folders and files, as they were typed.
        roots: what the collection mirrors so far.
        home: kb's own folder.

    Raises:
        UsageError: a path is not there, or is kb's own.
    """
    home = home.resolve()
    named = [_existing(path, roots) for path in paths]
    for path in named:
        _refuse_own(path, home)
    tops = _outermost(named or roots)
    merged = list(roots)
    for top in tops:
        if root_of(top, merged) is None:
            merged = [*(root for root in merged if not root.is_relative_to(top)), top]
    left_out = dict.fromkeys(path for top in tops for path in files_of_kb(home, top))
    return Scope(tuple(merged), tuple(tops), frozenset(path for path in named if path.is_file()), tuple(left_out))


def files_of_kb(home: Path, top: Path) -> list[Path]:
    """Return what kb keeps in or above the folder `top`: all of its home, if that lies in it, else what it wrote there.

    A home that is `top` itself, or lies around it, may hold documents beside what kb keeps.
    """
    home = home.resolve()
    if home != top and home.is_relative_to(top):
        return [home]
    return [home / name for name in _FILES_OF_KB]


def _refuse_own(path: Path, home: Path) -> None:
    if path.is_relative_to(home / "uploads"):
        raise UsageError(f"{path}: uploads are in their collections already; kb sources lists them")
    if any(path.is_relative_to(home / name) for name in _FILES_OF_KB):
        raise UsageError(f"{path}: kb keeps its own files there; name a folder of documents")


def _existing(path: Path, roots: Iterable[Path]) -> Path:
    full = path.expanduser().absolute()
    if not is_unicode(str(full)):
        raise UsageError(f"{str(path)!a}: its name is not valid Unicode; rename it")
    if not full.exists() and root_of(full.resolve(), roots) is None:  # a mirrored file or folder may be deleted
        raise UsageError(f"{path}: no such file or folder; nothing was changed")
    if full.exists() and not full.is_file() and not full.is_dir():
        raise UsageError(f"{path}: neither a file nor a folder; nothing was changed")
    return full.resolve()


def _outermost(paths: Iterable[Path]) -> list[Path]:
    """Return the paths without those that lie in another."""
    found = list(dict.fromkeys(paths))
    return [path for path in found if not any(path != other and path.is_relative_to(other) for other in found)]


def is_unicode(path: str) -> bool:
    """Return whether a path can be stored; on Linux a name can be any bytes."""
    try:
        path.encode()
    except UnicodeEncodeError:
        return False
    return True
