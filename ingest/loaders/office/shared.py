"""What the loaders of Office formats share: telling files apart, decrypting, tables as Markdown."""

from __future__ import annotations

import io
import struct
from contextlib import suppress
from enum import Enum, auto
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from ingest.encoding import decode
from ingest.errors import PasswordRequiredError
from ingest.loaders.office.cell_format import cell_text
from ingest.options import LoadOptions

if TYPE_CHECKING:
    from lxml.etree import _Element

__all__ = ["Kind", "chart_rows", "decrypted", "drawn_texts", "kind_of"]

# Excel's own, for workbooks that are only protected against changes.
_WITHOUT_ASKING = "VelvetSweatshop"


class Kind(Enum):
    """What a file is by its content, whatever its suffix says."""

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
    """Return what a file is by its first bytes, or by the streams of a compound file."""
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
    except Exception:  # noqa: BLE001 - it raises anything at all over a broken directory
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


def decrypted(path: Path, options: LoadOptions) -> BinaryIO | None:
    """Return what an encrypted document holds, opened with a password of `options`; `None` for a plain one.

    Raises:
        PasswordRequiredError: no password fits, or its encryption is unknown.
    """
    import msoffcrypto
    from msoffcrypto.exceptions import InvalidKeyError

    with path.open("rb") as stream:
        try:
            document = msoffcrypto.OfficeFile(stream)
            if not document.is_encrypted():
                return None
        except Exception as error:
            if kind_of(path) is not Kind.ENCRYPTED:
                return None  # broken perhaps, which what reads it will find
            raise PasswordRequiredError(
                f"{path.name}: it is encrypted; in a way that is not known here, so save a copy without the password"
            ) from error
        for password in (*options.passwords, _WITHOUT_ASKING):
            plain = io.BytesIO()
            # Whatever goes wrong with a wrong key, another may fit.
            with suppress(InvalidKeyError, AssertionError, ValueError, struct.error):
                document.load_key(password=password, verify_password=True)
                document.decrypt(plain)
                plain.seek(0)
                return plain
    tried = "it is encrypted, and no password given opens it" if options.passwords else "it is encrypted"
    raise PasswordRequiredError(f"{path.name}: {tried}; give its password with --password, or save a copy without")


def drawn_texts(drawing: _Element) -> list[str]:
    """Return the paragraphs of DrawingML in an element, in order: of shapes, or of a diagram's data."""
    paragraphs = ("".join(text.text or "" for text in paragraph.iter("{*}t")) for paragraph in drawing.iter("{*}p"))
    return [folded for paragraph in paragraphs if (folded := " ".join(paragraph.split()))]


def chart_rows(chart: _Element) -> list[list[str]]:
    """Return what a chart shows as a table: a row for each category, a column for each series."""
    series = list(chart.iter("{*}ser"))
    names = [_points(one, "tx") for one in series]
    categories = next((found for one in series if (found := _points(one, "cat") or _points(one, "xVal"))), {})
    values = [_points(one, "val") or _points(one, "yVal") for one in series]
    places = sorted({place for points in (categories, *values) for place in points})
    header = ["", *(" ".join(name.values()) for name in names)]
    return [header, *([categories.get(at, ""), *(points.get(at, "") for points in values)] for at in places)]


def _points(series: _Element, role: str) -> dict[int, str]:
    """Return the values that are kept in the file for one role of a series, by their index."""
    found = series.find(f"{{*}}{role}")
    if found is None:
        return {}
    points = {int(point.get("idx", "0")): _shown(point.findtext("{*}v") or "") for point in found.iter("{*}pt")}
    return points or {0: found.findtext("{*}v") or ""}


def _shown(value: str) -> str:
    """Return a value as it is, but a number without the digits that no float can hold."""
    try:
        return cell_text(float(value))
    except ValueError:
        return value
