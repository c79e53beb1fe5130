"""Mail (.eml) by the standard library's parser; attachments by their own loaders.

Headers and bodies are decoded here: the encodings that messages declare are often wrong.
"""

from __future__ import annotations

import email
import email.errors
import email.header
import mimetypes
from dataclasses import dataclass, field
from email.message import Message
from functools import partial
from pathlib import Path

from ingest.encoding import decode
from ingest.errors import NoTextError, PasswordRequiredError, UnreadableError
from ingest.loaders.containers import Members
from ingest.loaders.html import decode_html, parse_html
from ingest.loaders.letter import Letter, letter_document
from ingest.loaders.plain_text import parse_text
from ingest.options import LoadOptions
from ingest.parsed import ParsedDocument

__all__ = ["load_eml"]

_SHOWN = ("From", "To", "Cc", "Date")
_KNOWN = (*_SHOWN, "Subject", "Message-ID", "Received", "MIME-Version", "Content-Type", "Return-Path")
_ENCRYPTED = ("application/pkcs7-mime", "application/x-pkcs7-mime", "multipart/encrypted")
# Parts meant for mail programs, not for readers.
_FOR_PROGRAMS = (
    "application/pkcs7-signature",
    "application/x-pkcs7-signature",
    "application/pgp-signature",
    "message/delivery-status",
    "message/disposition-notification",
    "text/rfc822-headers",
)
_WIDE_MARKS = (b"\xff\xfe", b"\xfe\xff")


@dataclass
class _Parts:
    """The parts of a message: text to read, and attachments."""

    bodies: list[ParsedDocument] = field(default_factory=list)
    attachments: list[Message] = field(default_factory=list)


def load_eml(path: Path, options: LoadOptions) -> ParsedDocument:
    """Load a message and its attachments.

    The subject is the top heading. Lines are those of the decoded body, and of each
    attachment by itself; the headers count as line 1 of the body.

    Raises:
        PasswordRequiredError: the message is encrypted.
        TooLargeError: it holds too much.
        UnreadableError: it is not a message, or broken.
    """
    data = path.read_bytes()
    if data.startswith(_WIDE_MARKS) or b"\0" in data[:200]:  # saved as text in UTF-16
        try:
            data = decode(data).text.encode("utf-8", "replace")
        except UnicodeDecodeError as error:
            raise UnreadableError(f"{path.name}: not a mail message; save it again from the mail program") from error
    if not data.strip():
        raise NoTextError(f"{path.name}: it is empty")
    try:
        message = email.message_from_bytes(data.removeprefix(b"\xef\xbb\xbf").lstrip())
        if not any(name in message for name in _KNOWN):
            raise UnreadableError(f"{path.name}: it has no mail headers; save it again from the mail program")
        return _document(message, path.name, options)
    except RecursionError as error:
        raise UnreadableError(f"{path.name}: its parts are nested too deeply; save it again") from error


def _document(message: Message, name: str, options: LoadOptions) -> ParsedDocument:
    """Convert a message to a document.

    Raises:
        PasswordRequiredError: it is encrypted.
        TooLargeError: it holds too much.
    """
    parts = _Parts()
    _sort(message, parts, name)
    headers = [(header, value) for header in _SHOWN if (value := _header(message, header))]
    letter = Letter(_header(message, "Subject"), headers, parts.bodies)
    return letter_document(letter, name, options, [partial(_attach, part) for part in parts.attachments])


def _sort(part: Message, parts: _Parts, name: str) -> None:
    """Sort the parts of a message into text to read and attachments."""
    _decode_headers(part)
    kind = part.get_content_type()
    if kind in _ENCRYPTED:
        raise PasswordRequiredError(f"{name}: it is encrypted; decrypt it in the mail program and save it again")
    if kind in _FOR_PROGRAMS:
        return
    if kind == "multipart/alternative" and part.is_multipart():
        _sort_alternatives(part, parts, name)
    elif part.get_content_maintype() == "multipart" and part.is_multipart():
        for inner in _inner(part):
            _sort(inner, parts, name)
    elif part.is_multipart() or not _is_body(part, kind):
        parts.attachments.append(part)
    else:
        parts.bodies.append(_body(part, kind))


def _sort_alternatives(part: Message, parts: _Parts, name: str) -> None:
    """Choose the plain text among alternatives, or else the last one, the richest."""
    forms: list[_Parts] = []
    for inner in _inner(part):
        form = _Parts()
        _sort(inner, form, name)
        parts.attachments += form.attachments
        if any(body.blocks for body in form.bodies):
            forms.append(form)
            if inner.get_content_type() == "text/plain":
                forms = [form]
                break
    if forms:
        parts.bodies += forms[-1].bodies


def _inner(part: Message) -> list[Message]:
    payload = part.get_payload()
    return [inner for inner in payload if isinstance(inner, Message)] if isinstance(payload, list) else []


def _is_body(part: Message, kind: str) -> bool:
    if part.get_content_disposition() == "attachment" or part.get_filename():
        return False
    return kind.startswith(("text/", "multipart/")) and kind not in ("text/calendar", "text/rtf", "text/x-vcard")


def _body(part: Message, kind: str) -> ParsedDocument:
    data = _payload(part)
    charset = part.get_content_charset()
    try:
        decoded = decode_html(data, declared=charset) if kind == "text/html" else decode(data, declared=charset)
    except UnicodeDecodeError:
        return parse_text(data.decode("ascii", "replace"), ["the encoding of its text cannot be told"])
    # Most mail declares some encoding; only lost bytes are worth a note.
    notes = decoded.notes if decoded.unreadable_bytes else ()
    return parse_html(decoded.text, notes=notes) if kind == "text/html" else parse_text(decoded.text, notes)


def _payload(part: Message) -> bytes:
    data = part.get_payload(decode=True)
    return data if isinstance(data, bytes) else b""


def _attach(part: Message, members: Members) -> None:
    """Read an attachment, or an attached message."""
    given = _words(part.get_filename() or "")
    if part.get_content_type() != "message/rfc822" or not part.is_multipart():
        suffix = mimetypes.guess_extension(part.get_content_type()) or ""
        members.add(given or f"attachment{suffix}", [_payload(part)])
        return
    message = part.get_payload(0)
    assert isinstance(message, Message)
    name = given or _header(message, "Subject") or "message.eml"
    members.add_document(name, lambda options: _document(message, name, options))


def _decode_headers(part: Message) -> None:
    """Decode headers that were written as raw bytes in some encoding."""
    for name, value in list(part.raw_items()):
        raw = str(value).encode("utf-8", "surrogateescape")
        if any(byte > 0x7F for byte in raw):
            try:
                text = decode(raw).text
            except UnicodeDecodeError:
                text = raw.decode("ascii", "replace")
            part.replace_header(name, text)


def _header(message: Message, name: str) -> str:
    """Return a header's text on a single line; empty if missing."""
    _decode_headers(message)
    return _words(str(message.get(name) or ""))


def _words(value: str) -> str:
    """Return a header's value with its encoded words decoded, white space folded."""
    try:
        pieces = email.header.decode_header(value.replace("?==?", "?= =?"))
    except (email.errors.HeaderParseError, ValueError):
        return " ".join(value.split())
    # Next to encoded words, other characters come as escapes; in plain ASCII a backslash is just a backslash.
    plain = "ascii" if value.isascii() else "raw-unicode-escape"
    texts: list[str] = []
    for piece, charset in pieces:
        if isinstance(piece, str):
            texts.append(piece)
            continue
        try:
            texts.append(decode(piece, declared=charset).text if charset else piece.decode(plain))
        except UnicodeDecodeError:
            texts.append(piece.decode("ascii", "replace"))
    return " ".join("".join(texts).split())
