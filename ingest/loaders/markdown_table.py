"""Tables as lines of Markdown."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["markdown_table"]


def markdown_table(rows: Sequence[Sequence[str]]) -> tuple[list[str], list[int]]:
    """Return a table as lines of Markdown, a rule below its first row, and the row that each line shows.

    White space is folded and "|" escaped; short rows are padded; rows and columns that are
    empty throughout are left out. A table without text has no lines.
    """
    folded = [["\\|".join(" ".join(cell.split()).split("|")) for cell in row] for row in rows]
    used = sorted({column for row in folded for column, cell in enumerate(row) if cell})
    lines: list[str] = []
    numbers: list[int] = []
    for number, row in enumerate(folded):
        if any(row):
            lines.append(f"| {' | '.join(row[column] if column < len(row) else '' for column in used)} |")
            numbers.append(number)
            if len(lines) == 1:
                lines.append("|" + " --- |" * len(used))
                numbers.append(number)
    return lines, numbers
