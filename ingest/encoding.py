"""Decodes files: Unicode by its byte order mark or its form, other encodings by how likely a text they make."""

from __future__ import annotations

import codecs
import re
from dataclasses import dataclass

from ingest.broken_bytes import decode_leniently, decodes, most_broken
from ingest.encoding_ranking import rank_encodings

__all__ = ["Decoded", "decode", "encodable"]

_MARKS = (  # UTF-32 first: its little-endian mark begins with UTF-16's
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
# Encodings that files declare, and their supersets, which are often meant.
_SUPERSETS = {
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "iso8859-1": "cp1252",
    "latin-1": "cp1252",
    "iso8859-8": "cp1255",
    "iso8859-9": "cp1254",
    "iso8859-11": "cp874",
    "tis-620": "cp874",
    "ascii": "cp1252",
    "euc_jp": "euc-jp",
    "euc_kr": "euc-kr",
}
# Python codecs that are no character sets, and UTF-7, which nobody writes any more and which alters plain words.
_NO_CHARSET = ("unicode_escape", "raw_unicode_escape", "punycode", "idna", "undefined", "unicode-escape", "utf-7")
_SEVEN_BITS = ("iso2022_jp", "iso2022_kr", "hz")
_HIGH = re.compile(rb"[\x80-\xff]")
_UNPAIRED = re.compile("[\ud800-\udfff]")
_PADDING_BYTES = 4


@dataclass(frozen=True, slots=True)
class Decoded:
    r"""Bytes as text.

    Attributes:
        text: the text, with "\n" line ends, without NUL characters, with U+FFFD for unreadable bytes.
        encoding: the encoding it was read in.
        unreadable_bytes: how many bytes are not valid in that encoding.
    """

    text: str
    encoding: str
    unreadable_bytes: int = 0

    @property
    def notes(self) -> tuple[str, ...]:
        """What a user should know: an encoding other than UTF-8, unreadable bytes."""
        if self.unreadable_bytes:
            plural = "s" if self.unreadable_bytes > 1 else ""
            return (f"read as {self.encoding}, {self.unreadable_bytes} unreadable byte{plural}",)
        return () if self.encoding == "utf-8" else (f"read as {self.encoding}",)


def decode(data: bytes, *, declared: str | None = None) -> Decoded:
    """Return the text of `data`, and the encoding it was read in.

    A character that the end of the file cuts off is left out. A few broken bytes are allowed:
    each becomes U+FFFD, and is counted.

    Args:
        data: the whole file.
        declared: the encoding that the file itself names, such as the charset of an HTML page. It is
            tried after Unicode, and believed where it decodes, unless another makes much more sense.

    Raises:
        UnicodeDecodeError: no known encoding fits.
    """
    declared = _known(declared)
    data = _without_padding(data)
    for encoding in _candidates(data, declared):
        text, broken = decode_leniently(data, encoding)
        if broken <= most_broken(data):
            text = text.replace("\0", "").replace("\r\n", "\n").replace("\r", "\n")
            return Decoded(text, encoding.removesuffix("-sig"), broken)
    raise UnicodeDecodeError("text", data[:1], 0, 1, "no known encoding fits")


def encodable(text: str) -> str:
    """Return the text with U+FFFD for each unpaired surrogate, which neither the store nor a page can take."""
    return _UNPAIRED.sub("\ufffd", text)


def _without_padding(data: bytes) -> bytes:
    """Return the data without zeros that pad its end; a UTF-16 character there keeps its zero byte."""
    end = len(data.rstrip(b"\0"))
    if len(data) - end < _PADDING_BYTES or any(data.startswith(mark) for mark, _ in _MARKS):
        return data
    return data[: end + end % 2]


def _known(declared: str | None) -> str | None:
    """Return the name of a declared encoding or of its superset; None if it is not a character set."""
    try:
        name = codecs.lookup(declared or "undefined").name
        b"".decode(name)
    except (LookupError, UnicodeError, ValueError):
        return None
    return None if name in _NO_CHARSET else _SUPERSETS.get(name, name)


def _candidates(data: bytes, declared: str | None) -> list[str]:
    """Return the encodings to try, the likeliest first."""
    for mark, encoding in _MARKS:
        if data.startswith(mark):
            return [encoding]
    if not _HIGH.search(data):
        wide = _wide_latin(data)
        if wide:
            return [wide]
        if declared in _SEVEN_BITS:
            return [declared, "utf-8"]
        return ["iso2022_jp", "utf-8"] if b"\x1b$B" in data else ["utf-8"]
    if _is_utf8(data):
        return [_wide_latin(data) or "utf-8"]
    return rank_encodings(data, declared)


def _wide_latin(data: bytes) -> str | None:
    """Return the kind of UTF-16 if many bytes are zero, as in Latin text, which is valid UTF-8 as well."""
    sample = data[:4096]
    even, odd = sample[0::2].count(0), sample[1::2].count(0)
    if len(data) % 2 or max(even, odd) <= len(sample) / 4:
        return None
    encoding = "utf-16-be" if even > odd else "utf-16-le"
    return encoding if decodes(data, encoding) else None


def _is_utf8(data: bytes) -> bool:
    """Return whether it is UTF-8, perhaps with a few broken bytes among many characters beyond ASCII."""
    if decodes(data, "utf-8"):
        return True
    text, broken = decode_leniently(data, "utf-8")
    return broken <= most_broken(data) and sum(character > "\x7f" for character in text) >= 10 * broken
