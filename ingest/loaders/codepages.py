"""Python's names for Windows code page numbers."""

from __future__ import annotations

__all__ = ["charset_of"]

# Supersets where files commonly use more than they declare: GB18030 for GB 2312, Windows-1252 for Latin-1.
_CHARSETS = {
    932: "shift_jis",
    936: "gb18030",
    950: "big5",
    1361: "johab",
    10000: "mac-roman",
    20127: "ascii",
    20866: "koi8-r",
    21866: "koi8-u",
    20932: "euc-jp",
    51932: "euc-jp",
    51949: "euc-kr",
    28591: "cp1252",
    28605: "iso8859-15",
    **{28590 + part: f"iso8859-{part}" for part in (*range(2, 10), 13)},
    50220: "iso2022_jp",
    50221: "iso2022_jp",
    50222: "iso2022_jp",
    50225: "iso2022_kr",
    20936: "gb18030",
    51936: "gb18030",
    52936: "hz",
    54936: "gb18030",
    65001: "utf-8",
    1200: "utf-16-le",
}


def charset_of(codepage: int) -> str:
    """Return Python's name for a code page; for an unknown number, a name that Python may not know."""
    return _CHARSETS.get(codepage, f"cp{codepage}")
