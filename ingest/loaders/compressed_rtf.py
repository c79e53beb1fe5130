"""RTF as Outlook compresses it, by the scheme of [MS-OXRTFCP]."""

from __future__ import annotations

import struct
from collections.abc import Iterator

__all__ = ["unpack_rtf"]

_NOT_COMPRESSED = 0x414C454D
_WINDOW_BYTES = 4096
_PIECE_BYTES = 1 << 16
# The initial dictionary.
_START = (
    rb"{\rtf1\ansi\mac\deff0\deftab720{\fonttbl;}{\f0\fnil \froman \fswiss \fmodern \fscript \fdecor MS Sans "
    rb"SerifSymbolArialTimes New RomanCourier{\colortbl\red0\green0\blue0" + b"\r\n" + rb"\par "
    rb"\pard\plain\f0\fs20\b\i\u\tab\tx"
)


def unpack_rtf(data: bytes) -> Iterator[bytes]:
    """Yield the RTF in pieces.

    Raises:
        struct.error: the data is shorter than its header.
    """
    _, size, kind = struct.unpack_from("<III", data)
    if kind == _NOT_COMPRESSED:
        yield data[16 : 16 + size]
        return
    window = bytearray(_START.ljust(_WINDOW_BYTES, b" "))
    at, left, out = len(_START), size, bytearray()
    for literal, offset, length in _tokens(data):
        if length and offset == at:
            break
        for step in range(length or 1):
            byte = literal if not length else window[(offset + step) % _WINDOW_BYTES]
            window[at] = byte
            at = (at + 1) % _WINDOW_BYTES
            out.append(byte)
        left -= length or 1
        if left <= 0:
            break
        if len(out) >= _PIECE_BYTES:
            yield bytes(out)
            out.clear()
    yield bytes(out)


def _tokens(data: bytes) -> Iterator[tuple[int, int, int]]:
    """Yield literals and references: (byte, 0, 0), or (0, offset in the window, length)."""
    position = 16
    while position < len(data):
        control = data[position]
        position += 1
        for bit in range(8):
            if position >= len(data):
                return
            if control >> bit & 1:
                token = int.from_bytes(data[position : position + 2], "big")
                position += 2
                yield 0, token >> 4, (token & 15) + 2
            else:
                yield data[position], 0, 0
                position += 1
