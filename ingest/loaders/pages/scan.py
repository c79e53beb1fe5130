"""Scanned PDF pages: detection, and their text by OCR."""

from __future__ import annotations

import re
from collections.abc import Sequence
from statistics import median

import pypdfium2 as pdfium
import pypdfium2.raw as raw

from ingest.loaders.pages.layout import PageLayout, layout_of
from ingest.loaders.pages.words import Cell, Line
from ingest.ocr import OcrLine, as_rows, read_picture

__all__ = ["is_blank", "lines_of", "ocr_knows_script", "picture_share", "scan"]

_SCALE = 200 / 72
"""200 dpi, at which recognition works best for common font sizes."""
_LONGEST_SIDE = 3_200
_BLANK_SIDE = 400
_MOST_OBJECTS = 2_000
_LETTER_HEIGHT = 0.75
"""Font size as a share of the height of an OCR box."""
_READ_SCRIPTS = re.compile(r"[A-Za-z\u00c0-\u00ff\u3400-\u9fff]")
_LETTER = re.compile(r"[^\W\d_]")


def is_blank(page: pdfium.PdfPage) -> bool:
    """Return whether the page shows a single colour."""
    if raw.FPDFPage_CountObjects(page) <= 0 and raw.FPDFPage_GetAnnotCount(page) <= 0:
        return True
    bitmap = page.render(scale=min(1.0, _BLANK_SIDE / max(*page.get_size(), 1.0)), grayscale=True)
    try:
        darkest, lightest = bitmap.to_pil().getextrema()
    finally:
        bitmap.close()
    return bool(lightest - darkest < 16)


def picture_share(page: pdfium.PdfPage) -> float:
    """Return the share of a page, 0 to 1, covered by pictures."""
    left, bottom, right, top = page.get_bbox()
    covered = 0.0
    for count, item in enumerate(page.get_objects(filter=[raw.FPDF_PAGEOBJ_IMAGE], max_depth=3)):
        if count >= _MOST_OBJECTS:
            break
        x0, y0, x1, y1 = item.get_bounds()
        covered += max(0.0, min(x1, right) - max(x0, left)) * max(0.0, min(y1, top) - max(y0, bottom))
    return float(min(1.0, covered / max((right - left) * (top - bottom), 1.0)))


def ocr_knows_script(text: str) -> bool:
    """Return whether nearly all letters of the text are in scripts that the OCR reads."""
    letters = _LETTER.findall(text)
    return len(letters) < 4 or len(_READ_SCRIPTS.findall(text)) >= 0.85 * len(letters)


def scan(page: pdfium.PdfPage) -> PageLayout:
    """Read a page by OCR."""
    width, height = page.get_size()
    scale = min(_SCALE, _LONGEST_SIDE / max(width, height, 1.0))
    if max(width, height) * scale < 1_000:  # a stamp-sized page usually holds a high-resolution picture
        scale = min(1_000 / max(width, height, 1.0), 20 * _SCALE)
    bitmap = page.render(scale=scale)
    try:
        found = read_picture(bitmap.to_pil())
    finally:
        bitmap.close()
    return layout_of(lines_of(found, 1 / scale), width, height)


def lines_of(found: Sequence[OcrLine], scale: float) -> list[Line]:
    """Convert OCR results to lines of a page; `scale` is points per pixel."""
    if not found:
        return []
    heights = [line.box[3] - line.box[1] for line in found]
    usual = median(heights)
    lines = []
    for row in as_rows(found):
        height = median([line.box[3] - line.box[1] for line in row])
        # Boxes are inexact: small differences in height mean the same font size.
        size = (usual if 0.7 * usual < height < 1.4 * usual else height) * _LETTER_HEIGHT * scale
        lines.append(_line(row, round(size, 1), scale))
    return lines


def _line(row: Sequence[OcrLine], size: float, scale: float) -> Line:
    cells: list[Cell] = []
    for piece in row:
        x0, x1 = piece.box[0] * scale, piece.box[2] * scale
        if cells and x0 - cells[-1].x1 < 1.2 * size:
            cells[-1].text += f" {piece.text}"
            cells[-1].x1 = max(cells[-1].x1, x1)
        else:
            cells.append(Cell(piece.text, x0, x1))
    bottom = median([piece.box[3] for piece in row]) * scale
    return Line(
        text=" ".join(cell.text for cell in cells),
        cells=cells,
        x0=cells[0].x0,
        x1=max(cell.x1 for cell in cells),
        y=bottom,
        top=min(piece.box[1] for piece in row) * scale,
        bottom=bottom,
        size=size,
    )
