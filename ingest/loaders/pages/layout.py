"""The lines and tables of a PDF page in reading order.

pdfium gives text in drawing order, which is mostly reading order. Positions overrule it only
in clear cases: text above comes first, and columns drawn row by row are separated.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import pypdfium2 as pdfium

from ingest.loaders.pages.grids import ruled_tables
from ingest.loaders.pages.tables import Table, aligned_rows
from ingest.loaders.pages.words import Cell, Line, read_words, to_lines

__all__ = ["Flow", "PageLayout", "layout_of", "read_layout"]

_MOST_FLOWS = 400
_MOST_FAILURES = 20

Flow = list[Line | Table]
"""Lines and tables in a continuous run down the page."""


@dataclass(slots=True)
class PageLayout:
    """A page in reading order.

    Attributes:
        flows: its lines and tables.
        width: in points, with the text upright.
        height: in points, with the text upright.
        raw_text: the characters as pdfium gives them, to detect gibberish.
    """

    flows: list[Flow] = field(default_factory=list)
    width: float = 0.0
    height: float = 0.0
    raw_text: str = ""

    def lines(self) -> list[Line]:
        """Return the lines outside tables."""
        return [item for flow in self.flows for item in flow if isinstance(item, Line)]


def read_layout(page: pdfium.PdfPage, textpage: pdfium.PdfTextPage) -> PageLayout:
    """Return the layout of a PDF page."""
    words = read_words(page, textpage)
    lines = to_lines(words.words, textpage)
    tables: list[Table] = []
    if sum(len(line.cells) > 1 for line in lines) >= 2:
        tables = ruled_tables(page, words, textpage)
        if tables:
            lines = to_lines(words.words, textpage)
    flows = _cut_at(tables, _flows(lines)) + [[table] for table in tables]
    layout = PageLayout(_arranged(flows), words.width, words.height, words.raw_text)
    for turned in words.turned.values():
        lines = to_lines(turned, textpage)
        for line in lines:
            line.turned = True
        layout.flows += _arranged(_flows(lines))
    _number(layout.flows)
    return layout


def layout_of(lines: Sequence[Line], width: float, height: float) -> PageLayout:
    """Return the layout of lines that OCR read."""
    flows = _arranged(_flows(lines))
    _number(flows)
    return PageLayout(flows, width, height, "\n".join(line.text for line in lines))


def _arranged(flows: list[Flow]) -> list[Flow]:
    return _ordered(_split_columns([_with_tables(flow) for flow in flows]))


def _flows(lines: Sequence[Line]) -> list[Flow]:
    flows: list[Flow] = []
    recent: list[Line] = []
    for line in lines:
        if recent and _continues(recent, line):
            flows[-1].append(line)
            recent = [*recent[-5:], line]
        else:
            flows.append([line])
            recent = [line]
    return flows


def _continues(recent: list[Line], line: Line) -> bool:
    size = max(recent[-1].size, line.size)
    down = 0.3 * size < line.y - recent[-1].y < 4 * size
    return down and min(max(above.x1 for above in recent), line.x1) > max(min(above.x0 for above in recent), line.x0)


def _cut_at(tables: list[Table], flows: list[Flow]) -> list[Flow]:
    """Split flows where a table was taken out of them."""
    for table in tables:
        parts = [
            [[item for item in flow if item.top < table.top], [item for item in flow if item.top >= table.top]]
            for flow in flows
        ]
        flows = [part for pair in parts for part in pair if part]
    return flows


def _with_tables(flow: Flow) -> Flow:
    """Replace lines that form a table by the table."""
    lines = [item for item in flow if isinstance(item, Line)]
    if len(lines) < 3 or len(lines) < len(flow) or sum(len(line.cells) > 1 for line in lines) < 3:
        return flow
    found: Flow = []
    start = failed = 0
    while start < len(lines):
        table = aligned_rows(lines, start) if len(lines[start].cells) > 1 and failed < _MOST_FAILURES else None
        if table is None:
            failed += len(lines[start].cells) > 1
            found.append(lines[start])
            start += 1
        else:
            start = table[0]
            found.append(table[1])
    return found


# Order


def _bounds(flow: Flow) -> tuple[float, float, float, float]:
    return (
        min(item.x0 for item in flow),
        max(item.x1 for item in flow),
        min(item.top for item in flow),
        max(item.bottom for item in flow),
    )


def _ordered(flows: list[Flow]) -> list[Flow]:
    """Keep drawing order, but put a flow before any that lies wholly below it in the same column."""
    if len(flows) > _MOST_FLOWS:
        return sorted(flows, key=lambda flow: (_bounds(flow)[2], _bounds(flow)[0]))
    bounds = [_bounds(flow) for flow in flows]
    waits: list[set[int]] = [
        {other for other in range(len(flows)) if other != number and _precedes(bounds[other], bounds[number])}
        for number in range(len(flows))
    ]
    order: list[int] = []
    left = list(range(len(flows)))
    done: set[int] = set()
    while left:
        chosen = next((number for number in left if waits[number] <= done), left[0])
        left.remove(chosen)
        done.add(chosen)
        order.append(chosen)
    return [flows[number] for number in order]


def _precedes(first: tuple[float, float, float, float], other: tuple[float, float, float, float]) -> bool:
    shared = min(first[1], other[1]) - max(first[0], other[0])
    narrower = min(first[1] - first[0], other[1] - other[0])
    middle, middle_of_other = (first[2] + first[3]) / 2, (other[2] + other[3]) / 2
    overlap = first[3] - other[2]
    return (
        shared > 0.2 * narrower
        and middle < middle_of_other
        and overlap < 0.5 * min(first[3] - first[2], other[3] - other[2])
    )


# Columns that were drawn row by row


def _split_columns(flows: list[Flow]) -> list[Flow]:
    """Separate columns of prose that were drawn line by line across the page."""
    lines = [item for flow in flows for item in flow if isinstance(item, Line)]
    broken = sum(len(line.cells) > 1 for line in lines) >= 4 or (len(flows) >= 10 and len(flows) > 0.6 * len(lines))
    if not broken or len(lines) > _MOST_FLOWS:
        return flows
    pieces = sorted((piece for line in lines for piece in _pieces(line)), key=lambda piece: (piece.y, piece.x0))
    found = _gutter(pieces)
    if found is None:
        return flows
    gutter, top, bottom = found
    inside = [piece for piece in pieces if top <= piece.y <= bottom]
    columns = [[piece for piece in inside if piece.x1 <= gutter], [piece for piece in inside if piece.x0 >= gutter]]
    kept = [[item for item in flow if isinstance(item, Table) or not top <= item.y <= bottom] for flow in flows]
    above = [flow for flow in kept if flow and _bounds(flow)[2] < top]
    below = [flow for flow in kept if flow and _bounds(flow)[2] >= top]
    return [*above, *(flow for column in columns for flow in _flows(_rejoined(column))), *below]


def _pieces(line: Line) -> list[Line]:
    if len(line.cells) == 1:
        return [line]
    return [_part(line, [cell]) for cell in line.cells]


def _part(line: Line, cells: list[Cell]) -> Line:
    text = " ".join(cell.text for cell in cells)
    return Line(text, cells, cells[0].x0, cells[-1].x1, line.y, line.top, line.bottom, line.size, line.bold, line.mono)


def _rejoined(pieces: list[Line]) -> list[Line]:
    """Rejoin the pieces of each line within a column."""
    lines: list[Line] = []
    for piece in pieces:
        if lines and abs(lines[-1].y - piece.y) < 0.3 * piece.size and piece.x0 >= lines[-1].x1 - 1:
            lines[-1] = _part(lines[-1], [*lines[-1].cells, *piece.cells])
        else:
            lines.append(piece)
    return lines


def _gutter(pieces: list[Line]) -> tuple[float, float, float] | None:
    """Return the x of a gap with prose on both sides, and its top and bottom; `None` if there is none."""
    middles = {
        round((piece.x1 + other.x0) / 2)
        for number, piece in enumerate(pieces)
        for other in pieces[max(0, number - 3) : number + 4]
        if other.x0 > piece.x1 + 0.8 * piece.size
    }
    best: tuple[int, float, float, float] | None = None
    for gutter in sorted(middles)[:60]:
        run: list[Line] = []
        for piece in [*pieces, None]:
            if piece is not None and not piece.x0 < gutter < piece.x1:
                run.append(piece)
                continue
            if (best is None or len(run) > best[0]) and _is_prose_beside_prose(run, gutter):
                best = len(run), float(gutter), run[0].y, run[-1].y
            run = []
    return best[1:] if best else None


def _is_prose_beside_prose(run: list[Line], gutter: float) -> bool:
    for side in ([piece for piece in run if piece.x1 <= gutter], [piece for piece in run if piece.x0 >= gutter]):
        if len(side) < 4:
            return False
        left, right = min(piece.x0 for piece in side), max(piece.x1 for piece in side)
        full = sum(piece.x1 - piece.x0 > 0.8 * (right - left) for piece in side)
        if full < 0.5 * len(side) or right - left < 10 * side[0].size:
            return False
    return True


def _number(flows: list[Flow]) -> None:
    number = 1
    for flow in flows:
        for item in flow:
            item.number = number
            number += sum(any(row) for row in item.rows) if isinstance(item, Table) else 1
