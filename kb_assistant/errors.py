"""What can go wrong in kb, each kind with the exit code that the command line gives it.

    KbError                  3
    ├── UsageError               2   a question, flag or name that cannot be meant
    │   ├── SettingsError        2   kb.toml, a KB_ variable or a flag does not hold
    │   ├── EmptiedFolderError   2   a folder that had documents is empty or gone
    │   └── UnknownChatError     2   the owner has no such conversation
    ├── ModelError               3   a model directory is missing, incomplete or refused
    └── Cancelled              130   the user stopped it

Every message is one line: what, why, and what to do about it.
"""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

__all__ = [
    "Cancelled",
    "EmptiedFolderError",
    "KbError",
    "ModelError",
    "SettingsError",
    "UnknownChatError",
    "UsageError",
]


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


class Cancelled(KbError):  # noqa: N818 - not an error to whoever asked for it
    """The user stopped an answer under way."""

    exit_code = 130
