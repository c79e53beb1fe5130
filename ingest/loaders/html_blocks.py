"""Blocks of an HTML tree with their source lines, found in a single walk.

lxml gives the line on which each start tag and comment ends; in between, line breaks are counted.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from lxml import etree

from ingest.loaders.bullets import BULLET
from ingest.loaders.html_text import BlockText, CodeText
from ingest.loaders.markdown_table import markdown_table
from ingest.parsed import BlockKind, TextBuilder

if TYPE_CHECKING:
    from lxml.etree import _Element

__all__ = ["add_blocks"]

# libxml2 keeps line numbers in 16 bits; further down, a line break inside a tag goes uncounted.
_LAST_KNOWN_LINE = 65_533
_UNSEEN = frozenset(
    (
        *("head", "title", "script", "style", "noscript", "template", "xml", "ix:header"),
        *("nav", "iframe", "svg", "object", "audio", "video", "canvas", "noembed", "noframes"),
        *("input", "select", "datalist", "textarea", "del"),
    )
)
# All other tags are inline.
_BLOCKS = frozenset(
    (
        *("html", "body", "main", "article", "section", "aside", "header", "footer", "hgroup", "address", "div"),
        *("center", "blockquote", "p", "hr", "details", "summary", "dialog", "figure", "figcaption"),
        *("form", "fieldset", "legend", "caption", "table", "pre"),
        *("ul", "ol", "dl", "dt", "dd", "li", "h1", "h2", "h3", "h4", "h5", "h6"),
    )
)
_ROWS = ("tr", "thead", "tbody", "tfoot")
_CELLS = ("td", "th")
_HEADING = re.compile(r"h([1-6])")
# A term with only these tags is joined with its definition.
_WITHIN_WORDS = frozenset(
    ("a", "abbr", "b", "code", "del", "em", "font", "i", "ins", "mark", "small", "span", "strong", "sub", "sup", "u")
)
_TEX = ("application/x-tex", "tex", "latex", "application/x-latex")


def add_blocks(builder: TextBuilder, page: _Element) -> None:
    """Add the blocks of a page: those in `<main>` if it has one, else all."""
    walk = _Walk(builder, page.find(".//main"))
    for event, element in etree.iterwalk(page, events=("start", "end", "comment", "pi")):
        if event == "start":
            walk.open(element)
        else:
            walk.close(element)


class _Frame:
    """An open heading or list item; only its first text gets its kind."""

    def __init__(self, kind: BlockKind, level: int = 0) -> None:
        self.kind = kind
        self.level = level

    def take(self) -> tuple[BlockKind, int]:
        taken = self.kind, self.level
        self.kind, self.level = BlockKind.PARAGRAPH, 0
        return taken


class _Walk:
    """State of the walk: what is open, and the text read so far."""

    def __init__(self, builder: TextBuilder, main: _Element | None) -> None:
        self._builder = builder
        self._main = main
        self._in_main = main is None
        self._line = 1
        self._unseen: _Element | None = None
        self._frames: list[_Frame] = [_Frame(BlockKind.PARAGRAPH)]
        self._text = BlockText()
        self._code: CodeText | None = None
        self._tables: list[_Element] = []
        self._rows: list[list[BlockText]] = []
        self._cell: _Element | None = None
        self._joined: _Element | None = None

    def open(self, element: _Element) -> None:
        """Read a start tag, and the text up to the next tag."""
        self._sync(element)
        if element is self._main:
            self._in_main = True
        tag = element.tag
        if self._unseen is None and (tag in _UNSEEN or _is_drawn_formula(element)):
            self._unseen = element
            if tag == "nav":
                self._end_block()
        if self._is_read:
            self._open(element, tag)
        if element.text:
            self._read(element.text)

    def close(self, element: _Element) -> None:
        """Read an end tag, a comment or an instruction, and the text after it."""
        tag = element.tag
        if not isinstance(tag, str):
            self._line += (element.text or "").count("\n")
            self._sync(element)
        elif self._unseen is element:
            self._unseen = None
        elif self._is_read:
            self._close(element, tag)
        if element is self._main:
            self._in_main = False
        if element.tail:
            self._read(element.tail)

    @property
    def _is_read(self) -> bool:
        return self._in_main and self._unseen is None

    def _sync(self, element: _Element) -> None:
        line = element.sourceline or 0
        if 0 < line <= _LAST_KNOWN_LINE:
            self._line = line

    def _read(self, text: str) -> None:
        if self._is_read:
            (self._text if self._code is None else self._code).add(text, self._line)
        self._line += text.count("\n")

    def _open(self, element: _Element, tag: str) -> None:
        if tag == "br":
            self._break_line()
        elif tag == "math":
            self._open_formula(element)
        elif tag in _CELLS and self._tables and self._cell is None:
            self._open_cell(element)
        elif tag in _ROWS and self._tables and self._cell is None:
            self._end_block()
            if tag == "tr":
                self._rows.append([])
        elif tag in _BLOCKS or tag in _ROWS or tag in _CELLS:
            self._open_block(element, tag)

    def _close(self, element: _Element, tag: str) -> None:
        if element is self._cell:
            self._cell = None
            self._text = BlockText()
        elif tag in _BLOCKS or tag in _ROWS or tag in _CELLS:
            self._close_block(element, tag)

    def _open_block(self, element: _Element, tag: str) -> None:
        if element is self._joined:
            self._joined = _only_paragraph(element)
        else:
            self._end_block()
        if self._cell is not None:
            if tag == "table":
                self._tables.append(element)
            return
        heading = _HEADING.fullmatch(tag)
        if heading:
            self._frames.append(_Frame(BlockKind.HEADING, int(heading[1])))
        elif tag in ("li", "dd"):
            self._frames.append(_Frame(BlockKind.LIST_ITEM))
        elif tag == "pre":
            self._code = self._code or CodeText()
        elif tag == "table":
            self._tables.append(element)

    def _close_block(self, element: _Element, tag: str) -> None:
        if tag == "dt" and self._cell is None and (definition := _definition(element)) is not None:
            self._text.end_term()
            self._joined = definition
            return
        self._end_block()
        if self._tables and element is self._tables[-1]:
            self._tables.pop()
            if not self._tables:
                self._end_table()
        if self._cell is not None:
            return
        if tag == "pre" and self._code is not None:
            self._end_code(self._code)
        elif tag in ("li", "dd") or _HEADING.fullmatch(tag):
            self._frames.pop()

    def _open_cell(self, cell: _Element) -> None:
        self._end_block()
        if not self._rows:
            self._rows.append([])
        self._cell = cell
        self._rows[-1].append(self._text)

    def _open_formula(self, formula: _Element) -> None:
        apart = (formula.get("display") or "").strip().lower() == "block"
        if apart:
            self._end_block()
        if tex := _tex(formula):
            self._text.add(tex, self._line)
        if apart:
            self._end_block()
        self._unseen = formula

    def _break_line(self) -> None:
        if self._code is not None:
            self._code.break_line(self._line)
        elif self._cell is not None:
            self._text.add_space()
        else:
            self._text.break_line()

    def _end_block(self) -> None:
        """Write the text so far as a block; inside a cell or code, only separate it from the next."""
        if self._code is not None:
            self._code.break_line(self._line)
            return
        if self._cell is not None:
            self._text.add_space()
            return
        texts, numbers, gaps = self._text.lines()
        self._text = BlockText()
        if not texts:
            return
        kind, level = self._frames[-1].take()
        if kind is BlockKind.PARAGRAPH and (bullet := BULLET.match(texts[0])):
            kind = BlockKind.LIST_ITEM
            texts[0] = texts[0][bullet.end() :]
            if not texts[0]:
                texts, numbers, gaps = texts[1:], numbers[1:], ["", *gaps[2:]]
        elif kind is BlockKind.HEADING:
            gaps = [gap.replace("\n", " ") for gap in gaps]
        if texts:
            self._builder.add(kind, texts, numbers=numbers, level=level, gaps=gaps)

    def _end_code(self, code: CodeText) -> None:
        self._code = None
        texts, numbers = code.lines()
        if texts:
            self._builder.add(BlockKind.CODE, texts, numbers=numbers)

    def _end_table(self) -> None:
        rows = [[cell.lines() for cell in row] for row in self._rows]
        self._rows = []
        lines, of_rows = markdown_table([[" ".join(cell.texts) for cell in row] for row in rows])
        if len(of_rows) == 2:
            lines, of_rows = lines[:1], of_rows[:1]  # no rule below a single row
        numbers = [next(cell.numbers[0] for cell in rows[row] if cell.texts) for row in of_rows]
        if lines:
            self._builder.add(BlockKind.TABLE, lines, numbers=numbers, header_rows=2 if len(lines) > 2 else 0)


def _is_drawn_formula(element: _Element) -> bool:
    """Return whether an element is KaTeX's visual copy of a formula that is also given as TeX."""
    if element.tag != "span" or "katex-html" not in element.get("class", ""):
        return False
    parent = element.getparent()
    return parent is not None and any(_tex(formula) for formula in parent.iter("math"))


def _tex(formula: _Element) -> str:
    """Return the TeX of a formula; empty if the page does not give it."""
    for note in formula.iter("annotation"):
        tex = (note.text or "").strip()
        if tex and note.get("encoding", "").strip().lower() in _TEX:
            return tex
    return str(formula.get("alttext", "")).strip()


def _definition(term: _Element) -> _Element | None:
    """Return the definition after a term, if both are inline text that can be joined."""
    following = (other for other in term.itersiblings() if isinstance(other.tag, str))
    definition = next(following, None)
    if definition is None or definition.tag != "dd":
        return None
    paragraph = _only_paragraph(definition)
    inner = definition if paragraph is None else paragraph
    return definition if _is_phrase(term) and _is_phrase(inner) else None


def _only_paragraph(element: _Element) -> _Element | None:
    """Return the `<p>` that is an element's only content."""
    if len(element) == 1 and element[0].tag == "p" and not (element.text or "").strip():
        return element[0]
    return None


def _is_phrase(element: _Element) -> bool:
    inner = (other.tag for other in element.iterdescendants() if isinstance(other.tag, str))
    return all(tag in _WITHIN_WORDS for tag in inner) and bool("".join(element.itertext()).strip())
