"""What the calls of `Assistant` that change documents take, by keyword."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypedDict

__all__ = ["IngestOptions", "Notify", "Progress", "UploadOptions", "WatchOptions", "ignore"]

Progress = Callable[[int, int, str], None]
"""Called with (files done, files in all, the file just done)."""

Notify = Callable[[str], None]
"""Called with a message while another process is writing and this one waits."""


def ignore(*_: object) -> None:
    """Take progress or a message, and do nothing with it."""


class _Reports(TypedDict, total=False):
    """How a call reports.

    Attributes:
        progress: called with (files done, files in all, the file just done).
        notify: called with a message while another process is writing and this one waits.
    """

    progress: Progress
    notify: Notify


class IngestOptions(_Reports, total=False):
    """Options of `Assistant.ingest`.

    Attributes:
        dry_run: only report what would be done.
        keep_missing: keep documents whose files are gone.
        delete_missing: delete them even where a whole folder is empty or gone.
        include_removed: take in again what was removed.
    """

    dry_run: bool
    keep_missing: bool
    delete_missing: bool
    include_removed: bool


class UploadOptions(_Reports, total=False):
    """Options of `Assistant.upload`.

    Attributes:
        replacing: let a file replace an uploaded document of its name, if it can be read; else it is refused.
            A document from a folder is never replaced.
    """

    replacing: bool


class WatchOptions(_Reports, total=False):
    """Options of `Assistant.watch`.

    Attributes:
        keep_missing: keep documents whose files are gone.
        stop: ends the watch when it is set.
    """

    keep_missing: bool
    stop: threading.Event
