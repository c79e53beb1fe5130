"""Works out what has to be done for a collection to mirror its folders; reads both, changes neither."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ingest import LOADERS, FoundFile, content_hash, find_files
from kb_assistant.sync.naming import choose_names, keeps_name, relative_name, root_of
from kb_assistant.sync.plan import MadeWith, Plan, Refusal, Rename, ToParse, file_state
from kb_assistant.sync.scope import Scope, is_unicode
from vectorstore import SourceInfo

__all__ = ["make_plan"]


def make_plan(
    stored: Sequence[SourceInfo],
    scope: Scope,
    made_with: MadeWith,
    *,
    largest_bytes: int = 1 << 62,
    removed: Mapping[str, str] | None = None,
    include_removed: bool = False,
    keep_missing: bool = False,
) -> Plan:
    """Compare the files in a scope with what is stored of them.

    Args:
        stored: all documents of the collection.
        scope: the folders that the collection mirrors, and where to look.
        made_with: what a document must have been made with to count as unchanged.
        largest_bytes: larger files are not hashed, since they will not be read.
        removed: files that `kb remove` took out: content hashes by path.
        include_removed: take them in again.
        keep_missing: keep documents whose files are gone.
    """
    comparison = _Comparison(stored, scope, made_with, largest_bytes)
    comparison.read_all(removed or {}, include_removed=include_removed)
    return comparison.plan(keep_missing=keep_missing)


@dataclass(slots=True)
class _File:
    """A file that was found; `problem` is why it is not taken in."""

    found: FoundFile
    root: Path
    old: SourceInfo | None
    digest: str = ""
    state: tuple[int, int] = (0, 0)
    problem: tuple[str, str] | None = None
    kept_out: bool = False

    @property
    def relative(self) -> str:
        return relative_name(self.found.path, self.root)


class _Comparison:
    """Reads the files of a scope, matches them with documents, and names them."""

    def __init__(self, stored: Sequence[SourceInfo], scope: Scope, made_with: MadeWith, largest_bytes: int) -> None:
        self._stored = stored
        self._scope = scope
        self._made_with = made_with
        self._largest_bytes = largest_bytes
        self._known = {source.path: source for source in stored if scope.covers(Path(source.path))}
        self._plan = Plan()
        self._files: list[_File] = []
        self._closed: list[Path] = []

    def read_all(self, removed: Mapping[str, str], *, include_removed: bool) -> None:
        """Find and hash all files, and note which of them stay out because they were removed."""
        self._plan.removed = dict(removed)
        moved = {digest: path for path, digest in removed.items() if not Path(path).exists()}
        for top in self._scope.tops:
            root = root_of(top, self._scope.roots) or top
            for found in self._found(top, root):
                path = str(found.path)
                if not is_unicode(path):
                    shown = found.relative.encode(errors="backslashreplace").decode()
                    self._plan.refused.append(Refusal(shown, "failed", "its name is not valid Unicode; rename it"))
                    continue
                file = _File(found, root, self._known.get(path))
                self._files.append(file)
                self._read(file)
                self._plan.files[top] += _loader(path) is not None
                if file.old is None:
                    again = include_removed or found.path in self._scope.asked_for
                    file.kept_out = self._was_removed(path, moved.get(file.digest), file.digest, again=again)

    def _was_removed(self, path: str, former: str | None, digest: str, *, again: bool) -> bool:
        """Return whether a new file stays out; where it was moved from `former`, note its path of today."""
        noted = self._plan.removed
        if former in noted and path not in noted:
            del noted[former]
            noted[path] = digest
        if again:
            noted.pop(path, None)
        return path in noted

    def _found(self, top: Path, root: Path) -> Iterator[FoundFile]:
        def note_closed(folder: Path, error: OSError) -> None:
            self._closed.append(folder)
            name = relative_name(folder, root)
            self._plan.refused.append(Refusal(f"{name}/", "failed", f"cannot be listed: {error.strerror}"))

        if top.exists():
            ignore_from = root if root.is_dir() else None
            yield from find_files(
                top,
                note_closed,
                excluded=self._scope.left_out,
                ignore_from=ignore_from,
                on_ignored=self._plan.ignored.append,
            )

    def _read(self, file: _File) -> None:
        path = file.found.path
        if _loader(str(path)) is None:
            file.problem = "unsupported", ""
            return
        try:
            size_bytes, modified_ns = file.state = file_state(path)
            huge = size_bytes > self._largest_bytes
            file.digest = f"{size_bytes} bytes, {modified_ns}" if huge else content_hash(path)
        except OSError as error:  # another program may hold a lock; the document stays
            file.problem = "failed", f"cannot be read: {error.strerror}; check its permissions"

    def plan(self, *, keep_missing: bool) -> Plan:
        """Return what has to be done with the files that were read."""
        plan = self._plan
        seen = {str(file.found.path) for file in self._files}
        missing = [source for path, source in self._known.items() if path not in seen]
        # What lies in a folder that cannot be listed may still be there.
        hidden = {one.id for one in missing if any(Path(one.path).is_relative_to(folder) for folder in self._closed)}
        gone = [source for source in missing if source.id not in hidden]
        moved = self._match_moves(gone)
        former = {source.id for source in moved.values()}
        plan.unchanged += [source for source in missing if source.id in hidden]
        plan.gone = [source for source in gone if source.id not in former]
        if keep_missing:
            plan.unchanged, plan.gone = plan.unchanged + plan.gone, []
        names = self._names(former | {source.id for source in plan.gone})
        for file in self._files:
            name = names[file.found.path]
            if file.problem is not None:
                plan.refused.append(Refusal(name, *file.problem))
            elif file.kept_out:
                plan.kept_out.append(name)
            else:
                self._put(file, name, moved.get(file.found.path))
        return plan

    def _put(self, file: _File, name: str, moved: SourceInfo | None) -> None:
        plan, path, old = self._plan, str(file.found.path), file.old or moved
        if old is not None and old.modified_ns != file.state[1]:
            plan.touched[old.id] = file.state[1]
        if old is None or (not moved and (old.content_hash != file.digest or not self._made_with.holds(old))):
            plan.parse.append(ToParse(file.found, name, file.digest, file.state, old))
        elif (old.name, old.path) != (name, path):
            plan.rename.append(Rename(old, name, path))
        else:
            plan.unchanged.append(old)

    def _match_moves(self, gone: Iterable[SourceInfo]) -> dict[Path, SourceInfo]:
        """Return the documents whose files have moved, by their new paths.

        A new file with the content of a document whose file is gone is that document, if it is read the same way.
        """
        new = [file for file in self._files if file.old is None and file.problem is None and not file.kept_out]
        candidates: dict[tuple[str, str | None], list[SourceInfo]] = defaultdict(list)
        wanted = {file.digest for file in new}
        for source in (*gone, *self._gone_elsewhere(wanted)):
            if source.content_hash in wanted and self._made_with.holds(source):
                candidates[source.content_hash, _loader(source.path)].append(source)
        moved = {}
        for file in new:
            path = file.found.path
            if same := candidates[file.digest, _loader(str(path))]:
                best = next((source for source in same if Path(source.path).name == path.name), same[0])
                same.remove(best)
                moved[path] = best
        return moved

    def _gone_elsewhere(self, wanted: set[str]) -> Iterator[SourceInfo]:
        """Yield the documents of those contents whose files are gone from folders that this run does not look at."""
        for source in self._stored:
            path = Path(source.path)
            elsewhere = path.is_absolute() and source.path not in self._known  # an upload's path is relative
            if elsewhere and source.content_hash in wanted and not path.exists():
                yield source

    def _names(self, leaving: set[int]) -> dict[Path, str]:
        """Return the name of each file; documents whose ids are in `leaving` leave theirs to others."""
        names: dict[Path, str] = {}
        newcomers: dict[Path, Path] = {}
        for file in self._files:
            # A document that cannot be read now stays as it is, name and all.
            if file.old is not None and (file.problem or keeps_name(file.old.name, file.relative)):
                names[file.found.path] = file.old.name
            else:
                newcomers[file.found.path] = file.root
        renamed = {file.old.id for file in self._files if file.old and file.found.path in newcomers}
        staying = [source for source in self._stored if source.id not in leaving | renamed]
        present = [(source.name, self._relative(source)) for source in staying]
        return names | choose_names(newcomers, self._scope.roots, present)

    def _relative(self, source: SourceInfo) -> str:
        path = Path(source.path)
        root = root_of(path, self._scope.roots)
        return source.name if root is None else relative_name(path, root)


def _loader(path: str) -> str | None:
    return LOADERS.get(Path(path).suffix.lower())
