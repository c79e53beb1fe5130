"""Keeps uploaded files in KB_HOME/uploads, each under a random name, for as long as a document refers to it.

The path of an uploaded document is relative to the home folder: the home can be moved, and no mirrored folder ever
holds it. Only the writer of the store writes here. Files that no document refers to are left over from a run that was
killed, or from a removal; they are deleted whenever writing begins and ends.
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

__all__ = ["UPLOADS", "Upload", "Uploads", "clean_name", "is_uploaded"]

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
        """Take the store."""
        self._store = store
        self._folder = store.folder / UPLOADS

    @contextmanager
    def writing(self, notify: Callable[[str], None]) -> Iterator[None]:
        """Be the writer of the store; delete files that no document refers to, before and after."""
        with report_full_disk(self._store.folder), self._store.writing(notify):
            self._delete_leftovers()
            yield
            self._delete_leftovers()

    def _delete_leftovers(self) -> None:
        present = list(self._folder.iterdir()) if self._folder.is_dir() else []
        known = self._store.catalog.paths(f"{UPLOADS}/") if present else set()
        for path in present:
            if path.is_file() and f"{UPLOADS}/{path.name}" not in known:
                path.unlink(missing_ok=True)

    @contextmanager
    def received(self, files: Sequence[Upload]) -> Iterator[list[Upload]]:
        """Give the files once all their bytes are here, so that no writer waits for a slow sender."""
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
        """Keep the files that can be taken in, and return what has to be done; call it inside `writing`.

        Args:
            files: what was sent.
            stored: all documents of the collection.
            replacing: whether a file replaces the uploaded document of its name.
            largest_bytes: larger files are refused.
        """
        plan = Plan()
        taken = {unicodedata.normalize("NFC", source.name): source for source in stored}
        seen: set[str] = set()
        for name, file in [(clean_name(file.name), file) for file in files]:
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
        """Copy a file to the folder, and return its path and hash; if it is too large, keep nothing and return None."""
        path = self._folder / f"{uuid.uuid4().hex}{suffix}"
        part = path.with_suffix(".part")
        digest, size_bytes = hashlib.sha256(), 0
        stream = io.BytesIO(content) if isinstance(content, bytes) else content
        opened = stream.open("rb") if isinstance(stream, Path) else nullcontext(stream)
        with _report_write_errors(self._folder), opened as given:
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
        """Return whether the files of all uploaded documents are there; how many they are, or which are missing."""
        catalog = self._store.catalog
        paths = catalog.paths(f"{UPLOADS}/")
        gone = {path for path in paths if not (self._store.folder / path).is_file()}
        if not gone:
            return True, f"{len(paths)} files"
        ids = [catalog.collection(held.name).id for held in catalog.collections()]
        names = [source.name for number in ids for source in catalog.sources(number) if source.path in gone]
        more = f" and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else ""
        return False, f"the files of {', '.join(names[:_MOST_NAMED])}{more} are missing; upload them again"

    def plan_again(self, stored: Sequence[SourceInfo], made_with: MadeWith) -> Plan:
        """Return what has to be done so that uploaded documents are as if they were uploaded now."""
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
    """Return whether a document of the catalogue was uploaded."""
    return source.path.startswith(f"{UPLOADS}/")


def _refused(name: str, old: SourceInfo | None, seen: set[str]) -> Refusal | None:
    """Return why a file is refused by its name alone; None if it is not."""
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


def clean_name(name: str) -> str:
    """Return the name of an uploaded document: the file's name without folders and invisible characters.

    Raises:
        UsageError: nothing is left of it.
    """
    composed = unicodedata.normalize("NFC", name).replace("\\", "/").rpartition("/")[2]
    # The categories C*: control and format characters, surrogates, and code points without a meaning.
    visible = "".join(char for char in composed if char.isspace() or not unicodedata.category(char).startswith("C"))
    words = " ".join(visible.split())
    suffix = Path(words).suffix[:_LONGEST_NAME]
    shortened = words if len(words) <= _LONGEST_NAME else words[: _LONGEST_NAME - len(suffix)] + suffix
    if not shortened.strip("."):
        raise UsageError("a file without a name was uploaded; give it one")
    return shortened


@contextmanager
def _spooled(content: IO[bytes]) -> Iterator[IO[bytes]]:
    with tempfile.TemporaryFile() as spool:  # nameless: it goes with this process
        with _report_write_errors(Path(tempfile.gettempdir())):
            shutil.copyfileobj(content, spool, _PIECE_BYTES)
        spool.seek(0)
        yield spool


@contextmanager
def _report_write_errors(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise KbError(f"cannot keep an upload in {folder}: {error.strerror}; make room, or allow it there") from error
