"""What can go wrong in kb, each kind with the exit code that the command line gives it.

    KbError                         3
    ├── UsageError                  2   a question, flag or name that cannot be meant
    │   ├── SettingsError           2   kb.toml, a KB_ variable or a flag does not hold
    │   ├── EmptiedFolderError      2   a folder that had documents is empty or gone
    │   ├── UnknownChatError        2   the owner has no such conversation
    │   ├── UnknownCollectionError  2   no collection of that name
    │   │   └── EmptyStoreError     3   no collection at all yet
    │   └── UnknownSourceError      2   no document of that name
    ├── StoreError                  3   the store, its embedding model or the reranker cannot be used
    ├── PageImageError              3   a page of a PDF cannot be drawn
    ├── ModelError                  3   a model directory is missing, incomplete or refused
    └── Cancelled                 130   the user stopped it

Errors of the store inherit from vectorstore's errors of the same name: `raises_kb_errors` turns vectorstore's into
these where they leave kb. Every message is one line: what, why, and what to do about it.
"""

from __future__ import annotations

import errno
import functools
import shutil
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FunctionType, GeneratorType
from typing import Any, ClassVar, ParamSpec, TypeVar, cast

from vectorstore import errors as store_errors

__all__ = [
    "Cancelled",
    "EmptiedFolderError",
    "EmptyStoreError",
    "KbError",
    "ModelError",
    "PageImageError",
    "SettingsError",
    "StoreError",
    "UnknownChatError",
    "UnknownCollectionError",
    "UnknownSourceError",
    "UsageError",
    "as_kb_errors",
    "raises_kb_errors",
    "report_full_disk",
    "translated",
]

_HARDLY_ANY_BYTES = 100_000

C = TypeVar("C", bound=type)
P = ParamSpec("P")
T = TypeVar("T")


class KbError(Exception):
    """Anything kb reports to its user in one line."""

    exit_code: ClassVar[int] = 3


class UsageError(KbError):
    """The request itself cannot be carried out as it stands."""

    exit_code = 2


class SettingsError(UsageError):
    """A setting is unknown or has a value that does not hold."""


class EmptiedFolderError(UsageError):
    """A folder holds no documents any more: a drive that is not there, perhaps, so nothing was deleted."""

    def __init__(self, folder: Path, documents: int, collection: str) -> None:
        """Say which folder, and how many documents from it the collection holds."""
        self.folder = folder
        self.documents = documents
        self.state = ("empty" if folder.is_dir() else "a file") if folder.exists() else "gone"
        super().__init__(
            f"{folder} is {self.state} now, and {documents} documents from it are in collection {collection!r}; "
            "nothing was changed; if they are to go, add --delete-missing"
        )


class UnknownChatError(UsageError):
    """The owner has no such conversation."""


class ModelError(KbError):
    """A model is not there or not usable."""


class PageImageError(KbError):
    """A page of a PDF cannot be drawn."""


class Cancelled(KbError):  # noqa: N818 - not an error to whoever asked for it
    """The user stopped an answer under way."""

    exit_code = 130


class StoreError(KbError, store_errors.StoreError):
    """The store, its embedding model or the reranker cannot be used as it is."""


class UnknownCollectionError(UsageError, store_errors.UnknownCollectionError):
    """There is no collection of that name."""


class EmptyStoreError(UnknownCollectionError, store_errors.EmptyStoreError):
    """Nothing has been ingested yet."""

    exit_code = 3


class UnknownSourceError(UsageError, store_errors.UnknownSourceError):
    """There is no document of that name in the collection."""


class EmbeddingMismatchError(StoreError, store_errors.EmbeddingMismatchError):
    """The collection's vectors come from another embedding model than is in use."""


class EmbeddingModelError(StoreError, store_errors.EmbeddingModelError):
    """The embedding model is missing or cannot be loaded."""


class RerankerError(StoreError, store_errors.RerankerError):
    """The reranker is missing or cannot be loaded."""


_OURS: dict[type[store_errors.StoreError], type[KbError]] = {
    store_errors.StoreError: StoreError,
    store_errors.UnknownCollectionError: UnknownCollectionError,
    store_errors.EmptyStoreError: EmptyStoreError,
    store_errors.UnknownSourceError: UnknownSourceError,
    store_errors.EmbeddingMismatchError: EmbeddingMismatchError,
    store_errors.EmbeddingModelError: EmbeddingModelError,
    store_errors.RerankerError: RerankerError,
}


@contextmanager
def report_full_disk(folder: Path) -> Iterator[None]:
    """Turn whatever SQLite, Chroma or the system raises on a full disk into a single error.

    Raises:
        KbError: the disk of `folder` is full.
    """
    try:
        yield
    except Exception as error:
        if isinstance(error, KbError) or not _is_disk_full(error, folder):
            raise
        raise KbError(
            f"no room left on the disk of {folder}; what was stored so far is kept: make room there, or move the "
            "folder to another disk and set KB_HOME to it, then run it again"
        ) from error


def _is_disk_full(error: BaseException | None, folder: Path) -> bool:
    while error is not None:
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            return True
        words = str(error).lower()
        if any(told in words for told in ("disk is full", "no space left on device", "disk quota exceeded")):
            return True
        # SQLite's words where not even its log can be begun.
        if "disk i/o error" in words and shutil.disk_usage(folder).free < _HARDLY_ANY_BYTES:
            return True
        error = error.__cause__ or error.__context__
    return False


@contextmanager
def as_kb_errors() -> Iterator[None]:
    """Turn the store's errors into ours of the same name."""
    try:
        yield
    except store_errors.StoreError as error:
        if isinstance(error, KbError):
            raise
        raise _OURS[type(error)](str(error)) from error


def translated(function: Callable[P, T]) -> Callable[P, T]:
    """Return a function whose errors of the store are ours, also while a generator that it returns runs."""

    @functools.wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> T:
        with as_kb_errors():
            result = function(*args, **kwargs)
        return cast("T", _translated_generator(result)) if isinstance(result, GeneratorType) else result

    return call


def _translated_generator(running: Generator[Any, Any, Any]) -> Generator[Any, Any, Any]:
    with as_kb_errors():
        return (yield from running)


def raises_kb_errors(cls: C) -> C:
    """Make every public method and property of a class, inherited ones too, raise KbErrors; a class decorator."""
    members = {name: member for base in reversed(cls.__mro__[:-1]) for name, member in vars(base).items()}
    for name, member in members.items():
        if name.startswith("_"):
            continue
        if isinstance(member, FunctionType):
            setattr(cls, name, translated(member))
        elif isinstance(member, classmethod):
            setattr(cls, name, classmethod(translated(member.__func__)))
        elif isinstance(member, property):
            getter, setter = (part and translated(part) for part in (member.fget, member.fset))
            setattr(cls, name, property(getter, setter, doc=member.__doc__))
        elif isinstance(member, functools.cached_property):
            member.func = translated(member.func)
    return cls
