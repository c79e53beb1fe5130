"""Tables on a PDF page without ruled lines, found by aligned columns; `grids` finds those with rules.

A missed table is still readable as text, but prose mistaken for a table is ruined. So every
test here must pass before rows are made.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from ingest.cleaning import clean_line
from ingest.loaders.pages.words import Cell, Line

__all__ = ["LONGEST_CELL", "Table", "aligned_rows", "column_of", "markdown_rows", "merged_spans"]

LONGEST_CELL = 600
"""Characters; a longer cell means a boxed layout, not a table."""
_MOST_ROWS = 400
_MARKER = re.compile(r"[(\[]?\w{1,3}[.)\]、]?|\W")


@dataclass(slots=True)
class Table:
    """Rows of cells, and their place on the page."""

    rows: list[list[str]]
    x0: float
    x1: float
    top: float
    bottom: float
    number: int = 0


def markdown_rows(rows: Sequence[Sequence[str]]) -> list[str]:
    """Return the rows as Markdown without empty rows and columns; no rule below the header."""
    filled = [row for row in rows if any(row)]
    columns = [number for number in range(len(filled[0])) if any(row[number] for row in filled)] if filled else []
    return [f"| {' | '.join(row[number].replace('|', chr(92) + '|') for number in columns)} |" for row in filled]


def aligned_rows(lines: list[Line], start: int) -> tuple[int, Table] | None:
    """Return the end and the table that begins at `lines[start]`; `None` if there is none.

    At least three successive lines must have cells in the same columns, and no column may
    look like prose.
    """
    best: tuple[int, list[tuple[float, float]]] | None = None
    columns: list[tuple[float, float]] = []
    widest = 0
    for end in range(start + 1, min(len(lines), start + _MOST_ROWS) + 1):
        line = lines[end - 1]
        if len(line.cells) < 2 or (end - start > 1 and not _follows(lines[end - 2], line)):
            break
        columns = merged_spans([*columns, *((cell.x0, cell.x1) for cell in line.cells)], 0.3 * line.size)
        widest = max(widest, len(line.cells))
        if len(columns) < max(2, 0.7 * widest):
            break
        best = end, columns
    if best is None or best[0] - start < 3:
        return None
    end, columns = best
    run = lines[start:end]
    rows = [["" for _ in columns] for _ in run]
    for row, line in zip(rows, run, strict=True):
        for cell in line.cells:
            number = column_of(cell.x0, cell.x1, columns)
            row[number] = " ".join(filter(None, (row[number], clean_line(cell.text))))
    if not _stands_in_columns(run, columns, rows):
        return None
    return end, Table(rows, columns[0][0], columns[-1][1], run[0].top, run[-1].bottom)


def _follows(above: Line, below: Line) -> bool:
    return 0 < below.y - above.y < 3.2 * max(above.size, below.size)


def merged_spans(spans: list[tuple[float, float]], gap: float) -> list[tuple[float, float]]:
    """Merge spans of x that overlap or lie closer than `gap`."""
    merged: list[tuple[float, float]] = []
    for x0, x1 in sorted(spans):
        if merged and x0 < merged[-1][1] + gap:
            merged[-1] = (merged[-1][0], max(merged[-1][1], x1))
        else:
            merged.append((x0, x1))
    return merged


def column_of(x0: float, x1: float, columns: list[tuple[float, float]]) -> int:
    """Return the index of the column that the middle of a cell falls in."""
    middle = (x0 + x1) / 2
    return next(number for number, (left, right) in enumerate(columns) if left <= middle <= right)


def _stands_in_columns(run: list[Line], columns: list[tuple[float, float]], rows: list[list[str]]) -> bool:
    if sum(sum(map(bool, row)) >= 2 for row in rows) < 3:
        return False
    longest = [max((len(row[number]) for row in rows), default=0) for number in range(len(columns))]
    if max(longest) > LONGEST_CELL:
        return False
    if len(columns) == 2 and all(_MARKER.fullmatch(row[0]) for row in rows if row[0]):
        return False  # a numbered list
    size = run[0].size
    held: list[list[Cell]] = [[] for _ in columns]
    for line in run:
        for cell in line.cells:
            held[column_of(cell.x0, cell.x1, columns)].append(cell)
    if any(_is_prose(cells, right - left, size) for cells, (left, right) in zip(held, columns, strict=True)):
        return False
    aligned = sum(_is_aligned([(cell.x0, cell.x1) for cell in cells], size) for cells in held)
    return aligned >= (len(columns) if len(columns) < 4 else 0.75 * len(columns))


def _is_prose(cells: list[Cell], width: float, size: float) -> bool:
    """Return whether the cells of a column fill it like the lines of a paragraph."""
    full = sum(cell.x1 - cell.x0 > 0.85 * width for cell in cells)
    wordy = sum(_weight(cell.text) for cell in cells) / max(len(cells), 1) > 24
    return wordy and full >= 0.6 * len(cells) and width > 12 * size


def _weight(text: str) -> int:
    """Return the length of a text, with Han characters counted double."""
    return sum(2 if letter >= "\u2e80" else 1 for letter in text)


def _is_aligned(spans: list[tuple[float, float]], size: float) -> bool:
    """Return whether most cells of a column are aligned left, right or at the centre."""
    if len(spans) < 2:
        return True
    for places in ([x0 for x0, _ in spans], [x1 for _, x1 in spans], [(x0 + x1) / 2 for x0, x1 in spans]):
        places.sort()
        share = max(sum(abs(other - place) < 0.35 * size for other in places) for place in places)
        if share >= 0.6 * len(spans):
            return True
    return False
