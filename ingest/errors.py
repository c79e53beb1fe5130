"""Errors of reading a file, each with the status that reports show.

    IngestError
    ├── UnreadableError        failed           broken, or not of the kind its suffix says
    │   └── TooLargeError      failed           beyond a limit, see `options.Limits`
    ├── PasswordRequiredError  needs_password   encrypted, and no password given opens it
    ├── OcrRequiredError       needs_ocr        only pictures of text, and OCR is not installed or switched off
    ├── GarbledError           garbled          its text layer differs from what the page shows
    ├── NoTextError            empty            readable, but without text
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
    """The file cannot be read, or is not of the kind its suffix says."""


class TooLargeError(UnreadableError):
    """The file, packed or unpacked, exceeds a limit."""


class PasswordRequiredError(IngestError):
    """The file is encrypted."""

    status = "needs_password"


class OcrRequiredError(IngestError):
    """The file holds pictures of text, and there is no OCR to read them."""

    status = "needs_ocr"


class GarbledError(IngestError):
    """The text layer of the file is not what a person sees on the page."""

    status = "garbled"


class NoTextError(IngestError):
    """The file is valid but holds no text."""

    status = "empty"


class UnsupportedError(IngestError):
    """There is no loader for such files, or a program it needs is not installed."""

    status = "unsupported"
