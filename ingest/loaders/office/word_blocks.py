"""Turns the paragraphs and tables of a simplified Word body into blocks, in a single walk."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain, islice
from typing import TYPE_CHECKING

from ingest.loaders.bullets import BULLET
from ingest.loaders.markdown_table import markdown_table
from ingest.loaders.office.word_body import NOTE, WordBody, texts_of
from ingest.loaders.office.word_numbering import ListNumbers
from ingest.loaders.office.word_styles import WordStyles, numbering_of, outline_level
from ingest.parsed import BlockKind, TextBuilder

if TYPE_CHECKING:
    from lxml.etree import _Element

    from ingest.loaders.office.regions import CellBudget

__all__ = ["WordReader"]

_W = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
_VAL = f"{_W}val"
_PAGE_BREAK = f"{_W}lastRenderedPageBreak"
_RUN, _TAB = f"{_W}r", f"{_W}tab"
_PIECES = (_PAGE_BREAK, *(f"{_W}{name}" for name in ("t", "tab", "ptab", "br", "cr", "noBreakHyphen")))
# A longer paragraph with an outline level is still not a heading.
_LONGEST_HEADING = 150
# Files may declare any number; Word allows 63.
_MOST_COLUMNS = 200


class WordReader:
    """Adds the blocks of a document to a builder.

    Attributes:
        heading: the first top-level heading.
        heading_at: its offset in the text.
        pages: page of the last block; `None` if Word recorded no page breaks.
    """

    def __init__(self, builder: TextBuilder, styles: WordStyles, numbers: ListNumbers, cells: CellBudget) -> None:
        self.heading: str | None = None
        self.heading_at = 0
        self.pages: int | None = None
        self._builder = builder
        self._styles = styles
        self._numbers = numbers
        self._cells = cells
        self._page: int | None = None
        self._sections: Iterator[_Element] = iter(())

    def read(self, body: WordBody) -> None:
        """Add all blocks of a body.

        Raises:
            TooLargeError: its tables hold more than the limits allow.
        """
        self._page = 1 if next(body.root.iter(_PAGE_BREAK), None) is not None else None
        self._sections = chain(
            body.root.iterfind(f"{_W}body/{_W}p/{_W}pPr/{_W}sectPr"), body.root.iterfind(f"{_W}body/{_W}sectPr")
        )
        self._begin_section(first=True)
        self._read(body.root.iterfind(f"{_W}body/*"), body.notes)

    def _read(self, blocks: Iterable[_Element], notes: dict[str, str]) -> None:
        for block in blocks:
            if block.tag == f"{_W}p":
                self._add_paragraph(block)
            elif block.tag == f"{_W}tbl":
                self._add_table(block, notes)
            for run in block.iter(_RUN) if notes else ():
                if NOTE in run.attrib:
                    mark = str(run.attrib.pop(NOTE))
                    self._add(BlockKind.PARAGRAPH, f"{mark} {notes[mark]}")

    def _add(self, kind: BlockKind, text: str, level: int = 0) -> None:
        lines = [line.strip() for line in text.splitlines() if line.strip()]
        if not lines:
            return
        if level == 1 and self.heading is None:
            self.heading, self.heading_at = " ".join(lines), len(self._builder)
        self._builder.add(kind, lines, level=level, page=self._page)
        self.pages = self._page

    def _add_paragraph(self, paragraph: _Element) -> None:
        properties = paragraph.find(f"{_W}pPr")
        style = self._styles.of(properties)
        own = numbering_of(properties)
        ends_section = properties is not None and properties.find(f"{_W}sectPr") is not None
        pieces = [piece for piece in paragraph.iter(*_PIECES) if piece.tag != _TAB or piece.getparent().tag == _RUN]
        label = self._numbers.label(own, style.numbering) if pieces or not ends_section else ""
        level = style.level or self._outline_level(properties, pieces)
        number_id = own.number_id if own.number_id is not None else style.numbering.number_id
        numbered = number_id not in (None, "0") and (own.number_id is not None or not style.is_plain)
        text = ""
        for piece in [*pieces, None]:
            if piece is not None and piece.tag != _PAGE_BREAK:
                text += _shown(piece)
                continue
            if text.strip():
                self._add_text(text, label, level, numbered or style.is_list)
                text, label = "", ""
            if piece is not None:
                self._turn_pages(1)
        if ends_section:
            self._begin_section()

    def _add_text(self, text: str, label: str, level: int, listed: bool) -> None:
        text = text.strip()
        bullet = BULLET.match(text)
        kind = BlockKind.HEADING if level else BlockKind.LIST_ITEM if listed or bullet else BlockKind.PARAGRAPH
        if bullet:
            text = text[bullet.end() :]
        if text:
            self._add(kind, f"{label} {text}" if label else text, level)

    def _outline_level(self, properties: _Element | None, pieces: list[_Element]) -> int:
        level = outline_level(properties)
        return level if level and sum(len(piece.text or "") for piece in pieces) <= _LONGEST_HEADING else 0

    def _begin_section(self, first: bool = False) -> None:
        """Count the blank page before a section that must begin on an odd or even page."""
        section = next(self._sections, None)
        start = section.find(f"{_W}type") if section is not None else None
        kind = start.get(_VAL, "") if start is not None else ""
        if self._page is None or (kind == "oddPage" and first):
            return
        odd = self._page % 2 == 1
        if (kind == "oddPage" and odd) or (kind == "evenPage" and not odd):
            self._page += 1

    def _turn_pages(self, count: int) -> None:
        if self._page is not None:
            self._page += count

    def _add_table(self, table: _Element, notes: dict[str, str]) -> None:
        """Add a table; rows above the header that span all columns become paragraphs."""
        held = list(islice(table.iterfind(f"{_W}tr/{_W}tc"), 2))
        if len(held) == 1:  # a frame around text
            self._read(held[0], notes)
            return
        before, in_all = _page_breaks(table) if self._page is not None else (0, 0)
        self._turn_pages(before)
        rows = []
        for row in table.iterfind(f"{_W}tr"):
            rows.append(list(self._row(row)))
            self._cells.take(rows[-1])
        rows = [row for row in rows if any(cell.strip() for cell in row)]
        titles = 0
        while titles < len(rows) - 1 and rows[titles][0].strip() and not any(cell.strip() for cell in rows[titles][1:]):
            titles += 1
        if all(len(row) == 1 for row in rows):
            titles = len(rows)
        for row in rows[:titles]:
            self._add(BlockKind.PARAGRAPH, " ".join(row[0].split()))
        lines, _ = markdown_table(rows[titles:])
        if lines:
            self._builder.add(BlockKind.TABLE, lines, page=self._page, header_rows=2)
            self.pages = self._page
        self._turn_pages(in_all - before)

    def _row(self, row: _Element) -> Iterator[str]:
        """Yield the cells of a row; cells covered by a merge are empty."""
        yield from [""] * _number(row.find(f"{_W}trPr/{_W}gridBefore"), 0)
        for cell in row.iterfind(f"{_W}tc"):
            merged = cell.find(f"{_W}tcPr/{_W}vMerge")
            covered = merged is not None and merged.get(_VAL, "continue") == "continue"
            yield "" if covered else " ".join(self._numbered_texts(cell))
            yield from [""] * (_number(cell.find(f"{_W}tcPr/{_W}gridSpan"), 1) - 1)

    def _numbered_texts(self, cell: _Element) -> Iterator[str]:
        for paragraph in cell.iter(f"{_W}p"):
            properties = paragraph.find(f"{_W}pPr")
            label = self._numbers.label(numbering_of(properties), self._styles.of(properties).numbering)
            yield f"{label} {''.join(texts_of(paragraph))}"


def _shown(piece: _Element) -> str:
    name = piece.tag[len(_W) :]
    if name == "t":
        return piece.text or ""
    if name == "br":
        return "\n" if piece.get(f"{_W}type", "textWrapping") == "textWrapping" else ""
    return {"cr": "\n", "noBreakHyphen": "-"}.get(name, "\t")


def _page_breaks(table: _Element) -> tuple[int, int]:
    """Return the number of page breaks before a table's first word, and in the whole table.

    The cells of a row break at the same place: the cell with the most breaks counts.
    """
    before = in_all = 0
    for number, row in enumerate(table.iterfind(f"{_W}tr")):
        leading = most = 0
        for cell in row.iterfind(f"{_W}tc"):
            tags = [piece.tag for piece in cell.iter(_PAGE_BREAK, f"{_W}t")]
            most = max(most, tags.count(_PAGE_BREAK))
            leading = max(leading, next((at for at, tag in enumerate(tags) if tag != _PAGE_BREAK), len(tags)))
        in_all += most
        before += leading if number == 0 else 0
    return before, in_all


def _number(element: _Element | None, usual: int) -> int:
    value = element.get(_VAL, "") if element is not None else ""
    return min(int(value), _MOST_COLUMNS) if value.isdecimal() else usual
