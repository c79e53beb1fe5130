"""HTML: unstructured finds the blocks, the parser of the standard library their lines.

A line of the file ends nothing, only `<br>` and `<pre>` break lines; where in the text each
line of the file begins is noted. No address in a page is opened.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import cache
from html.parser import HTMLParser
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING

from ingest.cleaning import gap
from ingest.encoding import Decoded, decode
from ingest.errors import UnreadableError
from ingest.loaders.partition import partition_html, table_rows
from ingest.options import LoadOptions
from ingest.parsed import BlockKind, ParsedDocument, TextBuilder

if TYPE_CHECKING:
    from lxml.html import HtmlElement
    from unstructured.documents.elements import Element

__all__ = ["decode_html", "load_html", "parse_html"]

_CHARSET = re.compile(rb"""(?:charset|encoding)\s*=\s*["']?([\w-]+)""", re.IGNORECASE)
_DECLARATION = re.compile(r"\A\s*<\?xml[^>]*\?>")
_NOT_CONTENT = ("script", "style", "noscript", "template", "nav", "head", "svg", "iframe")
# What the locator passes over: no "head", because its end need not be marked.
_NOT_TEXT = (*(tag for tag in _NOT_CONTENT if tag != "head"), "title")
# libxml2 reads no deeper than 256, and what partitions the page stops there without a word.
_MAX_DEPTH = 240
# Other tags part the words before them from those after.
_WITHIN_WORDS = frozenset(
    ("a", "abbr", "b", "code", "del", "em", "font", "i", "ins", "mark", "small", "span", "strong", "sub", "sup", "u")
)
# unstructured drops these, or runs them into what follows: they are named as what they look like.
_SHOWN_AS = {
    "button": "span",
    "label": "span",
    **dict.fromkeys(
        ("caption", "details", "dialog", "fieldset", "figcaption", "figure", "form", "legend", "summary"), "div"
    ),
}
_ENDS = ".:?!。：？！"
_KINDS = {"Title": BlockKind.HEADING, "ListItem": BlockKind.LIST_ITEM}


def load_html(path: Path, _options: LoadOptions) -> ParsedDocument:
    """Load an HTML file; lines are those of its source.

    Raises:
        UnreadableError: no encoding fits.
    """
    try:
        decoded = decode_html(path.read_bytes())
    except UnicodeDecodeError as error:
        raise UnreadableError(f"{path.name}: its encoding cannot be told; save it as UTF-8") from error
    return parse_html(decoded.text, notes=decoded.notes)


def decode_html(data: bytes, *, declared: str | None = None) -> Decoded:
    """Return the text of a page in the encoding that it names itself, that `declared` names, or that fits.

    Raises:
        UnicodeDecodeError: no encoding fits.
    """
    own = _CHARSET.search(data[:2048])
    return decode(data, declared=own[1].decode("ascii") if own and not declared else declared)


def parse_html(html: str, *, notes: Sequence[str] = ()) -> ParsedDocument:
    """Return what an HTML text shows; lines are those of the text. It may hold no block.

    Args:
        html: a page or a piece of one.
        notes: what is known about it already.
    """
    title, content = _content(_DECLARATION.sub("", html))
    locator = _Locator(html)
    builder = TextBuilder()
    if content is None:
        notes = [*notes, "nested too deeply to tell its structure"]
        for number, line in locator.visible_lines():
            builder.add(BlockKind.PARAGRAPH, [line], numbers=[number])
    else:
        _keep_single_characters()
        for element in partition_html(content) if content else []:
            _add(builder, locator, element)
    return builder.build(title=title, notes=notes)


@cache
def _keep_single_characters() -> None:
    # unstructured takes a text of one character for noise, and so drops numbers and Chinese words.
    from unstructured.documents.elements import Text
    from unstructured.partition.html import parser

    derive = parser.derive_element_type_from_text
    parser.derive_element_type_from_text = lambda text: derive(text) or Text


def _content(html: str) -> tuple[str | None, str | None]:
    """Return the page's title, and the page without what is not its content; `None` where it is nested too deeply."""
    import lxml.html
    from lxml.etree import ParserError

    try:
        parser = lxml.html.HTMLParser(huge_tree=True, remove_comments=True, remove_pis=True)
        page = lxml.html.document_fromstring(html, parser=parser)
    except ParserError:  # nothing but comments or white space
        return None, ""
    title = " ".join((page.findtext(".//title") or "").split()) or None
    if _is_deep(page):
        return title, None
    for element in list(page.iter(*_NOT_CONTENT)):
        if element.getparent() is not None:
            element.drop_tree()
    for element in list(page.iter(*_SHOWN_AS)):
        _show(element)
    for definition in list(page.iter("dd")):
        _join_term(definition)
    return title, lxml.html.tostring(page, encoding="unicode")


def _show(element: HtmlElement) -> None:
    """Name an element as what it looks like, where the partitioner reads it."""
    parent = element.getparent()
    if element.tag == "form" and parent.tag in ("table", "thead", "tbody", "tfoot", "tr"):
        element.drop_tag()  # it parts no rows
        return
    if element.tag == "caption" and parent.tag == "table":
        parent.addprevious(element)
    element.tag = _SHOWN_AS[element.tag]


def _join_term(definition: HtmlElement) -> None:
    """Put the term before a definition into it, where both are a line of text."""
    term = definition.getprevious()
    if len(definition) == 1 and definition[0].tag == "p" and not (definition.text or "").strip():
        definition[0].drop_tag()
    if term is None or term.tag != "dt" or not (_is_phrase(term) and _is_phrase(definition)):
        return
    term.tag, term.tail = "span", f" {definition.text or ''}"
    definition.text = None
    definition.insert(0, term)


def _is_phrase(element: HtmlElement) -> bool:
    within = all(inner.tag in _WITHIN_WORDS for inner in element.iterdescendants())
    return within and bool(element.text_content().strip())


def _is_deep(page: HtmlElement) -> bool:
    from lxml.etree import iterwalk

    depth = 0
    for event, _ in iterwalk(page, events=("start", "end")):
        depth += 1 if event == "start" else -1
        if depth > _MAX_DEPTH:
            return True
    return False


def _add(builder: TextBuilder, locator: _Locator, element: Element) -> None:
    category = element.category
    if category in ("Image", "PageBreak") or not element.text.strip():
        return
    if category == "Table":
        _add_table(builder, locator, table_rows(element))
        return
    if category == "CodeSnippet":
        lines, numbers = locator.locate_code(element.text)
        builder.add(BlockKind.CODE, lines, numbers=numbers)
        return
    kind = _KINDS.get(category, BlockKind.PARAGRAPH)
    level = (element.metadata.category_depth or 0) + 1 if kind is BlockKind.HEADING else 0
    lines, numbers, gaps = locator.locate(element.text)
    if kind is BlockKind.HEADING:
        gaps = [between.replace("\n", " ") for between in gaps]
    builder.add(kind, lines, numbers=numbers, level=level, gaps=gaps)


def _add_table(builder: TextBuilder, locator: _Locator, rows: list[list[str]]) -> None:
    """Add a table as Markdown, without columns that are empty throughout."""
    numbers = [locator.locate("".join(row))[1][0] for row in rows]
    columns = [column for column in zip_longest(*rows, fillvalue="") if any(column)]
    cells = ([cell.replace("|", r"\|") for cell in row] for row in zip(*columns, strict=True))
    lines = [f"| {' | '.join(row)} |" for row in cells]
    if len(lines) > 1:
        lines.insert(1, "|" + " --- |" * len(columns))
        numbers.insert(1, numbers[0])
    builder.add(BlockKind.TABLE, lines, numbers=numbers, header_rows=2 if len(lines) > 2 else 0)


class _Locator(HTMLParser):
    """Finds on which lines of the source the text of successive elements stands."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self._skipping: list[str] = []
        self._letters: list[str] = []
        self._lines: list[int] = []
        self._shown: dict[int, list[str]] = {}
        self._breaks: set[int] = set()
        self._definitions: set[int] = set()
        self._cursor = 0
        self.feed(html)
        self.close()
        self._stream = "".join(self._letters)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._part_words(tag)
        if tag in _NOT_TEXT:
            self._skipping.append(tag)
        elif tag == "br":
            self._breaks.add(len(self._lines))
        elif tag == "dd":
            self._definitions.add(len(self._lines))

    def handle_endtag(self, tag: str) -> None:
        self._part_words(tag)
        if tag in self._skipping:
            del self._skipping[self._skipping.index(tag) :]

    def handle_data(self, data: str) -> None:
        if self._skipping:
            return
        line, _ = self.getpos()
        for part in data.split("\n"):
            letters = "".join(part.split())
            self._letters.append(letters)
            self._shown.setdefault(line, []).append(part)
            self._lines.extend([line] * len(letters))
            line += 1

    def _part_words(self, tag: str) -> None:
        if tag not in _WITHIN_WORDS:
            self._shown.setdefault(self.getpos()[0], []).append(" ")

    def visible_lines(self) -> Iterator[tuple[int, str]]:
        """Yield each line of the file that shows text, with its number, white space folded."""
        for number, parts in self._shown.items():
            if line := " ".join("".join(parts).split()):
                yield number, line

    def locate(self, text: str) -> tuple[list[str], list[int], list[str]]:
        """Return the lines that `text` stands on in the file, their numbers, and what stands before each."""
        letters = "".join(text.split())
        at = self._stream.find(letters, self._cursor)
        if at < 0:  # put together by the partitioner: it stands about where the last one ended
            return [" ".join(text.split())], [self._lines[self._cursor - 1] if self._cursor else 1], [""]
        self._cursor = at + len(letters)
        lines: list[str] = []
        numbers: list[int] = []
        gaps: list[str] = []
        for word, number, broken in self._words(text, at):
            if numbers and numbers[-1] == number and not broken:
                lines[-1] += " " + word
                continue
            gaps.append("" if not lines else "\n" if broken else gap(lines[-1], word))
            lines.append(word)
            numbers.append(number)
        return lines, numbers, gaps

    def locate_code(self, text: str) -> tuple[list[str], list[int]]:
        """Return the lines of `text`, its line breaks and indentation kept, and their numbers in the file."""
        lines = [line.rstrip() for line in text.expandtabs().strip("\n").split("\n")]
        letters = "".join(text.split())
        at = self._stream.find(letters, self._cursor)
        if at < 0:
            first = self._lines[self._cursor - 1] if self._cursor else 1
            return lines, list(range(first, first + len(lines)))
        self._cursor = at + len(letters)
        numbers: list[int] = []
        for line in lines:
            written = len("".join(line.split()))
            numbers.append(self._lines[at] if written else numbers[-1] + 1)
            at += written
        return lines, numbers

    def _words(self, text: str, at: int) -> Iterator[tuple[str, int, bool]]:
        """Yield each word, the line of the file that it is on, and whether the page breaks the line before it."""
        for word in text.split():
            number, broken = self._lines[at], at in self._breaks
            at += len(word)
            # What ends where a definition begins, and goes on, is its term.
            if at in self._definitions and at < self._cursor and word[-1] not in _ENDS:
                word += ":"
            yield word, number, broken
