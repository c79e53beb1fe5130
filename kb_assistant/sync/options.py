"""What the calls of `Assistant` that change documents take, by keyword."""

from __future__ import annotations

import threading
from typing import TypedDict

from kb_assistant.sync.indexer import Progress, Waiting

__all__ = ["IngestOptions", "UploadOptions", "WatchOptions"]


class _Reports(TypedDict, total=False):
    """How a call reports.

    Attributes:
        progress: called with (files done, files in all, the file just done).
        waiting: called with a message while another process is writing and this one waits.
    """

    progress: Progress
    waiting: Waiting


class IngestOptions(_Reports, total=False):
    """Options of `Assistant.ingest`.

    Attributes:
        dry_run: only report what would be done.
        keep_missing: keep documents whose files are gone.
        delete_missing: delete them even where a whole folder is empty or gone.
    """

    dry_run: bool
    keep_missing: bool
    delete_missing: bool


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
