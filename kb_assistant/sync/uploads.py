"""Files that come by upload: kept under KB_HOME/uploads by ids of their own, while a source refers to them.

A source that was uploaded has its path from the home folder, so that a home can be moved,
and so that no folder that is mirrored ever holds it. What is written here is written by the
one writer: what no source refers to when writing starts or ends is left over, and goes.
"""

from __future__ import annotations

import hashlib
import io
import os
import shutil
import tempfile
import unicodedata
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO

from ingest import LOADERS, FoundFile, content_hash
from kb_assistant.errors import KbError, UsageError, report_full_disk
from kb_assistant.sync.plan import MadeWith, Plan, Refusal, ToParse, file_state
from vectorstore import SourceInfo, Store

__all__ = ["UPLOADS", "Upload", "Uploads", "shown_name"]

UPLOADS = "uploads"
_LONGEST_NAME = 200
_PIECE_BYTES = 1 << 20
_MOST_NAMED = 5


@dataclass(frozen=True, slots=True)
class Upload:
    """A file to take in.

    Attributes:
        name: what its sender calls it; it is shown, and never used as a path.
        content: its bytes, a stream of them, or the path of a file, which is copied.
    """

    name: str
    content: bytes | IO[bytes] | Path


class Uploads:
    """The uploaded files of a store."""

    def __init__(self, store: Store) -> None:
        """Take the store, whose folder they lie in."""
        self._store = store
        self._folder = store.folder / UPLOADS

    @contextmanager
    def writing(self, notify: Callable[[str], None]) -> Iterator[None]:
        """Hold the one writer's place, and leave no file behind that no source refers to."""
        with report_full_disk(self._store.folder), self._store.writing(notify):
            self._sweep()
            yield
            self._sweep()

    def _sweep(self) -> None:
        present = list(self._folder.iterdir()) if self._folder.is_dir() else []
        known = self._store.catalog.paths(f"{UPLOADS}/") if present else set()
        for path in present:
            if path.is_file() and f"{UPLOADS}/{path.name}" not in known:
                path.unlink(missing_ok=True)

    @contextmanager
    def at_hand(self, files: Sequence[Upload]) -> Iterator[list[Upload]]:
        """Give the files with their bytes on this machine: nobody is to wait for a slow sender while this writes."""
        with ExitStack() as stack:
            ready = []
            for file in files:
                content = file.content
                if not isinstance(content, (bytes, Path)) and not content.seekable():
                    file = replace(file, content=stack.enter_context(_spooled(content)))
                ready.append(file)
            yield ready

    def plan(
        self, files: Sequence[Upload], stored: Sequence[SourceInfo], *, replacing: bool, largest_bytes: int
    ) -> Plan:
        """Keep files that were sent, and return what is to be done with them; to be called while writing.

        Args:
            files: what was sent.
            stored: all sources of the collection.
            replacing: whether a file takes the place of an uploaded one that has its name.
            largest_bytes: larger ones are refused.
        """
        plan = Plan()
        taken = {unicodedata.normalize("NFC", source.name): source for source in stored}
        seen: set[str] = set()
        for name, file in [(shown_name(file.name), file) for file in files]:
            old = taken.get(name)
            if refusal := _refused(name, old, seen):
                plan.refused.append(refusal)
                continue
            kept = self._keep(file.content, Path(name).suffix.lower(), largest_bytes)
            if kept is None:
                reason = f"larger than {largest_bytes / 1e6:,.0f} MB; split it, or raise max_file_mb"
                plan.refused.append(Refusal(name, "refused", reason))
                continue
            path, digest = kept
            seen.add(name)
            if old and old.chunks and old.content_hash == digest:
                plan.unchanged.append(old)
            elif old and old.chunks and not replacing:
                reason = "there is a document of that name; replace it, remove it, or give this one another name"
                plan.refused.append(Refusal(name, "refused", reason))
            else:
                item = ToParse(FoundFile(path, name), name, digest, file_state(path), old, f"{UPLOADS}/{path.name}")
                plan.parse.append(item)
        return plan

    def _keep(self, content: bytes | IO[bytes] | Path, suffix: str, largest_bytes: int) -> tuple[Path, str] | None:
        """Copy a file to the folder, and return its path and hash; None, and nothing is kept, if it is too large."""
        path = self._folder / f"{uuid.uuid4().hex}{suffix}"
        part = path.with_suffix(".part")
        digest, size_bytes = hashlib.sha256(), 0
        stream = io.BytesIO(content) if isinstance(content, bytes) else content
        opened = stream.open("rb") if isinstance(stream, Path) else nullcontext(stream)
        with _room(self._folder), opened as given:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as stream:
                while size_bytes <= largest_bytes and (piece := given.read(_PIECE_BYTES)):
                    size_bytes += len(piece)
                    digest.update(piece)
                    stream.write(piece)
                stream.flush()
                os.fsync(stream.fileno())
            if size_bytes > largest_bytes:
                part.unlink()
                return None
            part.rename(path)
        return path, digest.hexdigest()

    def check(self) -> tuple[bool, str]:
        """Return whether the files of all uploaded sources are there, and how many there are, or which are not."""
        catalog = self._store.catalog
        paths = catalog.paths(f"{UPLOADS}/")
        gone = {path for path in paths if not (self._store.folder / path).is_file()}
        if not gone:
            return True, f"{len(paths)} files"
        ids = [catalog.collection(held.name).id for held in catalog.collections()]
        names = [one.name for number in ids for one in catalog.sources(number) if one.path in gone]
        more = f" and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else ""
        return False, f"no file any more for {', '.join(names[:_MOST_NAMED])}{more}; upload them again"

    def plan_again(self, stored: Sequence[SourceInfo], made_with: MadeWith) -> Plan:
        """Return what is to be done so that the uploaded ones among `stored` are as if they came now."""
        plan = Plan()
        for source in stored:
            path = self._store.folder / source.path
            if not is_uploaded(source):
                continue
            if not path.is_file():
                plan.refused.append(
                    Refusal(source.name, "failed", "its file is gone from kb's folder; upload it again")
                )
            elif made_with.holds(source):
                plan.unchanged.append(source)
            else:
                found = FoundFile(path, source.name)
                plan.parse.append(
                    ToParse(found, source.name, content_hash(path), file_state(path), source, source.path)
                )
        return plan


def is_uploaded(source: SourceInfo) -> bool:
    """Return whether a source, as the catalogue has it, came by upload."""
    return source.path.startswith(f"{UPLOADS}/")


def _refused(name: str, old: SourceInfo | None, seen: set[str]) -> Refusal | None:
    """Why a file is not even looked at."""
    if name in seen:
        return Refusal(name, "refused", "another file of this upload has that name; give one of them another")
    if old is not None and not is_uploaded(old):
        reason = "a document of that name comes from a folder; change it there, or give this one another name"
        return Refusal(name, "refused", reason)
    suffix = Path(name).suffix.lower()
    if suffix not in LOADERS:
        known = " ".join(sorted(LOADERS))
        if suffix:
            return Refusal(name, "unsupported", f"{suffix} files cannot be read; known: {known}")
        return Refusal(name, "unsupported", f"files without an ending cannot be read; known: {known}")
    return None


def shown_name(name: str) -> str:
    """Return the name that a file is shown and cited by: its last part, composed, without what cannot be seen.

    Raises:
        UsageError: nothing is left of it.
    """
    composed = unicodedata.normalize("NFC", name).replace("\\", "/").rpartition("/")[2]
    # Cc, Cf, Cs, Co, Cn: controls, marks of direction, halves of characters, and what means nothing.
    visible = "".join(one for one in composed if one.isspace() or not unicodedata.category(one).startswith("C"))
    words = " ".join(visible.split())
    suffix = Path(words).suffix[:_LONGEST_NAME]
    shortened = words if len(words) <= _LONGEST_NAME else words[: _LONGEST_NAME - len(suffix)] + suffix
    if not shortened.strip("."):
        raise UsageError("a file without a name was uploaded; give it one")
    return shortened


@contextmanager
def _spooled(content: IO[bytes]) -> Iterator[IO[bytes]]:
    with tempfile.TemporaryFile() as spool:  # it has no name, and goes with this process
        with _room(Path(tempfile.gettempdir())):
            shutil.copyfileobj(content, spool, _PIECE_BYTES)
        spool.seek(0)
        yield spool


@contextmanager
def _room(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise KbError(f"cannot keep an upload in {folder}: {error.strerror}; make room, or allow it there") from error
