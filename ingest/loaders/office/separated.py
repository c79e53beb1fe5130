"""Separated values (.csv, .tsv): a single table with its first row as header; lines are the file's own."""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ingest.errors import TooLargeError
from ingest.loaders.markdown_table import markdown_table
from ingest.loaders.office.regions import CellBudget
from ingest.loaders.plain_text import read_text
from ingest.options import LoadOptions
from ingest.parsed import BlockKind, ParsedDocument, TextBuilder

__all__ = ["load_csv"]

_SEPARATORS = ",;\t|"
# Excel writes and reads this line, and never shows it.
_DECLARED = re.compile(r"\Asep=(.)\n", re.IGNORECASE)
# The sniffer is slow on long samples.
_SAMPLE_CHARACTERS = 8_000
_REGULAR_SHARE = 0.8


def load_csv(path: Path, options: LoadOptions) -> ParsedDocument:
    """Load a CSV or TSV file separated by commas, semicolons, tabs or bars.

    Raises:
        UnreadableError: no encoding fits.
        TooLargeError: it holds more cells or characters than the bounds allow.
    """
    text, encoding_notes = read_text(path)
    if len(text) > options.limits.characters:
        raise TooLargeError(
            f"{path.name}: it holds {len(text):,} characters, more than {options.limits.characters:,}; "
            "split it, or raise max_characters"
        )
    notes = list(encoding_notes)
    declared = _DECLARED.match(text)
    separator = declared[1] if declared else _separator(text, "\t" if path.suffix.lower() == ".tsv" else ",")
    quoted = _quotes_close(text, separator)
    if not quoted:
        notes.append("a quotation mark is never closed; all quotation marks are read as ordinary characters")
    cells = CellBudget(path.name, options.limits)
    rows: list[list[str]] = []
    numbers: list[int] = []
    for number, row in _rows(text, separator, quoted):
        if number == 1 and declared:
            continue
        cells.take(row)
        rows.append(row)
        numbers.append(number)
    builder = TextBuilder()
    lines, at = markdown_table(rows)
    if lines:
        builder.add(BlockKind.TABLE, lines, numbers=[numbers[index] for index in at], header_rows=2)
    return builder.build(notes=notes)


def _rows(text: str, separator: str, quoted: bool) -> Iterator[tuple[int, list[str]]]:
    """Yield each row with the line on which it begins."""
    with _fields_of_any_size(len(text)):
        reader = csv.reader(
            io.StringIO(text), delimiter=separator, quoting=csv.QUOTE_MINIMAL if quoted else csv.QUOTE_NONE
        )
        begin = 1
        for row in reader:
            if any(cell.strip() for cell in row):
                yield begin, row
            begin = reader.line_num + 1


def _quotes_close(text: str, separator: str) -> bool:
    """Return whether the last opening quotation mark is closed; if not, the rest of the file would be a single cell."""
    last = ""
    with _fields_of_any_size(len(text)):
        # An open quotation swallows the extra line at the end.
        for row in csv.reader(io.StringIO(f"{text}\n\x1f"), delimiter=separator):
            last = row[-1] if row else ""
    return last == "\x1f" or not last.endswith("\x1f")


def _separator(text: str, usual: str) -> str:
    """Return the separator: the sniffer's guess, or the most regular candidate if the rows contradict it."""
    cut = text.rfind("\n", 0, _SAMPLE_CHARACTERS)
    sample = text[:cut] if len(text) > _SAMPLE_CHARACTERS and cut > 0 else text[:_SAMPLE_CHARACTERS]
    try:
        sniffed: str = csv.Sniffer().sniff(sample, _SEPARATORS).delimiter
    except csv.Error:
        sniffed = usual
    # The suffix .tsv is trusted before a guess.
    for likely in (usual, sniffed) if usual == "\t" else (sniffed,):
        if _regularity(sample, likely) >= _REGULAR_SHARE:
            return likely
    alike: str = max((usual, *_SEPARATORS), key=lambda separator: _regularity(sample, separator))
    return alike


def _regularity(sample: str, separator: str) -> float:
    """Return the share of rows with the most common number of values; 0 if that number is 1."""
    widths = Counter(len(row) for _, row in _rows(sample, separator, quoted=True))
    if not widths:
        return 0.0
    width, count = widths.most_common(1)[0]
    return count / widths.total() if width > 1 else 0.0


@contextmanager
def _fields_of_any_size(size: int) -> Iterator[None]:
    before = csv.field_size_limit(max(size + 10, csv.field_size_limit()))
    try:
        yield
    finally:
        csv.field_size_limit(before)
