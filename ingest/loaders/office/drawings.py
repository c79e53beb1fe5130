"""Text in drawings: shapes, diagrams and charts, which DOCX, PPTX and XLSX share."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ingest.loaders.office.cell_format import cell_text

if TYPE_CHECKING:
    from lxml.etree import _Element

__all__ = ["chart_rows", "drawn_texts"]


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
