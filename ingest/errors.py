"""What can go wrong with a file, each kind with the status that a report shows.

    IngestError
    ├── UnreadableError        failed           broken, or not what its suffix says
    │   └── TooLargeError      failed           beyond a bound, see `options.Limits`
    ├── PasswordRequiredError  needs_password   encrypted, and no password given opens it
    ├── OcrRequiredError       needs_ocr        only pictures of text, and OCR is not installed or not wanted
    ├── GarbledError           garbled          its text layer is not what the page shows
    ├── NoTextError            empty            readable, and holds no text
    └── UnsupportedError       unsupported      no loader for such files, or a program it needs is missing

Every message starts with the file's name and says what to do about it.
"""

from __future__ import annotations

from typing import ClassVar

__all__ = [
    "GarbledError",
    "IngestError",
    "NoTextError",
    "OcrRequiredError",
    "PasswordRequiredError",
    "TooLargeError",
    "UnreadableError",
    "UnsupportedError",
]


class IngestError(Exception):
    """A file could not be turned into chunks."""

    status: ClassVar[str] = "failed"


class UnreadableError(IngestError):
    """The file cannot be read, or is not what its suffix says."""


class TooLargeError(UnreadableError):
    """The file, or what it unpacks to, is beyond a bound."""


class PasswordRequiredError(IngestError):
    """The file is encrypted."""

    status = "needs_password"


class OcrRequiredError(IngestError):
    """The file holds pictures of text, and nothing here may read them."""

    status = "needs_ocr"


class GarbledError(IngestError):
    """What the file gives as its text is not what a reader sees."""

    status = "garbled"


class NoTextError(IngestError):
    """The file is sound and holds no text."""

    status = "empty"


class UnsupportedError(IngestError):
    """There is no loader for such files, or a program that it needs is not installed."""

    status = "unsupported"
