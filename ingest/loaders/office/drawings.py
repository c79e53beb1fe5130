"""Text in the shapes, diagrams and charts of DOCX, PPTX and XLSX."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ingest.loaders.office.cell_format import cell_text

if TYPE_CHECKING:
    from lxml.etree import _Element

__all__ = ["chart_rows", "drawn_texts"]


def drawn_texts(drawing: _Element) -> list[str]:
    """Return the paragraphs of the DrawingML in an element: shapes, or the data of a diagram."""
    paragraphs = ("".join(text.text or "" for text in paragraph.iter("{*}t")) for paragraph in drawing.iter("{*}p"))
    return [folded for paragraph in paragraphs if (folded := " ".join(paragraph.split()))]


def chart_rows(chart: _Element) -> list[list[str]]:
    """Return a chart's data as a table: a row per category, a column per series."""
    series = list(chart.iter("{*}ser"))
    names = [_points(each, "tx") for each in series]
    categories = next((found for each in series if (found := _points(each, "cat") or _points(each, "xVal"))), {})
    values = [_points(each, "val") or _points(each, "yVal") for each in series]
    places = sorted({place for points in (categories, *values) for place in points})
    header = ["", *(" ".join(name.values()) for name in names)]
    return [header, *([categories.get(at, ""), *(points.get(at, "") for points in values)] for at in places)]


def _points(series: _Element, role: str) -> dict[int, str]:
    """Return the cached values of a series for a role such as "cat" or "val", by index."""
    found = series.find(f"{{*}}{role}")
    if found is None:
        return {}
    points = {int(point.get("idx", "0")): _shown(point.findtext("{*}v") or "") for point in found.iter("{*}pt")}
    return points or {0: found.findtext("{*}v") or ""}


def _shown(value: str) -> str:
    """Return a value; a number without floating-point noise."""
    try:
        return cell_text(float(value))
    except ValueError:
        return value
