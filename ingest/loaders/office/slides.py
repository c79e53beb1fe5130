"""Presentations (.pptx): each slide is a page with its title as heading, then its shapes and notes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ingest.cleaning import clean_line, join_lines
from ingest.errors import TooLargeError, UnreadableError
from ingest.loaders.markdown_table import markdown_table
from ingest.loaders.office.drawings import chart_rows, drawn_texts
from ingest.loaders.office.file_kind import Kind, kind_of
from ingest.loaders.office.ooxml import open_package
from ingest.loaders.office.regions import CellBudget
from ingest.options import LoadOptions
from ingest.parsed import BlockKind, ParsedDocument, TextBuilder

if TYPE_CHECKING:
    from pptx.slide import Slide

__all__ = ["load_pptx"]

# All of it is in memory as trees; 30 MB of short runs take 700 MB.
_MAX_XML_BYTES = 30_000_000
_DEEPEST_GROUP = 50
# A longer "title" is ordinary text in the title placeholder.
_LONGEST_TITLE = 200
# Titles of unnamed presentations.
_UNNAMED = ("powerpoint presentation", "powerpoint 演示文稿", "powerpoint 簡報", "幻灯片 1", "slide 1")
_NOT_CONTENT = ("DATE", "FOOTER", "HEADER", "SLIDE_NUMBER")
_LISTS = ("BODY", "OBJECT", "VERTICAL_BODY", "VERTICAL_OBJECT")


def load_pptx(path: Path, options: LoadOptions) -> ParsedDocument:
    """Load a PPTX file; pages are slides.

    Raises:
        PasswordRequiredError: the presentation is encrypted, and no password fits.
        UnreadableError: it is not a presentation, or broken.
        TooLargeError: it holds more than the bounds allow.
    """
    import pptx

    if kind_of(path) is Kind.POWERPOINT:
        from ingest.loaders.office.legacy import load_ppt

        return load_ppt(path, options)
    with open_package(path, options, "PowerPoint") as package:
        lean = package.without_media(_MAX_XML_BYTES)
    try:
        presentation = pptx.Presentation(lean)
        slides = list(presentation.slides)
    except Exception as error:
        raise UnreadableError(
            f"{path.name}: not a presentation, or broken ({type(error).__name__}); save it again from PowerPoint"
        ) from error
    if len(slides) > options.limits.pages:
        raise TooLargeError(f"{path.name}: it has {len(slides):,} slides, more than {options.limits.pages:,}; split it")
    reader = _SlideReader(path, options)
    for number, slide in enumerate(slides, start=1):
        reader.add(number, slide)
        options.page_done()
    named = clean_line(presentation.core_properties.title or "")
    return reader.build(len(slides), "" if named.lower() in _UNNAMED else named)


class _SlideReader:
    """Adds the text of slides to a document."""

    def __init__(self, path: Path, options: LoadOptions) -> None:
        self._builder = TextBuilder()
        self._cells = CellBudget(path.name, options.limits)
        self._first_title = ""
        self._hidden: list[int] = []
        self._pictures: list[int] = []

    def add(self, number: int, slide: Slide) -> None:
        before = len(self._builder)
        title = slide.shapes.title
        words = _lines(title.text_frame.text) if title is not None else []
        if sum(map(len, words)) > _LONGEST_TITLE:
            title, words = None, []
        if words:
            self._add(BlockKind.HEADING, words, number, level=1)
            self._first_title = self._first_title or join_lines(words)[0]
        shapes = [shape for shape in _in_order(slide.shapes) if title is None or shape.shape_id != title.shape_id]
        for shape in shapes:
            self._add_shape(shape, number)
        if len(self._builder) == before and any(_is_picture(shape) for shape in shapes):
            self._pictures.append(number)
        if slide.has_notes_slide and (notes := slide.notes_slide.notes_text_frame) is not None:
            for paragraph in notes.paragraphs:
                self._add(BlockKind.PARAGRAPH, _lines(paragraph.text), number)
        if slide._element.get("show") in ("0", "false") and len(self._builder) > before:
            self._hidden.append(number)

    def build(self, pages: int, title: str) -> ParsedDocument:
        notes = []
        if self._hidden:
            notes.append(f"hidden slides included: {', '.join(map(str, self._hidden))}")
        if self._pictures:
            notes.append(f"only pictures on slide {', '.join(map(str, self._pictures))}")
        return self._builder.build(
            title=title or self._first_title or None,
            pages=pages,
            notes=notes,
            incomplete=bool(self._pictures),
            lacks_ocr=bool(self._pictures),
        )

    def _add(self, kind: BlockKind, lines: list[str], page: int, *, level: int = 0) -> None:
        if lines:
            self._cells.take(lines)
            self._builder.add(kind, lines, page=page, level=level, joined=True)

    def _add_shape(self, shape: Any, page: int) -> None:
        if _placeholder(shape) in _NOT_CONTENT:
            return
        if shape.has_text_frame:
            for paragraph in shape.text_frame.paragraphs:
                kind = BlockKind.LIST_ITEM if _is_listed(shape, paragraph) else BlockKind.PARAGRAPH
                self._add(kind, _lines(paragraph.text), page)
        elif getattr(shape, "has_table", False):
            self._add_table([_table_row(row) for row in shape.table.rows], page)
        elif getattr(shape, "has_chart", False):
            chart = shape.chart._chartSpace
            for title in chart.iter("{*}title"):
                for text in drawn_texts(title):
                    self._add(BlockKind.PARAGRAPH, [clean_line(text)], page)
            self._add_table(chart_rows(chart), page)
        else:
            for text in _diagram_texts(shape):
                self._add(BlockKind.LIST_ITEM, _lines(text), page)

    def _add_table(self, rows: list[list[str]], page: int) -> None:
        for row in rows:
            self._cells.take(row)
        lines, _ = markdown_table(rows)
        if lines:
            self._builder.add(BlockKind.TABLE, lines, page=page, header_rows=2)


def _in_order(shapes: Any, depth: int = 0) -> Iterator[Any]:
    """Yield shapes in reading order, top to bottom and left to right; groups stay together."""
    for shape in sorted(shapes, key=lambda shape: (shape.top or 0, shape.left or 0)):
        if hasattr(shape, "shapes"):
            if depth < _DEEPEST_GROUP:
                yield from _in_order(shape.shapes, depth + 1)
        else:
            yield shape


def _lines(text: str) -> list[str]:
    """Split a paragraph at its line breaks, which python-pptx gives as vertical tabs."""
    cleaned = (clean_line(line) for line in text.replace("\v", "\n").split("\n"))
    return [line for line in cleaned if line]


def _is_listed(shape: Any, paragraph: Any) -> bool:
    properties = paragraph._p.pPr
    marks = {child.tag.rpartition("}")[2] for child in properties} if properties is not None else set()
    if marks & {"buChar", "buAutoNum", "buBlip"}:
        return True
    return "buNone" not in marks and _placeholder(shape) in _LISTS


def _placeholder(shape: Any) -> str:
    """Return the kind of a placeholder; empty for other shapes."""
    kind = shape.placeholder_format.type if shape.is_placeholder else None
    return kind.name if kind is not None else ""


def _is_picture(shape: Any) -> bool:
    return shape._element.tag.endswith("}pic") or next(shape._element.iter("{*}blip"), None) is not None


def _table_row(row: Any) -> list[str]:
    # CellBudget covered by a merge may still hold invisible text from before it.
    return ["" if cell.is_spanned else clean_line(cell.text.replace("\v", " ")) for cell in row.cells]


def _diagram_texts(shape: Any) -> list[str]:
    from lxml import etree

    for relation in shape._element.iter("{*}relIds"):
        for name, value in relation.attrib.items():
            if name.endswith("}dm"):
                return drawn_texts(etree.fromstring(shape.part.related_part(value).blob))
    return []
