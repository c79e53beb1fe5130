"""Settings for reading files, the same for every loader: limits, passwords, OCR.

Documents are hostile. Loaders check the limits of their format before they do the work;
`worker_pool` watches time and memory from outside.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from ingest.errors import TooLargeError

__all__ = ["Limits", "LoadOptions"]

_MOST_LEVELS = 4
"""How deep archives and messages may be nested."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits on one file.

    Attributes:
        file_bytes: size of the file.
        unpacked_bytes: total size of what a compressed file (DOCX, XLSX, EPUB, ZIP, …) unpacks to.
        members: files in an archive, attachments of a message.
        pages: pages, slides or sheets.
        characters: length of its text.
        cells: cells of all its tables, including empty ones.
        seconds: time to read it, or to read a page where pages are read one by one.
        memory_bytes: memory of the worker that reads it.
    """

    file_bytes: int = 200_000_000
    unpacked_bytes: int = 500_000_000
    members: int = 5_000
    pages: int = 20_000
    characters: int = 30_000_000
    cells: int = 2_000_000
    seconds: float = 300.0
    memory_bytes: int = 1_000_000_000


@dataclass(frozen=True, slots=True)
class LoadOptions:
    """How to read a file.

    Attributes:
        limits: limits on it.
        passwords: tried in turn on encrypted files.
        ocr: whether to read pictures of text, if OCR is installed.
        page_done: called after each page, which restarts the clock.
        depth: how many archives or messages the file is nested in.
    """

    limits: Limits = Limits()
    passwords: tuple[str, ...] = ()
    ocr: bool = True
    page_done: Callable[[], None] = field(default=lambda: None, compare=False)
    depth: int = 0

    def inside(self, name: str) -> LoadOptions:
        """Return the options for the files in an archive or message called `name`.

        Raises:
            TooLargeError: too many archives or messages are nested.
        """
        if self.depth >= _MOST_LEVELS:
            raise TooLargeError(
                f"{name}: archives and messages are nested more than {_MOST_LEVELS} deep; unpack it first"
            )
        return replace(self, depth=self.depth + 1)
