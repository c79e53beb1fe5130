"""The result of parsing a file: one text, and the blocks it consists of.

Chunks, quotations and citations are all spans of `ParsedDocument.text`, so that each citation
can be found there, character for character.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum

from ingest.cleaning import join_lines

__all__ = ["Block", "BlockKind", "LineMark", "ParsedDocument", "TextBuilder", "file_lines"]

LineMark = tuple[int, int]
"""(offset in a text, number of the file's line that begins there)."""


class BlockKind(StrEnum):
    """The kinds of blocks that chunking tells apart."""

    HEADING = "heading"
    PARAGRAPH = "paragraph"
    RECORD = "record"  # begins a section of its own, so that no chunk holds two records
    LIST_ITEM = "list_item"
    TABLE = "table"
    CODE = "code"


@dataclass(frozen=True, slots=True)
class Block:
    """A span `text[start:end]` of a document.

    Attributes:
        kind: its kind.
        start: where it begins in the document's text.
        end: where it ends there.
        level: the depth of a heading, 1 for the topmost.
        page: its page, slide or sheet, from 1, in formats that have them.
        header_end: where the header of a table ends, which each part of a cut table repeats; 0 for none.
        link: the address that the file names as this block's origin. It is never opened.
    """

    kind: BlockKind
    start: int
    end: int
    level: int = 0
    page: int | None = None
    header_end: int = 0
    link: str | None = None


@dataclass(frozen=True)
class ParsedDocument:
    r"""A document's text, its blocks in order, and the file's lines in it.

    Attributes:
        text: all readable text, with "\n" between lines.
        blocks: spans of `text`, in order, not overlapping.
        line_marks: where in `text` each line of the file begins, in order, the first at 0.
            Lines count from 1: within the page for formats that have pages, within the
            extracted text for formats without lines (DOCX).
        title: the document's own title, where it has one.
        pages: how many pages, slides or sheets the file has, for formats that have them.
        notes: what a user should know, such as the encoding it was read in.
        incomplete: whether text that a person could read is left out; `notes` names it.
        lacks_ocr: whether that is because there is no OCR.
        garbled: whether much of it was left out because the text layer differs from the page.
    """

    text: str
    blocks: tuple[Block, ...]
    line_marks: Sequence[LineMark]
    title: str | None = None
    pages: int | None = None
    notes: tuple[str, ...] = ()
    incomplete: bool = False
    lacks_ocr: bool = False
    garbled: bool = False
    _offsets: list[int] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        offsets = [offset for offset, _ in self.line_marks]
        if not offsets or offsets[0] != 0:
            raise ValueError("the first line mark is not at 0")
        object.__setattr__(self, "_offsets", offsets)

    def lines_of(self, start: int, end: int) -> tuple[LineMark, ...]:
        """Return where in `text[start:end]` each of the file's lines begins, the first at 0."""
        first = bisect_right(self._offsets, start) - 1
        last = bisect_right(self._offsets, max(start, end - 1))
        return tuple((max(0, offset - start), line) for offset, line in self.line_marks[first:last])


def file_lines(text: str) -> list[LineMark]:
    """Return the line marks of a text that is the whole file."""
    marks = [(0, 1)]
    position = text.find("\n")
    while position >= 0:
        marks.append((position + 1, len(marks) + 1))
        position = text.find("\n", position + 1)
    return marks


class TextBuilder:
    """Builds a `ParsedDocument` from blocks of text, with a blank line between them."""

    def __init__(self) -> None:
        self._parts: list[str] = []
        self._length = 0
        self._blocks: list[Block] = []
        self._marks: list[LineMark] = []
        self._last_line = 0

    def __len__(self) -> int:
        """Return how many characters the text has so far."""
        return self._length

    def add(
        self,
        kind: BlockKind,
        lines: Sequence[str],
        *,
        numbers: Iterable[int] | None = None,
        level: int = 0,
        page: int | None = None,
        joined: bool = False,
        gaps: Sequence[str] | None = None,
        header_rows: int = 0,
        link: str | None = None,
    ) -> None:
        """Append a block of `lines`, which are the lines `numbers` of the file.

        Args:
            kind: the kind of block.
            lines: its lines, none of them empty.
            numbers: their numbers in the file. By default they continue those of the block before,
                from 1 on each page; the rule below the header of a table has no number of its own.
            level: the depth of a heading.
            page: its page, slide or sheet.
            joined: whether the lines are a paragraph that only the width of the page breaks. They are
                joined, without spaces between Han characters.
            gaps: what separates each line from the one before, by default a line break.
            header_rows: how many lines at the top are the header of a table.
            link: the address that the file names as the block's origin.
        """
        self._separate()
        fresh_page = not self._blocks or self._blocks[-1].page != page
        first = 1 if fresh_page else self._last_line + 1
        if numbers is None:
            numbers = range(first, first + len(lines))
            if header_rows > 1:
                numbers = [first, *numbers[:-1]]
        placed = list(numbers)
        text, offsets = join_lines(lines) if joined else _stacked(lines, gaps)
        header_end = self._length + (offsets[header_rows] - 1 if header_rows < len(lines) else len(text))
        self._blocks.append(
            Block(
                kind,
                self._length,
                self._length + len(text),
                level,
                page,
                header_end if header_rows else 0,
                link,
            )
        )
        self._marks += [(self._length + offset, line) for offset, line in zip(offsets, placed, strict=True)]
        self._last_line = placed[-1]
        self._parts.append(text)
        self._length += len(text)

    def include(self, name: str, document: ParsedDocument, *, level: int = 1) -> None:
        """Append another document, such as a file in an archive, under a heading with its name."""
        self.add(BlockKind.HEADING, [name], numbers=[1], level=level)
        self._separate()
        at = self._length
        for block in document.blocks:
            self._blocks.append(
                replace(
                    block,
                    start=block.start + at,
                    end=block.end + at,
                    level=block.level + level if block.kind is BlockKind.HEADING else 0,
                    header_end=block.header_end + at if block.header_end else 0,
                )
            )
        self._marks += [(offset + at, line) for offset, line in document.line_marks]
        self._parts.append(document.text)
        self._length += len(document.text)
        self._last_line = document.line_marks[-1][1]

    def build(
        self,
        *,
        title: str | None = None,
        pages: int | None = None,
        notes: Sequence[str] = (),
        incomplete: bool = False,
        lacks_ocr: bool = False,
        garbled: bool = False,
    ) -> ParsedDocument:
        """Return the document, which may be empty."""
        return ParsedDocument(
            text="".join(self._parts),
            blocks=tuple(self._blocks),
            line_marks=self._marks or [(0, 1)],
            title=title,
            pages=pages,
            notes=tuple(notes),
            incomplete=incomplete,
            lacks_ocr=lacks_ocr,
            garbled=garbled,
        )

    def _separate(self) -> None:
        if self._parts:
            self._parts.append("\n\n")
            self._length += 2


def _stacked(lines: Sequence[str], gaps: Sequence[str] | None) -> tuple[str, list[int]]:
    offsets: list[int] = []
    text = ""
    for line, before in zip(lines, gaps or ["", *["\n"] * (len(lines) - 1)], strict=True):
        text += before
        offsets.append(len(text))
        text += line
    return text, offsets
