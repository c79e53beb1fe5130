"""What has to be done for a collection to mirror its folders, as data."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from ingest import FoundFile
from vectorstore import SourceInfo

__all__ = ["FAILED", "MadeWith", "Plan", "Refusal", "Rename", "ToParse", "file_state"]

FAILED = frozenset({"failed", "needs_password", "needs_ocr", "garbled"})
"""Statuses of files of which much or all cannot be found; they make a run end with exit code 1."""

_RETRIED = frozenset({"failed", "needs_password", "unsupported"})
"""Statuses that another moment, password, limit or program may change, so each run tries again."""

_WITHOUT_OCR = " without OCR"


@dataclass(frozen=True, slots=True)
class MadeWith:
    """What documents are made with now: versions and settings in one string, and whether there is OCR."""

    versions: str
    ocr: bool = False

    def of(self, *, lacks_ocr: bool) -> str:
        """Return what to note for a document made now."""
        return self.versions + _WITHOUT_OCR if lacks_ocr and not self.ocr else self.versions

    def holds(self, source: SourceInfo) -> bool:
        """Return whether a document would come out the same if it were made now."""
        if source.status in _RETRIED:
            return False
        return source.made_with == self.versions or (not self.ocr and source.made_with == self.versions + _WITHOUT_OCR)


@dataclass(frozen=True, slots=True)
class ToParse:
    """A file that is new or has changed, to be parsed and stored.

    Attributes:
        found: the file.
        name: what the document will be called.
        digest: the hash of its content.
        state: its size and time, taken before it was hashed.
        old: the document that it replaces; None for a new file.
        stored_as: its path in the catalogue, where that differs.
    """

    found: FoundFile
    name: str
    digest: str
    state: tuple[int, int]
    old: SourceInfo | None
    stored_as: str = ""

    @property
    def path(self) -> str:
        """The path in the catalogue."""
        return self.stored_as or str(self.found.path)

    @property
    def replaces_another(self) -> bool:
        """Whether it replaces the document of another file that could be read."""
        return self.old is not None and self.old.path != self.path and self.old.chunks > 0


@dataclass(frozen=True, slots=True)
class Refusal:
    """A file or folder that is not taken in, and why."""

    name: str
    status: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Rename:
    """A document whose file has moved, or which is to be called something else; its content is the same."""

    old: SourceInfo
    name: str
    path: str


@dataclass
class Plan:
    """What has to be done, file by file.

    Attributes:
        parse: files to parse.
        rename: documents to rename.
        unchanged: documents that stay as they are.
        gone: documents whose files are gone.
        refused: files and folders that cannot be taken in.
        kept_out: files that stay out since `kb remove` took them out, by the names that they would have.
        ignored: files and folders that a `.kbignore` excludes.
        touched: new modification times of documents whose content is the same, by id.
        removed: what `kb remove` took out, as it is to be noted from now on: content hashes by path.
        files: how many files with a loader were found under each folder that was gone through.
    """

    parse: list[ToParse] = field(default_factory=list)
    rename: list[Rename] = field(default_factory=list)
    unchanged: list[SourceInfo] = field(default_factory=list)
    gone: list[SourceInfo] = field(default_factory=list)
    refused: list[Refusal] = field(default_factory=list)
    kept_out: list[str] = field(default_factory=list)
    ignored: list[Path] = field(default_factory=list)
    touched: dict[int, int] = field(default_factory=dict)
    removed: dict[str, str] = field(default_factory=dict)
    files: Counter[Path] = field(default_factory=Counter)

    def lost_with(self, top: Path) -> list[SourceInfo]:
        """Return the documents that are gone because `top` holds no document any more, or is no longer a folder."""
        if self.files[top] and not top.is_file():
            return []
        gone = [old for old in self.gone if Path(old.path).is_relative_to(top)]
        return [old for old in gone if not Path(old.path).exists()]  # the others are excluded by a .kbignore

    def new_names(self) -> list[Rename]:
        """Return all documents that get another name or path, also those that are parsed again."""
        changed = [(item.old, item) for item in self.parse if item.old and item.old.path == item.path]
        return [*self.rename, *(Rename(old, item.name, old.path) for old, item in changed if old.name != item.name)]

    def in_the_way(self) -> list[SourceInfo]:
        """Return the documents that are gone and have names which others get."""
        wanted = {item.name for item in self.parse} | {item.name for item in self.rename}
        return [old for old in self.gone if old.name in wanted]

    def add(self, other: Plan) -> None:
        """Take in what another plan has for files that this one does not have."""
        self.parse += other.parse
        self.unchanged += other.unchanged
        self.refused += other.refused


def file_state(path: Path) -> tuple[int, int]:
    """Return a file's size in bytes and modification time in nanoseconds.

    Raises:
        OSError: it is not there, or cannot be looked at.
    """
    status = path.stat()
    return status.st_size, status.st_mtime_ns
