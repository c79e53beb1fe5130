"""What a caller sets for reading files: bounds, passwords, OCR. The same for every loader.

Documents are hostile until shown otherwise. A loader checks the bounds that concern its
format before it does the work; time and memory are watched from outside, see `reader`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from ingest.errors import TooLargeError

__all__ = ["Limits", "LoadOptions"]

_DEEPEST = 4
"""How deep archives and messages may lie in each other."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds on one file.

    Attributes:
        file_bytes: the file as it lies on the disk.
        unpacked_bytes: all that a compressed file (DOCX, XLSX, EPUB, ZIP, …) unpacks to.
        members: files in an archive, attachments of a message.
        pages: pages, slides or sheets.
        characters: text that comes out of it.
        cells: cells of all its tables, empty ones among them.
        seconds: time to read it; where pages are read one after the other, time for each.
        memory_bytes: memory of the process that reads it.
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
        limits: bounds on it.
        passwords: tried on what is encrypted, one after the other.
        ocr: read what is only a picture of text, where OCR is installed.
        page_done: called after each page; time is then counted anew.
        depth: how many archives or messages the file lies in.
    """

    limits: Limits = Limits()
    passwords: tuple[str, ...] = ()
    ocr: bool = True
    page_done: Callable[[], None] = field(default=lambda: None, compare=False)
    depth: int = 0

    def inside(self, name: str) -> LoadOptions:
        """Return the options for what lies in an archive or message called `name`.

        Raises:
            TooLargeError: too many of them lie in each other.
        """
        if self.depth >= _DEEPEST:
            raise TooLargeError(f"{name}: archives and messages lie more than {_DEEPEST} deep in each other")
        return replace(self, depth=self.depth + 1)
