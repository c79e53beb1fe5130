"""Messages of Outlook (.msg): their properties by python-oxmsg, attachments by their own loaders.

8-bit text is decoded here: the code page that a message declares is often wrong or missing.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from datetime import datetime
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING

import olefile
from oxmsg.domain import constants as c
from oxmsg.properties import Properties
from oxmsg.storage import Storage

from ingest.encoding import decode
from ingest.errors import TooLargeError, UnreadableError
from ingest.loaders.codepages import charset_of
from ingest.loaders.compressed_rtf import unpack_rtf
from ingest.loaders.containers import Members
from ingest.loaders.html import decode_html, parse_html
from ingest.loaders.letter import Letter, letter_document
from ingest.loaders.plain_text import parse_text
from ingest.options import LoadOptions
from ingest.parsed import ParsedDocument

if TYPE_CHECKING:
    from oxmsg.domain.model import PropertyT

__all__ = ["load_msg"]

_MESSAGE_HEAD, _INNER_MESSAGE_HEAD, _PART_HEAD = 32, 24, 8
"""Bytes before the property list: of a message, of an attached message, of a recipient or attachment."""
_ATTACHED_MESSAGE = "__substg1.0_3701000D"
_NAMES = (c.PID_ATTACH_LONG_FILENAME, c.PID_ATTACH_FILENAME, c.PID_DISPLAY_NAME)


def load_msg(path: Path, options: LoadOptions) -> ParsedDocument:
    """Load a message of Outlook and its attachments; lines count as they do in `load_eml`.

    Raises:
        TooLargeError: it holds too much.
        UnreadableError: it is not a message of Outlook, or broken.
    """
    if not olefile.isOleFile(path):
        raise UnreadableError(f"{path.name}: not a message of Outlook; save it again from Outlook")
    try:
        with olefile.OleFileIO(path) as ole:
            # Streams can share bytes: together they may be larger than the file.
            if sum(entry.size for entry in ole.direntries if entry is not None) > options.limits.unpacked_bytes:
                raise TooLargeError(
                    f"{path.name}: it unpacks to more than {options.limits.unpacked_bytes / 1e6:,.0f} MB; "
                    "save its attachments and add the ones you need"
                )
            storage = Storage.from_ole(ole)
        message = _Item(storage, _MESSAGE_HEAD)
        if message.is_empty:
            raise UnreadableError(f"{path.name}: it holds no message; save it again from Outlook")
        return _document(message, path.name, options)
    except (OSError, struct.error, IndexError, RecursionError) as error:
        raise UnreadableError(f"{path.name}: broken ({type(error).__name__}); save it again from Outlook") from error


class _RawProperties(Properties):
    """Properties with 8-bit text left undecoded: an unknown code page would make all of them unreadable."""

    body_encoding = _str_prop_encoding = "latin-1"


class _Item:
    """A message, a recipient or an attachment."""

    def __init__(self, storage: Storage, head_bytes: int, message: _Item | None = None) -> None:
        self.storage = storage
        self._head_bytes = head_bytes
        self._message = message or self

    @cached_property
    def _properties(self) -> dict[tuple[int, int], PropertyT]:
        try:
            return {(found.pid, found.ptyp): found for found in _RawProperties(self.storage, self._head_bytes)}
        except KeyError:  # no property list
            return {}

    @property
    def is_empty(self) -> bool:
        """Whether it has no properties."""
        return not self._properties

    def binary(self, pid: int, ptyp: int = c.PTYP_BINARY) -> bytes:
        """Return a property's bytes; empty if missing."""
        if (pid, ptyp) not in self._properties:
            return b""
        try:
            return self.storage.property_stream_bytes(pid, ptyp)
        except KeyError:
            return b""

    def text(self, pid: int) -> str:
        """Return a text property, whether stored in UTF-16 or in 8 bits."""
        wide = self.binary(pid, c.PTYP_STRING)
        text = wide.decode("utf-16-le", "replace") if wide else self.decoded(self.binary(pid, c.PTYP_STRING8))
        return text.replace("\0", "").replace("\r\n", "\n").replace("\r", "\n")

    def decoded(self, data: bytes, *, html: bool = False) -> str:
        """Decode bytes in the message's code page, or the encoding that fits them."""
        pages = (c.PID_INTERNET_CODEPAGE, c.PID_MESSAGE_CODEPAGE)
        codepage = next((page for pid in pages if (page := self._message.number(pid))), 0)
        declared = charset_of(codepage) if codepage else None
        try:
            return (decode_html if html else decode)(data.rstrip(b"\0"), declared=declared).text
        except UnicodeDecodeError:
            return data.decode("ascii", "replace")

    def number(self, pid: int) -> int:
        """Return an integer property; 0 if missing."""
        found = self._properties.get((pid, c.PTYP_INTEGER_32))
        return found.value if found is not None and isinstance(found.value, int) else 0

    def time(self, pid: int) -> str:
        """Return a time property as text; empty if missing or out of range."""
        try:
            found = self._properties.get((pid, c.PTYP_TIME))
            value = found.value if found is not None else None
        except OverflowError:
            return ""
        return f"{value:%Y-%m-%d %H:%M} UTC" if isinstance(value, datetime) else ""


def _document(message: _Item, name: str, options: LoadOptions) -> ParsedDocument:
    bodies = _bodies(message)
    letter = Letter(" ".join(message.text(c.PID_SUBJECT).split()), list(_headers(message)), bodies)
    attachments: list[Callable[[Members], None]] = [
        partial(_attach, _Item(part, _PART_HEAD, message)) for part in message.storage.iter_attachment_storages()
    ]
    rtf = b"" if bodies else message.binary(c.PID_RTF_COMPRESSED)
    if rtf:
        attachments.insert(0, lambda members: members.add("message.rtf", unpack_rtf(rtf)))
    return letter_document(letter, name, options, attachments)


def _headers(message: _Item) -> Iterator[tuple[str, str]]:
    address = message.text(c.PID_SENDER_SMTP_ADDRESS) or message.text(c.PID_SENDER_EMAIL_ADDRESS)
    recipients: dict[int, list[str]] = {1: [], 2: []}
    for storage in message.storage.iter_recipient_storages():
        recipient = _Item(storage, _PART_HEAD, message)
        person = _person(
            recipient.text(c.PID_DISPLAY_NAME),
            recipient.text(c.PID_SMTP_ADDRESS) or recipient.text(c.PID_EMAIL_ADDRESS),
        )
        recipients.get(recipient.number(c.PID_RECIPIENT_TYPE) & 0xF, []).append(person)
    for name, value in (
        ("From", _person(message.text(c.PID_SENDER_NAME), address)),
        ("To", "; ".join(recipients[1]) or message.text(c.PID_DISPLAY_TO)),
        ("Cc", "; ".join(recipients[2]) or message.text(c.PID_DISPLAY_CC)),
        ("Date", message.time(c.PID_CLIENT_SUBMIT_TIME) or message.time(c.PID_MESSAGE_DELIVERY_TIME)),
    ):
        if shown := " ".join(value.split()):
            yield name, shown


def _person(name: str, address: str) -> str:
    """Return a name with its mail address; addresses of other kinds are left out."""
    name, address = " ".join(name.split()), address.strip()
    return f"{name} <{address}>" if "@" in address and address not in name else name


def _bodies(message: _Item) -> list[ParsedDocument]:
    """Return the plain text of a message, or else its HTML rendered."""
    plain = parse_text(message.text(c.PID_BODY))
    if plain.blocks:
        return [plain]
    html = message.binary(c.PID_HTML)
    page = parse_html(message.decoded(html, html=True) if html else message.text(c.PID_BODY_HTML))
    return [page] if page.blocks else []


def _attach(attachment: _Item, members: Members) -> None:
    """Read an attachment, or an attached message."""
    name = next((name for pid in _NAMES if (name := attachment.text(pid)).strip()), "attachment")
    inner = next((part for part in attachment.storage.storages if part.name == _ATTACHED_MESSAGE), None)
    if inner is None:
        members.add(name, [attachment.binary(c.PID_ATTACH_DATA_BINARY)])
        return
    message = _Item(inner, _INNER_MESSAGE_HEAD)
    members.add_document(name, lambda options: _document(message, name, options))
