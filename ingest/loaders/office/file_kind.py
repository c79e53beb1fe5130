"""The real format of an Office file, told by its content rather than its suffix."""

from __future__ import annotations

from enum import Enum, auto
from pathlib import Path

from ingest.encoding import decode

__all__ = ["Kind", "kind_of"]


class Kind(Enum):
    """File formats that occur under the suffixes of Office."""

    ZIP = auto()
    ENCRYPTED = auto()
    WORD = auto()
    EXCEL = auto()
    POWERPOINT = auto()
    RTF = auto()
    HTML = auto()
    MHTML = auto()
    XML = auto()
    TEXT = auto()
    OTHER = auto()


_STREAMS = (
    ("EncryptedPackage", Kind.ENCRYPTED),
    ("WordDocument", Kind.WORD),
    ("Workbook", Kind.EXCEL),
    ("Book", Kind.EXCEL),
    ("PowerPoint Document", Kind.POWERPOINT),
)
_COMPOUND_FILE = b"\xd0\xcf\x11\xe0"


def kind_of(path: Path) -> Kind:
    """Return a file's format by its first bytes, or by the streams of a compound file."""
    with path.open("rb") as stream:
        head = stream.read(4096)
    if head.startswith(_COMPOUND_FILE):
        return _compound_kind(path)
    if head.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return Kind.ZIP
    start = head.decode("utf-16" if head[:2] in (b"\xff\xfe", b"\xfe\xff") else "latin-1", errors="replace")
    start = start.removeprefix("ï»¿").lstrip("\ufeff \t\r\n").lower()
    if start.startswith("{\\rtf"):
        return Kind.RTF
    if "<html" in start[:2000] or start.startswith(("<!doctype html", "<table", "<meta", "<head", "<body", "<div")):
        return Kind.MHTML if start.startswith(("mime-version:", "from:", "date:", "message-id:")) else Kind.HTML
    if start.startswith(("mime-version:", "from: <saved by")):
        return Kind.MHTML
    if start.startswith("<?xml"):
        return Kind.XML
    return Kind.TEXT if _is_text(path) else Kind.OTHER


def _compound_kind(path: Path) -> Kind:
    import olefile

    try:
        with olefile.OleFileIO(str(path)) as compound:
            return next((kind for name, kind in _STREAMS if compound.exists(name)), Kind.OTHER)
    except Exception:  # noqa: BLE001 - a broken directory raises all kinds of errors
        data = path.read_bytes()
        return next((kind for name, kind in _STREAMS if name.encode("utf-16-le") in data), Kind.OTHER)


def _is_text(path: Path) -> bool:
    data = path.read_bytes()
    try:
        text = decode(data).text
    except UnicodeDecodeError:
        return False
    sample = text[:4096]
    controls = sum(character < " " and character not in "\t\n\f\x1a" for character in sample)
    return bool(sample.strip()) and controls == 0 and data.count(b"\0") <= len(data) / 2
