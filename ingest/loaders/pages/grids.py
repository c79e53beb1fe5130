"""Tables on a PDF page with ruled lines between their cells."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import pypdfium2 as pdfium
import pypdfium2.raw as raw

from ingest.cleaning import clean_line, join_lines
from ingest.loaders.pages.tables import LONGEST_CELL, Table, column_of, merged_spans
from ingest.loaders.pages.words import Word, Words, to_lines

__all__ = ["ruled_tables"]

_MOST_OBJECTS = 20_000
_MOST_SEGMENTS = 4_000
_MOST_CROSSINGS = 100_000
_NEAR = 2.5
"""Points; closer rules count as the same."""

Rule = tuple[float, float, float]
"""(place, from, to): x, top, bottom of a vertical rule; y, left, right of a horizontal one."""


def ruled_tables(page: pdfium.PdfPage, words: Words, textpage: pdfium.PdfTextPage) -> list[Table]:
    """Return the tables with ruled lines, and remove their words from `words`."""
    verticals, horizontals = _rules(page, words)
    if len(verticals) < 2 or len(horizontals) < 2:
        return []
    tables = []
    for grid in _grids(verticals, horizontals):
        table = grid.table(words, textpage)
        if table is not None:
            tables.append(table)
    return tables


def _rules(page: pdfium.PdfPage, words: Words) -> tuple[list[Rule], list[Rule]]:
    """Return the vertical and the horizontal rules of a page."""
    box = page.get_bbox()
    verticals: list[Rule] = []
    horizontals: list[Rule] = []
    budget = _MOST_SEGMENTS
    for index in range(min(raw.FPDFPage_CountObjects(page), _MOST_OBJECTS)):
        path = raw.FPDFPage_GetObject(page, index)
        if raw.FPDFPageObj_GetType(path) != raw.FPDF_PAGEOBJ_PATH or not _is_drawn(path):
            continue
        for x0, y0, x1, y1 in _straight_parts(path, budget):
            budget -= 1
            left, top = _upright(x0, y0, box, words.turn)
            right, bottom = _upright(x1, y1, box, words.turn)
            left, right, top, bottom = min(left, right), max(left, right), min(top, bottom), max(top, bottom)
            if right - left <= _NEAR < bottom - top:
                verticals.append(((left + right) / 2, top, bottom))
            elif bottom - top <= _NEAR < right - left:
                horizontals.append(((top + bottom) / 2, left, right))
            elif bottom - top > 4 and right - left > 4 and right - left < 0.97 * words.width:
                verticals += [(left, top, bottom), (right, top, bottom)]
                horizontals += [(top, left, right), (bottom, left, right)]
        if budget <= 0:
            break
    return verticals, horizontals


def _is_drawn(path: object) -> bool:
    fill, stroke = ctypes.c_int(), ctypes.c_int()
    return bool(raw.FPDFPath_GetDrawMode(path, fill, stroke)) and bool(fill.value or stroke.value)


def _straight_parts(path: object, budget: int) -> list[tuple[float, float, float, float]]:
    """Return the bounds of a path that is a line or box, else of each of its straight lines, in page points."""
    count = raw.FPDFPath_CountSegments(path)
    if count <= 6:
        left, bottom, right, top = (ctypes.c_float() for _ in range(4))
        if not raw.FPDFPageObj_GetBounds(path, left, bottom, right, top):
            return []
        return [(left.value, bottom.value, right.value, top.value)]
    matrix = raw.FS_MATRIX()
    raw.FPDFPageObj_GetMatrix(path, matrix)
    x, y = ctypes.c_float(), ctypes.c_float()
    parts = []
    last: tuple[float, float] | None = None
    for index in range(min(count, max(budget, 0))):
        segment = raw.FPDFPath_GetPathSegment(path, index)
        raw.FPDFPathSegment_GetPoint(segment, x, y)
        point = (
            matrix.a * x.value + matrix.c * y.value + matrix.e,
            matrix.b * x.value + matrix.d * y.value + matrix.f,
        )
        straight = raw.FPDFPathSegment_GetType(segment) == raw.FPDF_SEGMENT_LINETO
        if straight and last and (abs(last[0] - point[0]) < 1 or abs(last[1] - point[1]) < 1):
            parts.append((*last, *point))
        last = point
    return parts


def _upright(x: float, y: float, box: tuple[float, float, float, float], turn: int) -> tuple[float, float]:
    left, bottom, right, top = box
    return ((x - left, top - y), (y - bottom, x - left), (right - x, y - bottom), (top - y, right - x))[turn]


def _grids(verticals: list[Rule], horizontals: list[Rule]) -> list[_Grid]:
    """Group rules that touch into grids."""
    verticals, horizontals = _merged(verticals), _merged(horizontals)
    if len(verticals) * len(horizontals) > _MOST_CROSSINGS:
        return []
    group = list(range(len(verticals) + len(horizontals)))

    def root(number: int) -> int:
        while group[number] != number:
            group[number] = group[group[number]]
            number = group[number]
        return number

    for number, (y, left, right) in enumerate(horizontals, start=len(verticals)):
        for other, (x, top, bottom) in enumerate(verticals):
            if left - _NEAR <= x <= right + _NEAR and top - _NEAR <= y <= bottom + _NEAR:
                group[root(number)] = root(other)
    grids: dict[int, _Grid] = {}
    for number, rule in enumerate([*verticals, *horizontals]):
        grid = grids.setdefault(root(number), _Grid([], []))
        (grid.verticals if number < len(verticals) else grid.horizontals).append(rule)
    return [grid for grid in grids.values() if grid.verticals and len(grid.horizontals) >= 2]


def _merged(rules: list[Rule]) -> list[Rule]:
    """Join rules that continue each other."""
    merged: list[Rule] = []
    for place, start, end in sorted((round(place), start, end) for place, start, end in rules):
        if merged and place == merged[-1][0] and start <= merged[-1][2] + _NEAR:
            merged[-1] = (place, merged[-1][1], max(end, merged[-1][2]))
        else:
            merged.append((place, start, end))
    return merged


@dataclass(slots=True)
class _Grid:
    verticals: list[Rule]
    horizontals: list[Rule]

    def table(self, words: Words, textpage: pdfium.PdfTextPage) -> Table | None:
        """Return the words inside as a table and remove them from `words`; `None` if it is not a table."""
        left, right = min(rule[1] for rule in self.horizontals), max(rule[2] for rule in self.horizontals)
        top, bottom = min(rule[0] for rule in self.horizontals), max(rule[0] for rule in self.horizontals)
        top = min(top, *(rule[1] for rule in self.verticals))
        bottom = max(bottom, *(rule[2] for rule in self.verticals))
        xs = _edges([left, right, *(rule[0] for rule in self.verticals)])
        ys = _edges([top, bottom, *(rule[0] for rule in self.horizontals)])
        if len(xs) < 3 or len(ys) < 3 or len(xs) * len(ys) > 20_000:
            return None
        across = {place: [rule for rule in self.verticals if abs(rule[0] - place) <= _NEAR] for place in xs}
        along = {place: [rule for rule in self.horizontals if abs(rule[0] - place) <= _NEAR] for place in ys}
        cells: dict[tuple[int, int], list[Word]] = {}
        inside: set[int] = set()
        torn = 0
        last: tuple[Word, int, int] | None = None
        for word in words.words:
            x, y = (word.x0 + word.x1) / 2, (word.top + word.bottom) / 2
            if left < x < right and top < y < bottom:
                column, row = _interval(x, y, xs, across), _interval(y, x, ys, along)
                cells.setdefault((row, column), []).append(word)
                torn += last is not None and last[1:] != (row, column) and _is_continuous(last[0], word)
                last = word, row, column
                inside.add(word.index)
        if torn > 0.05 * len(inside):
            return None  # lines of a drawing, or boxes with text across them
        filled = _filled(cells, len(ys) - 1, len(xs) - 1, textpage)
        if filled is None:
            return None
        rows = filled
        if not _is_table(rows) or (len(cells) < 10 and _goes_on_below(words.words, bottom)):
            return None
        words.words = [word for word in words.words if word.index not in inside]
        return Table(rows, left, right, top, bottom)


def _edges(places: list[float]) -> list[float]:
    edges: list[float] = []
    for place in sorted(places):
        if not edges or place - edges[-1] > 2 * _NEAR:
            edges.append(place)
    return edges


def _interval(at: float, other: float, edges: list[float], rules: dict[float, list[Rule]]) -> int:
    """Return the index of the cell that `at` falls in, counting only rules that reach `other`.

    A cell that spans several intervals has the index of the first.
    """
    found = 0
    for number, edge in enumerate(edges[:-1]):
        if edge > at:
            break
        if any(start - _NEAR <= other <= end + _NEAR for _, start, end in rules[edge]):
            found = number
    return found


def _filled(
    cells: dict[tuple[int, int], list[Word]], height: int, width: int, textpage: pdfium.PdfTextPage
) -> list[list[str]] | None:
    """Return the texts of a grid's cells, with columns split that no rule separates; `None` for a form."""
    lines = {place: to_lines(words, textpage) for place, words in cells.items()}
    rows: list[list[str]] = [[] for _ in range(height)]
    for column in range(width):
        held = {row: lines.get((row, column), []) for row in range(height)}
        parted = [found for found in held.values() if any(len(line.cells) > 1 for line in found)]
        if any(sum(len(line.cells) > 1 for line in found) > 1 for found in parted):
            return None
        spans: list[tuple[float, float]] = []
        if len(parted) > 1:
            size = parted[0][0].size
            all_cells = [cell for found in held.values() for line in found for cell in line.cells]
            spans = merged_spans([(cell.x0, cell.x1) for cell in all_cells], 0.3 * size)
        for row, found in held.items():
            if len(spans) < 2:
                rows[row].append(_joined([line.text for line in found]))
                continue
            parts: list[list[str]] = [[] for _ in spans]
            for line in found:
                for cell in line.cells:
                    parts[column_of(cell.x0, cell.x1, spans)].append(cell.text)
            rows[row] += map(_joined, parts)
    return rows


def _joined(texts: list[str]) -> str:
    return join_lines([text for text in map(clean_line, texts) if text])[0]


def _is_continuous(left: Word, right: Word) -> bool:
    height = max(left.bottom - left.top, right.bottom - right.top)
    return abs(left.y - right.y) < 0.2 * height and -0.2 * height < right.x0 - left.x1 < 0.35 * height


def _goes_on_below(words: Sequence[Word], bottom: float) -> bool:
    """Return whether cells continue right below a small grid: its rules then frame only the header."""
    below = [word for word in words if bottom <= (word.top + word.bottom) / 2 < bottom + 2 * (word.bottom - word.top)]
    return sum(other.x0 - word.x1 > 1.5 * (word.bottom - word.top) for word, other in pairwise(below)) >= 2


def _is_table(rows: list[list[str]]) -> bool:
    several = sum(sum(map(bool, row)) >= 2 for row in rows)
    return several >= 2 and max(len(cell) for row in rows for cell in row) <= LONGEST_CELL
