"""Files inside archives and messages, read within the limits of the outermost container.

A member is written to disk under a name of our own, never the one in the container, and
read by the loader for its suffix.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath

from ingest.errors import (
    GarbledError,
    IngestError,
    NoTextError,
    OcrRequiredError,
    PasswordRequiredError,
    TooLargeError,
    UnreadableError,
    UnsupportedError,
)
from ingest.loaders.dispatch import LOADERS, load
from ingest.options import LoadOptions
from ingest.parsed import BlockKind, ParsedDocument, TextBuilder

__all__ = ["Members", "has_loader", "plain_name"]

_LONGEST_NAME = 200
_MOST_NAMED = 8
# The error of the whole, where all members failed for the same reason; most specific first.
_SPECIFIC_ERRORS = (PasswordRequiredError, OcrRequiredError, GarbledError, UnsupportedError, NoTextError)


@dataclass
class _Budget:
    """What may still be read from the outermost container and everything inside it."""

    members: int
    unpacked_bytes: int


_budget: ContextVar[_Budget | None] = ContextVar("_budget", default=None)


@dataclass
class Members:
    """Reads the members of a container in turn and appends them to a `TextBuilder`.

    Attributes:
        name: the container's file name, for messages.
        options: options for the container.
        builder: receives the members' text.
        noun: what notes call a member: "file" or "attachment".
        level: heading level of the members' names.
    """

    name: str
    options: LoadOptions
    builder: TextBuilder
    noun: str
    level: int = 1
    lacks_ocr: bool = False
    incomplete: bool = False
    _read: int = 0
    _without_loader: list[str] = field(default_factory=list)
    _empty: list[str] = field(default_factory=list)
    _failed: list[tuple[str, IngestError]] = field(default_factory=list)
    _notes: list[str] = field(default_factory=list)

    @contextmanager
    def opened(self) -> Iterator[None]:
        """Count what is read inside the block against the limits of the outermost container.

        Raises:
            TooLargeError: containers are nested too deeply.
        """
        self.options.inside(self.name)
        if _budget.get() is not None:
            yield
            return
        limits = self.options.limits
        token = _budget.set(_Budget(limits.members, limits.unpacked_bytes))
        try:
            yield
        finally:
            _budget.reset(token)

    def announce(self, members: int, unpacked_bytes: int = 0) -> None:
        """Check the sizes that a container declares, before any member is read.

        Raises:
            TooLargeError: they exceed the limits.
        """
        budget = self._left
        if members > budget.members:
            raise TooLargeError(
                f"{self.name}: it holds {members:,} {self.noun}s, more than {self.options.limits.members:,}; split it"
            )
        budget.members -= members
        if unpacked_bytes > budget.unpacked_bytes:
            raise self._too_much()

    def add(self, name: str, pieces: Iterable[bytes]) -> None:
        """Read a member from its bytes and append it under its name.

        Raises:
            TooLargeError: the container unpacks to more than the limit.
        """
        name = plain_name(name)
        if not has_loader(name):
            self._without_loader.append(name)
            return
        if len(self.builder) >= self.options.limits.characters:
            self.fail(name, TooLargeError(f"{name}: the files before it already reach the limit on text"))
            return
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / f"member{PurePosixPath(name).suffix.lower()}"
            try:
                self._write(path, pieces)
                if not path.stat().st_size:
                    raise NoTextError(f"{path.name}: it is empty")
                document = self._load(path)
            except IngestError as error:
                if not self._left.unpacked_bytes:
                    raise self._too_much() from error
                self.fail(name, error, path.name)
                return
        self.include(name, document)

    def add_document(self, name: str, read: Callable[[LoadOptions], ParsedDocument]) -> None:
        """Append a member that is not a file by itself, such as a message attached to a message."""
        try:
            document = read(self.inside(name))
            if not document.blocks:
                raise NoTextError(f"{name}: it holds no text")
        except IngestError as error:
            self.fail(name, error, name)
            return
        self.include(name, document)

    def include(self, name: str, document: ParsedDocument) -> None:
        """Append a member that has already been read."""
        name = plain_name(name)
        self._read += 1
        self._notes += [f"{name}: {note}" for note in document.notes]
        self.incomplete |= document.incomplete
        self.lacks_ocr |= document.lacks_ocr
        self.builder.include(name, document, level=self.level)

    def fail(self, name: str, error: IngestError, written_as: str = "") -> None:
        """Record a member that cannot be read, and why."""
        name = plain_name(name)
        if isinstance(error, NoTextError):
            self._empty.append(name)
            return
        reason = str(error).removeprefix(f"{written_as or name}: ")
        self._failed.append((name, type(error)(reason)))
        self.incomplete = True
        self.lacks_ocr |= isinstance(error, OcrRequiredError)

    def notes(self) -> list[str]:
        """Return notes about the members that were skipped or failed, then those of the members read."""
        notes = []
        if self._failed:
            named = [f"{name} ({str(error).split(';')[0]})" for name, error in self._failed]
            notes.append(f"{len(named)} of its {self.noun}s could not be read: {_listed(named)}")
        if self._without_loader:
            skipped = f"{len(self._without_loader)} of its {self.noun}s skipped, format not supported"
            notes.append(f"{skipped}: {_listed(self._without_loader)}" if self.noun == "attachment" else skipped)
        if self._empty:
            notes.append(f"{len(self._empty)} of its {self.noun}s without text: {_listed(self._empty)}")
        kept = self._notes[:_MOST_NAMED]
        more = len(self._notes) - len(kept)
        return [*notes, *kept, *([f"{more} more notes"] if more else [])]

    def check_read(self) -> None:
        """Raise the most specific common error if no member could be read.

        Where all members are empty, their names become the text.

        Raises:
            PasswordRequiredError: all are encrypted.
            OcrRequiredError: all are pictures.
            UnsupportedError: none has a loader.
            NoTextError: there are none.
            UnreadableError: they failed for different reasons.
        """
        if self._read:
            return
        if not self._failed:
            if not self._empty:
                self._raise_for_none()
            for name in self._empty:
                self.builder.add(BlockKind.LIST_ITEM, [name])
            return
        kinds = {type(error) for _, error in self._failed}
        kind = next((kind for kind in _SPECIFIC_ERRORS if kinds == {kind}), UnreadableError)
        name, error = self._failed[0]
        others = f" (and {len(self._failed) - 1} more)" if len(self._failed) > 1 else ""
        raise kind(f"{self.name}: none of its {self.noun}s could be read: {name}{others}: {error}")

    def inside(self, name: str) -> LoadOptions:
        """Return the options for the next member, its limits reduced to what is left of the container's.

        Raises:
            TooLargeError: containers are nested too deeply.
        """
        limits, budget = self.options.limits, self._left
        left = replace(
            limits,
            members=budget.members,
            unpacked_bytes=budget.unpacked_bytes,
            characters=max(0, limits.characters - len(self.builder)),
        )
        return replace(self.options.inside(name), limits=left)

    def _raise_for_none(self) -> None:
        if not self._without_loader:
            raise NoTextError(f"{self.name}: it holds no {self.noun}s")
        raise UnsupportedError(
            f"{self.name}: none of its {self.noun}s has a supported format: {_listed(self._without_loader)}; "
            "convert them to one that is supported"
        )

    def count(self, piece: bytes) -> bytes:
        """Count unpacked bytes and return them.

        Raises:
            TooLargeError: the container unpacks to more than the limit.
        """
        budget = self._left
        if len(piece) > budget.unpacked_bytes:
            budget.unpacked_bytes = 0
            raise self._too_much()
        budget.unpacked_bytes -= len(piece)
        return piece

    @property
    def _left(self) -> _Budget:
        budget = _budget.get()
        assert budget is not None, "members are read while the container is opened"
        return budget

    def _write(self, path: Path, pieces: Iterable[bytes]) -> None:
        with path.open("wb") as stream:
            for piece in pieces:
                stream.write(self.count(piece))

    def _load(self, path: Path) -> ParsedDocument:
        document = load(path, self.inside(path.name))
        self.options.page_done()
        return document

    def _too_much(self) -> TooLargeError:
        return TooLargeError(
            f"{self.name}: it unpacks to more than {self.options.limits.unpacked_bytes / 1e6:,.0f} MB; "
            "unpack it and add the files you need"
        )


def has_loader(name: str) -> bool:
    """Return whether there is a loader for a file's suffix."""
    return PurePosixPath(name).suffix.lower() in LOADERS


def plain_name(name: str) -> str:
    """Return a file name safe to show: on one line, relative, without ".."."""
    shown = "".join(character if character.isprintable() else " " for character in name.replace("\\", "/"))
    parts = [part.strip() for part in shown.split("/")]
    shown = "/".join(part for part in parts if part not in ("", ".", "..") and not part.endswith(":"))
    if len(shown) > _LONGEST_NAME:
        shown = f"…{shown[1 - _LONGEST_NAME :]}"
    return shown or "unnamed"


def _listed(names: list[str]) -> str:
    more = len(names) - _MOST_NAMED
    return ", ".join(names[:_MOST_NAMED]) + (f" and {more} more" if more > 0 else "")
