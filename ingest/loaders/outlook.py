"""Messages of Outlook (.msg): the properties that a reader sees, out of the streams of a compound file.

The streams are read here and not by a library, so that texts are decoded by what they hold
and messages in messages are found. Stream names and property numbers are those of [MS-OXMSG].
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import olefile

from ingest.encoding import decode
from ingest.errors import IngestError, NoTextError, UnreadableError
from ingest.loaders.containers import Members
from ingest.loaders.html import decode_html, parse_html
from ingest.loaders.mail import Letter, begin_letter
from ingest.loaders.plain_text import parse_text
from ingest.options import LoadOptions
from ingest.parsed import ParsedDocument, TextBuilder

__all__ = ["read_msg"]

_SUBJECT, _SENDER, _SENDER_ADDRESS, _SENDER_SMTP = 0x0037, 0x0C1A, 0x0C1F, 0x5D01
_TO, _CC, _SENT, _DELIVERED = 0x0E04, 0x0E03, 0x0039, 0x0E06
_NAME, _ADDRESS, _SMTP, _RECIPIENT_KIND = 0x3001, 0x3003, 0x39FE, 0x0C15
_BODY, _HTML, _RTF = 0x1000, 0x1013, 0x1009
_LONG_NAME, _SHORT_NAME, _SHOWN_NAME, _DATA = 0x3707, 0x3704, 0x3001, 0x3701
_CODEPAGES = (0x3FDE, 0x3FFD)
_TIME, _WIDE, _NARROW, _BINARY, _OBJECT = 0x0040, 0x001F, 0x001E, 0x0102, 0x000D
# Python has no codec of these names.
_CHARSETS = {65001: "utf-8", 936: "gb18030", 54936: "gb18030", 20127: "ascii", 28591: "cp1252", 52936: "hz"}
# What every compressed text refers back to, from [MS-OXRTFCP].
_RTF_START = (
    rb"{\rtf1\ansi\mac\deff0\deftab720{\fonttbl;}{\f0\fnil \froman \fswiss \fmodern \fscript \fdecor MS Sans "
    rb"SerifSymbolArialTimes New RomanCourier{\colortbl\red0\green0\blue0" + b"\r\n" + rb"\par "
    rb"\pard\plain\f0\fs20\b\i\u\tab\tx"
)


def read_msg(path: Path, options: LoadOptions) -> ParsedDocument:
    """Return a message of Outlook as a document.

    Raises:
        TooLargeError: it holds too much.
        UnreadableError: it is not a message of Outlook, or broken.
    """
    if not olefile.isOleFile(path):
        raise UnreadableError(f"{path.name}: not a message of Outlook; save it again from Outlook")
    try:
        with olefile.OleFileIO(path) as ole:
            storage = _Storage(ole, ())
            if not storage.streams:
                raise UnreadableError(f"{path.name}: it holds no message; save it again from Outlook")
            return _document(storage, path.name, options)
    except (OSError, struct.error, IndexError, RecursionError) as error:
        raise UnreadableError(f"{path.name}: broken ({type(error).__name__}); save it again from Outlook") from error


class _Storage:
    """The properties of a message or an attachment."""

    def __init__(self, ole: olefile.OleFileIO, prefix: tuple[str, ...]) -> None:
        self.ole = ole
        self.prefix = prefix
        inside = [entry[len(prefix) :] for entry in ole.listdir() if tuple(entry[: len(prefix)]) == prefix]
        self.streams = {entry[0] for entry in inside if len(entry) == 1 and entry[0].startswith("__substg1.0_")}
        self.storages = sorted({entry[0] for entry in inside if len(entry) > 1})

    def read(self, name: str) -> bytes:
        data: bytes = self.ole.openstream([*self.prefix, name]).read()
        return data

    def binary(self, number: int) -> bytes:
        name = f"__substg1.0_{number:04X}{_BINARY:04X}"
        return self.read(name) if name in self.streams else b""

    def text(self, number: int) -> str:
        """Return a property that is text, whichever way it is written."""
        wide = f"__substg1.0_{number:04X}{_WIDE:04X}"
        if wide in self.streams:
            text = self.read(wide).decode("utf-16-le", "replace")
        else:
            narrow = f"__substg1.0_{number:04X}{_NARROW:04X}"
            text = self.decoded(self.read(narrow)) if narrow in self.streams else ""
        return text.replace("\0", "").replace("\r\n", "\n").replace("\r", "\n")

    def decoded(self, data: bytes, *, html: bool = False) -> str:
        for number in _CODEPAGES:
            if value := self.fixed(number):
                codepage = int.from_bytes(value[:4], "little")
                declared = _CHARSETS.get(codepage, f"cp{codepage}")
                break
        else:
            declared = None
        try:
            return (decode_html if html else decode)(data.rstrip(b"\0"), declared=declared).text
        except UnicodeDecodeError:
            return data.decode("ascii", "replace")

    def time(self, number: int) -> str:
        value = self.fixed(number)
        if not value:
            return ""
        try:
            since_1601 = timedelta(microseconds=int.from_bytes(value, "little") // 10)
            return f"{datetime(1601, 1, 1, tzinfo=UTC) + since_1601:%Y-%m-%d %H:%M} UTC"
        except OverflowError:
            return ""

    def fixed(self, number: int) -> bytes:
        """Return a property of fixed size, out of the table of them."""
        name = "__properties_version1.0"
        if not self.ole.exists([*self.prefix, name]):
            return b""
        table = self.read(name)
        # Entries have 16 bytes each; the head has 8, 24 or 32.
        for start in range(len(table) % 16, len(table) - 15, 16):
            if struct.unpack_from("<H", table, start + 2)[0] == number:
                return table[start + 8 : start + 16]
        return b""


def _document(storage: _Storage, name: str, options: LoadOptions) -> ParsedDocument:
    subject = " ".join(storage.text(_SUBJECT).split())
    builder = TextBuilder()
    bodies = _bodies(storage)
    begin_letter(builder, Letter(subject, list(_headers(storage)), bodies))
    members = Members(name, options, builder, "attachment", level=2 if subject else 1)
    rtf = b"" if bodies else storage.binary(_RTF)
    attached = [child for child in storage.storages if child.startswith("__attach_")]
    with members.opened():
        members.announce(len(attached))
        if rtf:
            members.add("message.rtf", _unpacked_rtf(rtf))
        for child in attached:
            _attach(_Storage(storage.ole, (*storage.prefix, child)), members)
    if not builder:
        members.check_read()
    return builder.build(
        title=subject or None, notes=members.notes(), incomplete=members.incomplete, lacks_ocr=members.lacks_ocr
    )


def _headers(storage: _Storage) -> Iterator[tuple[str, str]]:
    address = storage.text(_SENDER_SMTP) or storage.text(_SENDER_ADDRESS)
    recipients: dict[int, list[str]] = {1: [], 2: []}
    for child in storage.storages:
        if child.startswith("__recip_"):
            one = _Storage(storage.ole, (*storage.prefix, child))
            person = _person(one.text(_NAME), one.text(_SMTP) or one.text(_ADDRESS))
            recipients.get(int.from_bytes(one.fixed(_RECIPIENT_KIND), "little") & 0xF, []).append(person)
    for name, value in (
        ("From", _person(storage.text(_SENDER), address)),
        ("To", "; ".join(recipients[1]) or storage.text(_TO)),
        ("Cc", "; ".join(recipients[2]) or storage.text(_CC)),
        ("Date", storage.time(_SENT) or storage.time(_DELIVERED)),
    ):
        if shown := " ".join(value.split()):
            yield name, shown


def _person(name: str, address: str) -> str:
    """Return a name with its address, where that is one that people use."""
    name, address = " ".join(name.split()), address.strip()
    return f"{name} <{address}>" if "@" in address and address not in name else name


def _bodies(storage: _Storage) -> list[ParsedDocument]:
    """Return the text of a message, or what its HTML shows."""
    plain = parse_text(storage.text(_BODY))
    if plain.blocks:
        return [plain]
    html = storage.binary(_HTML)
    page = parse_html(storage.decoded(html, html=True) if html else storage.text(_HTML))
    return [page] if page.blocks else []


def _attach(attachment: _Storage, members: Members) -> None:
    """Read an attachment, or a message that is one."""
    names = (attachment.text(number) for number in (_LONG_NAME, _SHORT_NAME, _SHOWN_NAME))
    name = next((name for name in names if name.strip()), "attachment")
    inner = f"__substg1.0_{_DATA:04X}{_OBJECT:04X}"
    if inner not in attachment.storages:
        members.add(name, [attachment.binary(_DATA)])
        return
    message = _Storage(attachment.ole, (*attachment.prefix, inner))
    try:
        document = _document(message, name, members.inside(name))
        if not document.blocks:
            raise NoTextError(f"{name}: it holds no text")
    except IngestError as error:
        members.fail(name, error, name)
        return
    members.include(name, document)


def _unpacked_rtf(data: bytes) -> Iterator[bytes]:
    """Yield the RTF that a message keeps compressed, by the scheme of [MS-OXRTFCP]."""
    _, size, kind = struct.unpack_from("<III", data)
    if kind == 0x414C454D:  # "MELA": not compressed
        yield data[16 : 16 + size]
        return
    window = bytearray(_RTF_START.ljust(4096, b" "))
    at, out, position = len(_RTF_START), bytearray(), 16
    while position < len(data) and len(out) < size:
        control = data[position]
        position += 1
        for bit in range(8):
            if position >= len(data):
                break
            if not control >> bit & 1:
                piece = data[position : position + 1]
                position += 1
            else:
                token = int.from_bytes(data[position : position + 2], "big")
                position += 2
                offset, length = token >> 4, (token & 15) + 2
                if offset == at:
                    yield bytes(out)
                    return
                piece = b""
            for step in range(len(piece) or length):
                byte = piece[0] if piece else window[(offset + step) % 4096]
                window[at] = byte
                at = (at + 1) % 4096
                out.append(byte)
    yield bytes(out)
