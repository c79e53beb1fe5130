"""Sample files, and small documents made for tests."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from paths import SAMPLES


@pytest.fixture(scope="session")
def samples() -> Path:
    """The folder of the bundled documents, in all five formats."""
    return SAMPLES


@pytest.fixture(scope="session")
def make_pdf() -> Callable[..., bytes]:
    """Return what builds a PDF with one line of Latin text a page; `None` leaves a page empty."""
    return build_pdf


def build_pdf(pages: Sequence[str | None], *, encrypted: bool = False) -> bytes:
    objects = [b"<< /Type /Catalog /Pages 2 0 R >>", b""]
    font = len(objects) + 1
    objects.append(b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>")
    kids = []
    for words in pages:
        stream = b"" if words is None else f"BT /F1 12 Tf 40 700 Td ({words}) Tj ET".encode("ascii")
        objects.append(b"<< /Length %d >>\nstream\n%s\nendstream" % (len(stream), stream))
        objects.append(
            b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 600 800] /Contents %d 0 R "
            b"/Resources << /Font << /F1 %d 0 R >> >> >>" % (len(objects), font)
        )
        kids.append(b"%d 0 R" % len(objects))
    objects[1] = b"<< /Type /Pages /Kids [%s] /Count %d >>" % (b" ".join(kids), len(kids))
    trailer = b"<< /Root 1 0 R /Size %d" % (len(objects) + 2)
    if encrypted:  # with a user password that no one knows
        objects.append(b"<< /Filter /Standard /V 1 /R 2 /P -4 /O <%s> /U <%s> >>" % (b"11" * 32, b"22" * 32))
        trailer += b" /Encrypt %d 0 R /ID [<%s> <%s>]" % (len(objects), b"33" * 16, b"33" * 16)
    body = b"%PDF-1.4\n"
    offsets = []
    for number, content in enumerate(objects, start=1):
        offsets.append(len(body))
        body += b"%d 0 obj\n%s\nendobj\n" % (number, content)
    table = b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    end = b"xref\n0 %d\n0000000000 65535 f \n%s" % (len(objects) + 1, table)
    return body + end + b"trailer\n%s >>\nstartxref\n%d\n%%%%EOF\n" % (trailer, len(body))
