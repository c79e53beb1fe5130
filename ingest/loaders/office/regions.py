"""Regions of a sheet: adjacent rows form a table, a lone cell above the header its title, a single column text."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from ingest.errors import TooLargeError
from ingest.loaders.markdown_table import markdown_table
from ingest.options import Limits
from ingest.parsed import BlockKind, TextBuilder

__all__ = ["CellBudget", "Row", "add_sheet"]

Row = tuple[int, dict[int, tuple[str, bool]]]
"""Row number, and by column the text of each non-empty cell and whether it is a number."""


@dataclass
class CellBudget:
    """Counts cells and characters of tables against the limits."""

    name: str
    limits: Limits
    count: int = field(default=0, init=False)
    characters: int = field(default=0, init=False)

    def take(self, texts: Iterable[str]) -> None:
        """Count the cells of another row.

        Raises:
            TooLargeError: there are too many cells, or too much text.
        """
        for text in texts:
            self.count += 1
            self.characters += len(text) + 3
        if self.count > self.limits.cells:
            raise TooLargeError(
                f"{self.name}: it holds more than {self.limits.cells:,} cells; split it, or load it into a database"
            )
        if self.characters > self.limits.characters:
            raise TooLargeError(
                f"{self.name}: it holds more than {self.limits.characters:,} characters; "
                "split it, or raise max_characters"
            )


def add_sheet(
    builder: TextBuilder,
    title: str,
    rows: Iterable[Row],
    shapes: Iterable[tuple[int, str]],
    *,
    page: int,
    cells: CellBudget,
) -> bool:
    """Add a sheet's name, its regions and the text of its shapes; return whether there are any.

    Raises:
        TooLargeError: it holds too many cells.
    """
    empty = True
    for region in _regions(_counted(rows, cells)):
        if empty:
            builder.add(BlockKind.HEADING, [title], numbers=[region[0][0]], level=1, page=page)
        empty = False
        for part in _side_by_side(region):
            _add_region(builder, part, page)
    for row, text in shapes:
        cells.take([text])
        if empty:
            builder.add(BlockKind.HEADING, [title], numbers=[row], level=1, page=page)
        empty = False
        builder.add(BlockKind.PARAGRAPH, [text], numbers=[row], page=page)
    return not empty


def _counted(rows: Iterable[Row], cells: CellBudget) -> Iterator[Row]:
    for number, row in rows:
        shown = {column: cell for column, cell in row.items() if cell[0].strip()}
        cells.take(text for text, _ in shown.values())
        if shown:
            yield number, shown


def _regions(rows: Iterable[Row]) -> Iterator[list[Row]]:
    """Yield runs of rows without an empty row; a run that begins with numbers continues the table above."""
    region: list[Row] = []
    for row in rows:
        apart = bool(region) and row[0] > region[-1][0] + 1
        if apart and not _continues(region, row):
            yield region
            region = []
        region.append(row)
    if region:
        yield region


def _continues(region: list[Row], row: Row) -> bool:
    columns = {column for _, cells in region for column in cells}
    return len(columns) > 1 and any(number for _, number in row[1].values()) and row[1].keys() <= columns


def _side_by_side(region: list[Row]) -> list[list[Row]]:
    """Split a region at empty columns into tables side by side, if each has at least two columns."""
    groups: list[list[int]] = []
    for column in sorted({column for _, cells in region for column in cells}):
        if groups and column == groups[-1][-1] + 1:
            groups[-1].append(column)
        else:
            groups.append([column])
    if len(groups) < 2 or min(map(len, groups)) < 2:
        return [region]
    parts = []
    for group in groups:
        picked = ((number, {c: cells[c] for c in group if c in cells}) for number, cells in region)
        parts.append([row for row in picked if row[1]])
    return parts


def _add_region(builder: TextBuilder, region: list[Row], page: int) -> None:
    first = min(column for _, cells in region for column in cells)
    last = max(column for _, cells in region for column in cells)
    if first == last:
        _add_texts(builder, region, page)
        return
    titles = 0
    while titles < len(region) - 1 and list(region[titles][1]) == [first]:
        titles += 1
    if titles:
        _add_texts(builder, region[:titles], page)
    # By used column: a cell far to the right must not make a long row.
    places = {column: at for at, column in enumerate(sorted({c for _, cells in region[titles:] for c in cells}))}
    table = [["" for _ in places] for _ in region[titles:]]
    for line, (_, cells) in zip(table, region[titles:], strict=True):
        for column, (text, _) in cells.items():
            line[places[column]] = text
    lines, at = markdown_table(table)
    builder.add(BlockKind.TABLE, lines, numbers=[region[titles + index][0] for index in at], page=page, header_rows=2)


def _add_texts(builder: TextBuilder, rows: list[Row], page: int) -> None:
    lines = [" ".join(text.split()) for _, cells in rows for text, _ in cells.values()]
    builder.add(BlockKind.PARAGRAPH, lines, numbers=[number for number, _ in rows], page=page)
