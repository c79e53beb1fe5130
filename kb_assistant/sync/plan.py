"""What has to be done for a collection to mirror a folder; reads both, changes neither."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ingest import LOADERS, FoundFile, content_hash, find_files
from vectorstore import SourceInfo

__all__ = ["FAILED", "MadeWith", "Plan", "Refusal", "ToParse", "file_state", "is_unicode", "make_plan", "roots_with"]

FAILED = frozenset({"failed", "needs_password", "needs_ocr", "garbled"})
"""Statuses of files of which much or all cannot be found; they make a run end with exit code 1."""

_TRIED_AGAIN = frozenset({"failed", "needs_password", "unsupported"})
"""Statuses that another moment, password, bound or program may change, so that each run tries again."""


@dataclass(frozen=True, slots=True)
class MadeWith:
    """What sources are made with now: versions and settings in one string, and whether there is OCR."""

    versions: str
    ocr: bool = False

    def of(self, *, lacks_ocr: bool) -> str:
        """Return what is noted for a source made now."""
        return self.versions + _WITHOUT_OCR if lacks_ocr and not self.ocr else self.versions

    def holds(self, source: SourceInfo) -> bool:
        """Return whether a source would come out the same if it were made now."""
        if source.status in _TRIED_AGAIN:
            return False
        return source.made_with == self.versions or (not self.ocr and source.made_with == self.versions + _WITHOUT_OCR)


_WITHOUT_OCR = " without OCR"


@dataclass(frozen=True, slots=True)
class ToParse:
    """A file that is new (`old` is None) or has changed, to be stored as `name`.

    `state` is what the file system said of it before it was hashed; `stored_as` is its path as the catalogue
    has it, where that is another.
    """

    found: FoundFile
    name: str
    digest: str
    state: tuple[int, int]
    old: SourceInfo | None
    stored_as: str = ""

    @property
    def path(self) -> str:
        """The path that the catalogue is to have."""
        return self.stored_as or str(self.found.path)

    @property
    def replaces_another(self) -> bool:
        """Whether it takes the place of another file that something could be read of."""
        return self.old is not None and self.old.path != self.path and self.old.chunks > 0


@dataclass(frozen=True, slots=True)
class Refusal:
    """A file or folder that cannot be taken in, and why."""

    name: str
    status: str
    reason: str = ""


@dataclass
class Plan:
    """What is to be done: files to parse, sources to rename, and those unchanged, gone or refused."""

    parse: list[ToParse] = field(default_factory=list)
    rename: list[tuple[ToParse, SourceInfo]] = field(default_factory=list)
    unchanged: list[SourceInfo] = field(default_factory=list)
    gone: list[SourceInfo] = field(default_factory=list)
    refused: list[Refusal] = field(default_factory=list)
    touched: dict[int, int] = field(default_factory=dict)
    """Sources whose files have another date now and the same content, by id, with the date."""
    files: int = 0
    """How many files were found that there is a loader for."""


def roots_with(roots: Sequence[Path], top: Path) -> tuple[Path, list[Path]]:
    """Return the root that `top` belongs to, and all roots with it; those inside a new one go up in it."""
    for root in roots:
        if top.is_relative_to(root):
            return root, list(roots)
    return top, [*(root for root in roots if not root.is_relative_to(top)), top]


def make_plan(
    stored: Sequence[SourceInfo],
    root: Path,
    top: Path,
    made_with: MadeWith,
    largest_bytes: int = 1 << 62,
    apart: Path | None = None,
) -> Plan:
    """Compare the files under `top` with what is stored of them.

    Args:
        stored: all sources of the collection.
        root: the folder that sources are named from; `top` is it, or lies in it.
        top: the folder or file to compare.
        made_with: what a source must have been made with to count as unchanged.
        largest_bytes: files beyond it are not hashed, since they will not be read.
        apart: a folder that is passed over.
    """
    known = {source.path: source for source in stored if Path(source.path).is_relative_to(top)}
    names = {source.name: source.path for source in stored}
    plan = Plan()
    closed: list[Path] = []

    def note_closed(folder: Path, error: OSError) -> None:
        closed.append(folder)
        name = folder.relative_to(root).as_posix()
        plan.refused.append(Refusal(f"{name}/", "failed", f"cannot be listed: {error.strerror}"))

    found = list(find_files(top, note_closed)) if top.exists() else []
    if apart is not None:
        found = [one for one in found if not one.path.is_relative_to(apart)]
    comparison = _Comparison(plan, names, root, made_with, largest_bytes)
    # Those that are known come first: they may give a name free, or take one, when a new root lies around theirs.
    for one in sorted(found, key=lambda one: str(one.path) not in known):
        comparison.put(one, known.get(str(one.path)))
    seen = {str(one.path) for one in found}
    missing = [source for path, source in known.items() if path not in seen]
    # What lies in a folder that cannot be looked into may still be there.
    hidden = {source.id for source in missing if any(Path(source.path).is_relative_to(one) for one in closed)}
    plan.unchanged.extend(source for source in missing if source.id in hidden)
    plan.gone = [source for source in missing if source.id not in hidden]
    _match_renames(plan, made_with)
    return plan


@dataclass(frozen=True, slots=True)
class _Comparison:
    """Puts files where they belong in a plan, one after the other."""

    plan: Plan
    names: dict[str, str]
    """Which path has which name."""
    root: Path
    made_with: MadeWith
    largest_bytes: int

    def put(self, found: FoundFile, old: SourceInfo | None) -> None:
        path = str(found.path)
        if not is_unicode(path):
            shown = found.relative.encode(errors="backslashreplace").decode()
            self.plan.refused.append(Refusal(shown, "failed", "its name is not valid Unicode; rename it"))
            return
        name = self._name(found, old)
        if _loader(path) is None:
            self.plan.refused.append(Refusal(name, "unsupported"))
            return
        self.plan.files += 1
        self.names[name] = path
        try:
            state, digest = self._digest(found.path)
        except OSError as error:  # locked by another program, perhaps: what is known of it stays
            self.plan.refused.append(
                Refusal(name, "failed", f"cannot be read: {error.strerror}; check its permissions")
            )
            return
        item = ToParse(found, name, digest, state, old)
        if old is not None and old.modified_ns != item.state[1]:
            self.plan.touched[old.id] = item.state[1]
        if old is None or old.content_hash != digest or not self.made_with.holds(old):
            self.plan.parse.append(item)
        elif old.name != name:
            self.plan.rename.append((item, old))
        else:
            self.plan.unchanged.append(old)

    def _name(self, found: FoundFile, old: SourceInfo | None) -> str:
        if old is None:
            return _free_name(found.path, self.root, self.names)
        relative = _relative(found.path, self.root)
        if old.name == relative or relative in self.names:
            return old.name
        self.names.pop(old.name, None)
        return relative

    def _digest(self, path: Path) -> tuple[tuple[int, int], str]:
        state = file_state(path)
        size_bytes, modified_ns = state
        return state, content_hash(path) if size_bytes <= self.largest_bytes else f"{size_bytes} bytes, {modified_ns}"


def file_state(path: Path) -> tuple[int, int]:
    """Return a file's size in bytes and when it was changed, in nanoseconds.

    Raises:
        OSError: it is not there, or not to be seen.
    """
    status = path.stat()
    return status.st_size, status.st_mtime_ns


def _loader(path: str) -> str | None:
    return LOADERS.get(Path(path).suffix.lower())


def _match_renames(plan: Plan, made_with: MadeWith) -> None:
    """A new file with the content of a source that is gone is that source, moved, if it is read the same way."""
    by_content = {
        (source.content_hash, _loader(source.path)): source for source in plan.gone if made_with.holds(source)
    }
    parse = []
    for item in plan.parse:
        key = (item.digest, _loader(str(item.found.path)))
        source = by_content.pop(key, None) if item.old is None else None
        if source:
            plan.rename.append((item, source))
            plan.touched[source.id] = item.state[1]
        else:
            parse.append(item)
    moved = {source.id for _, source in plan.rename}
    plan.parse = parse
    plan.gone = [source for source in plan.gone if source.id not in moved]


def _free_name(path: Path, root: Path, taken: dict[str, str]) -> str:
    """The path from the root; with the root's name before it where another root has such a file."""
    relative = _relative(path, root)
    name, number = relative, 1
    while taken.get(name, str(path)) != str(path):
        name = f"{root.name}/{relative}" if number == 1 else f"{root.name} ({number})/{relative}"
        number += 1
    return name


def _relative(path: Path, root: Path) -> str:
    return path.relative_to(root).as_posix() if root.is_dir() else path.name


def is_unicode(path: str) -> bool:
    """Return whether a path can be stored; on Linux a name can be any bytes."""
    try:
        path.encode()
    except UnicodeEncodeError:
        return False
    return True
