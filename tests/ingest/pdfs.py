"""Writes PDFs for tests."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

from PIL import Image

Text = tuple[float, float, str] | tuple[float, float, str, str, float]
"""x, y from the top, words, and font and size where they are not F1 and 11."""


def write_pdf(
    path: Path,
    pages: Sequence[Sequence[Text] | bytes],
    *,
    title: str | None = None,
    rotate: int = 0,
    picture: bytes | None = None,
    extra: bytes = b"",
) -> Path:
    """Write a PDF of 600 by 800 points; a page is its texts, or a content stream."""
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"",
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>",
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica-Bold >>",
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Courier >>",
        b"<< /Type /Font /Subtype /Type0 /BaseFont /STSong-Light /Encoding /UniGB-UTF16-H /DescendantFonts [7 0 R] >>",
        b"<< /Type /Font /Subtype /CIDFontType0 /BaseFont /STSong-Light /CIDSystemInfo << /Registry (Adobe) "
        b"/Ordering (GB1) /Supplement 2 >> /DW 1000 /FontDescriptor 8 0 R >>",
        b"<< /Type /FontDescriptor /FontName /STSong-Light /Flags 4 /FontBBox [0 -200 1000 900] /ItalicAngle 0 "
        b"/Ascent 880 /Descent -120 /CapHeight 700 /StemV 80 >>",
        b"<< /Title <feff%s> >>" % (title or "").encode("utf-16-be", "surrogatepass").hex().encode(),
    ]
    resources = b"/Font << /F1 3 0 R /F2 4 0 R /F3 5 0 R /F4 6 0 R >>"
    if picture is not None:
        width, height = Image.open(io.BytesIO(picture)).size
        objects.append(
            b"<< /Type /XObject /Subtype /Image /Width %d /Height %d /ColorSpace /DeviceRGB /BitsPerComponent 8 "
            b"/Filter /DCTDecode /Length %d >>\nstream\n%s\nendstream" % (width, height, len(picture), picture)
        )
        resources += b" /XObject << /Im 10 0 R >>"
    kids = []
    for page in pages:
        stream = page if isinstance(page, bytes) else b"\n".join(map(drawn, page)) + extra
        objects.append(b"<< /Length %d >>\nstream\n%s\nendstream" % (len(stream), stream))
        objects.append(
            b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 600 800] /Rotate %d /Contents %d 0 R /Resources << %s >> >>"
            % (rotate, len(objects), resources)
        )
        kids.append(b"%d 0 R" % len(objects))
    objects[1] = b"<< /Type /Pages /Kids [%s] /Count %d >>" % (b" ".join(kids), len(kids))
    body = b"%PDF-1.5\n"
    offsets = []
    for number, content in enumerate(objects, start=1):
        offsets.append(len(body))
        body += b"%d 0 obj\n%s\nendobj\n" % (number, content)
    table = b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    trailer = b"trailer\n<< /Root 1 0 R /Info 9 0 R /Size %d >>\nstartxref\n%d\n%%%%EOF\n"
    body += b"xref\n0 %d\n0000000000 65535 f \n%s" % (len(objects) + 1, table) + trailer % (
        len(objects) + 1,
        len(body),
    )
    path.write_bytes(body)
    return path


def drawn(text: Text) -> bytes:
    x, top, words, font, size = text if len(text) == 5 else (*text, "F1", 11.0)
    if font == "F4":
        shown = b"<%s>" % words.encode("utf-16-be").hex().encode()
    else:
        shown = b"(%s)" % words.replace("\\", "\\\\").replace("(", "\\(").replace(")", "\\)").encode("cp1252")
    return b"BT /%s %g Tf 1 0 0 1 %g %g Tm %s Tj ET" % (font.encode(), size, x, 800 - top, shown)
