"""RTF prepared for pandoc: text in UTF-8, pictures removed.

RTF writes characters beyond ASCII as bytes in the code page of the current font. pandoc
reads these as Latin letters, so they are converted first.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from ingest.encoding import decode
from ingest.loaders.codepages import charset_of

__all__ = ["rtf_in_utf8"]

_TOKEN = re.compile(
    rb"\\'(?P<hex>[0-9a-fA-F]{2})|\\(?P<word>[a-zA-Z]+)(?P<number>-?\d+)?[ ]?"
    rb"|(?P<symbol>\\[^a-zA-Z])|(?P<brace>[{}])|(?P<text>[^\\{}\r\n]+)|(?P<rest>[\r\n]+|\\)",
    re.DOTALL,
)
# By `\fcharset` number.
_CHARSETS = {128: "shift_jis", 129: "cp949", 134: "gb18030", 136: "big5", 161: "cp1253", 162: "cp1254", 163: "cp1258"}
_CHARSETS |= {177: "cp1255", 178: "cp1256", 186: "cp1257", 204: "cp1251", 222: "cp874", 238: "cp1250"}
_OF_TWO_BYTES = ("gb18030", "big5", "shift_jis", "cp949")
# Pictures, objects and settings of Word; none of it is text.
_DROPPED = {b"pict", b"objdata", b"themedata", b"colorschememapping", b"datastore", b"latentstyles", b"nonshppict"}
_SAMPLE_BYTES = 1 << 16


@dataclass
class _Group:
    """State within a pair of braces."""

    font: int = -1
    skipped: int = 1  # how many fallback characters follow a \u


@dataclass
class _Decoder:
    """Reads the tokens once and groups text by its declared encoding."""

    page: str = "cp1252"
    default_font: int = -1
    pieces: list[bytearray | tuple[str, bytes]] = field(default_factory=list)
    _stack: list[_Group] = field(default_factory=lambda: [_Group()])
    _fonts: dict[int, str] = field(default_factory=dict)
    _pending: bytearray = field(default_factory=bytearray)
    _open: bool = False
    _ignorable: bool = False
    _to_skip: int = 0
    _dropping: int = 0

    def read(self, data: bytes) -> None:
        position = 0
        while match := _TOKEN.match(data, position):
            position = match.end()
            if match["word"] == b"bin":
                position += max(0, int(match["number"] or 0))
            elif match["brace"]:
                self._brace(match["brace"])
            elif not self._dropping:
                self._token(match)
        self._flush()

    def _brace(self, brace: bytes) -> None:
        self._flush()
        self._to_skip = 0
        if brace == b"{":
            group = self._stack[-1]
            self._stack.append(_Group(group.font, group.skipped))
        elif len(self._stack) > 1:
            self._stack.pop()
        if self._dropping and len(self._stack) >= self._dropping:
            return
        self._dropping = 0
        self._literal(brace)

    def _token(self, match: re.Match[bytes]) -> None:
        if match["hex"]:
            self._byte(int(match["hex"], 16))
        elif match["word"]:
            self._word(match["word"], match["number"], match[0])
        elif match["text"]:
            self._text(match["text"])
        elif match["symbol"] and self._to_skip:
            self._to_skip -= 1
        elif match["symbol"] == rb"\*":
            self._ignorable = True
        else:
            self._literal(match[0])

    def _byte(self, value: int) -> None:
        if self._to_skip:
            self._to_skip -= 1
        elif value < 0x80 and not self._open:
            self._literal(b"\\'%02x" % value)
        else:
            self._push(value)

    def _text(self, text: bytes) -> None:
        skipped = min(self._to_skip, len(text))
        self._to_skip -= skipped
        text = text[skipped:]
        if self._open and text:  # the second byte of a character, written without an escape
            self._push(text[0])
            text = text[1:]
        for piece in re.split(rb"([\x80-\xff]+)", text):
            if piece[:1] > b"\x7f":
                for byte in piece:
                    self._push(byte)
            elif piece:
                self._literal(piece)

    def _word(self, word: bytes, digits: bytes | None, token: bytes) -> None:
        number = int(digits[:9]) if digits else 0
        group = self._stack[-1]
        if word == b"u":
            self._flush()
            unit = number & 0xFFFF
            self.pieces.append(("utf-16-le", unit.to_bytes(2, "little")))
            self._to_skip = group.skipped
            return
        if word == b"uc":
            group.skipped = max(0, number)
            return
        if word == b"footnote":  # marked as ignorable, which pandoc takes literally
            self._ignorable = False
        self._literal(token)
        if word == b"ansicpg":
            self.page = charset_of(number)
        elif word == b"deff":
            self.default_font = number
        elif word == b"f":
            group.font = number
        elif word == b"plain":
            group.font = self.default_font
        elif word == b"fcharset" and number in _CHARSETS:
            self._fonts[group.font] = _CHARSETS[number]
        elif word in _DROPPED:
            self._dropping = len(self._stack)

    def _literal(self, token: bytes) -> None:
        self._flush()
        if self._ignorable:
            token, self._ignorable = rb"\*" + token, False
        if self.pieces and isinstance(self.pieces[-1], bytearray):
            self.pieces[-1] += token
        else:
            self.pieces.append(bytearray(token))

    def _push(self, byte: int) -> None:
        """Add a byte of text, and note whether it is the first of two."""
        encoding = self._encoding()
        first = byte > 0x80 and not (encoding == "shift_jis" and 0xA0 <= byte <= 0xDF)
        self._open = first and not self._open and encoding in _OF_TWO_BYTES
        self._pending.append(byte)

    def _encoding(self) -> str:
        return self._fonts.get(self._stack[-1].font, self.page)

    def _flush(self) -> None:
        if self._pending:
            self.pieces.append((self._encoding(), bytes(self._pending)))
            self._pending.clear()
            self._open = False


def rtf_in_utf8(data: bytes) -> bytes:
    """Return an RTF file with its text in UTF-8, without pictures and objects."""
    decoder = _Decoder()
    decoder.read(data)
    return b"".join(_encoded(decoder.pieces))


def _encoded(pieces: list[bytearray | tuple[str, bytes]]) -> Iterator[bytes]:
    """Yield the pieces in UTF-8; all text with the same declared encoding is decoded the same way."""
    found: dict[str, str] = {"utf-16-le": "utf-16-le"}
    for declared in {piece[0] for piece in pieces if isinstance(piece, tuple)} - {"utf-16-le"}:
        sample = b"\n".join(piece[1] for piece in pieces if isinstance(piece, tuple) and piece[0] == declared)
        try:
            found[declared] = decode(sample[:_SAMPLE_BYTES], declared=declared).encoding
        except UnicodeDecodeError:
            found[declared] = "cp1252"
    units = b""
    for piece in pieces:
        if isinstance(piece, tuple) and piece[0] == "utf-16-le":  # characters beyond 16 bits take two units
            units += piece[1]
            continue
        if units:
            yield _escaped(units.decode("utf-16-le", "replace"))
            units = b""
        yield _escaped(piece[1].decode(found[piece[0]], "replace")) if isinstance(piece, tuple) else bytes(piece)
    yield _escaped(units.decode("utf-16-le", "replace"))


def _escaped(text: str) -> bytes:
    return re.sub(r"([\\{}])", r"\\\1", text).encode()
