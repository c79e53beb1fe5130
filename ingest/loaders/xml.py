"""XML: prose becomes paragraphs, data "name: value" lines, feed items their HTML.

Entities are not expanded; no DTD and no address is opened.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from html.entities import name2codepoint
from pathlib import Path

from lxml import etree

from ingest.encoding import Decoded, decode
from ingest.errors import NoTextError, TooLargeError, UnreadableError
from ingest.loaders.append import append_blocks
from ingest.loaders.html import parse_html
from ingest.options import LoadOptions
from ingest.parsed import BlockKind, ParsedDocument, TextBuilder

__all__ = ["load_xml"]

_DECLARATION = re.compile(r"\A\s*<\?xml[^>]*\?>")
_DECLARED = re.compile(rb"""\A\s*<\?xml[^>]*encoding\s*=\s*["']([\w.:-]+)""")
_NOT_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")
_NAMED = re.compile(r"&([A-Za-z][A-Za-z0-9]*);")
_OF_XML = ("amp", "lt", "gt", "quot", "apos")
_HTML = re.compile(
    r"<(?:p|br|div|a|ul|ol|li|b|i|em|strong|span|img|table|h[1-6]|pre|blockquote)\b[^>]*>", re.IGNORECASE
)
_ITEMS = ("item", "entry")
_HEADINGS = ("title", "head", "heading", "caption", "subject", "标题")
_SUMMARIES = ("description", "summary")
_CONTENTS = ("encoded", "content", "body")
# Identifiers and addresses for feed readers.
_FOR_PROGRAMS = ("guid", "comments", "commentRss", "commentRSS", "id")
_XHTML = "{http://www.w3.org/1999/xhtml}"
# Longer text is prose, and so is a sentence of any length; other text is a value.
_LONGEST_VALUE = 80
_SENTENCE = re.compile(r"[。！？]”?$|\S+(?:\s+\S+){3,}[.!?]$")
_LONGEST_ATTRIBUTE = 500
_PROSE = ("p", "para", "simpara", "text", "line")


def load_xml(path: Path, options: LoadOptions) -> ParsedDocument:
    """Load an XML file; lines are those of its source.

    Raises:
        NoTextError: it holds no text.
        TooLargeError: it holds too much.
        UnreadableError: it is not XML, or no encoding fits.
    """
    data = path.read_bytes()
    if not data.strip():
        raise NoTextError(f"{path.name}: it is empty")
    decoded = _decoded(path, data)
    text = _DECLARATION.sub(lambda match: "\n" * match[0].count("\n"), decoded.text.lstrip("\ufeff"))
    root, broken = _root(path, text)
    notes = list(decoded.notes)
    if _name(root) == "html":
        return parse_html(text, notes=notes)
    entities = sum(1 for _ in root.iter(etree.Entity))
    if broken:
        notes.append(f"broken at {broken}; read as far as it goes")
    if entities:
        notes.append(f"{entities} entit{'ies' if entities > 1 else 'y'} left as written")
    writer = _XmlWriter(path, options)
    writer.write(root, 0)
    writer.flush()
    if broken and not writer.builder:
        raise UnreadableError(f"{path.name}: broken or nested too deeply at {broken}; correct it there")
    return writer.builder.build(title=writer.title, notes=notes, incomplete=bool(broken or entities))


def _decoded(path: Path, data: bytes) -> Decoded:
    declared = _DECLARED.match(data[:1024])
    try:
        return decode(data, declared=declared[1].decode("ascii") if declared else None)
    except UnicodeDecodeError as error:
        raise UnreadableError(f"{path.name}: its encoding is unknown; save it as UTF-8") from error


def _root(path: Path, text: str) -> tuple[etree._Element, str]:
    """Return the root, and where the file is broken, if it is.

    Raises:
        UnreadableError: nothing can be read.
    """
    text = _NOT_XML.sub(" ", text)
    if "<!ENTITY" not in text:  # entity names of HTML, which XML does not define
        text = _NAMED.sub(_character, text)
    data, broken = text.encode("utf-8", "replace"), ""
    for recover in (False, True):
        parser = etree.XMLParser(
            encoding="utf-8",
            recover=recover,
            resolve_entities=False,
            no_network=True,
            load_dtd=False,
            dtd_validation=False,
            huge_tree=False,
            remove_comments=True,
            remove_pis=True,
        )
        try:
            root = etree.fromstring(data, parser)
        except etree.XMLSyntaxError as error:
            line, column = error.position
            broken = broken or f"line {line}, column {column}"
            reason = str(error.msg).split(", line ")[0]
            continue
        if root is not None:
            return root, broken
    raise UnreadableError(f"{path.name}: not XML ({broken}: {reason}); correct it there, or add it as .txt")


def _character(match: re.Match[str]) -> str:
    point = name2codepoint.get(match[1])
    return match[0] if point is None or match[1] in _OF_XML else chr(point)


class _XmlWriter:
    """Walks the elements in order and writes their text."""

    def __init__(self, path: Path, options: LoadOptions) -> None:
        self.builder = TextBuilder()
        self.title: str | None = None
        self._path = path
        self._most = options.limits.characters
        self._values: list[tuple[str, int]] = []

    def write(self, element: etree._Element, depth: int) -> None:
        """Write an element: a feed item, text, a value, or a container of these."""
        if str(element.tag).startswith(_XHTML):
            self._write_html(etree.tostring(element, encoding="unicode", with_tail=False), _line(element))
        elif _name(element) in _ITEMS and _child(element, _HEADINGS) is not None:
            self._write_item(element, depth)
        elif _has_words(element):
            self._write_text(element)
        elif len(element):
            heading = _child(element, _HEADINGS)
            if heading is not None and _words(heading):
                depth = self._heading(heading, depth)
            for child in element:
                if child is not heading:
                    self.write(child, depth)
            self.flush()
        else:
            attributes = ", ".join(
                f"{_local(key)}={value[:_LONGEST_ATTRIBUTE]}" for key, value in element.attrib.items() if value.strip()
            )
            if attributes and isinstance(element.tag, str):
                self._values.append((f"{_name(element)}: {' '.join(attributes.split())}", _line(element)))

    def flush(self) -> None:
        """Write the values gathered so far as one paragraph."""
        if self._values:
            lines, numbers = zip(*self._values, strict=True)
            self.builder.add(BlockKind.PARAGRAPH, lines, numbers=numbers)
            self._values = []
        if len(self.builder) > self._most:
            raise TooLargeError(
                f"{self._path.name}: it holds more than {self._most:,} characters; split it, or raise max_characters"
            )

    def _heading(self, heading: etree._Element, depth: int, link: str | None = None) -> int:
        self.flush()
        words = _words(heading)
        self.title = self.title or words
        self.builder.add(BlockKind.HEADING, [words], numbers=[_line(heading)], level=depth + 1, link=link)
        return depth + 1

    def _write_item(self, item: etree._Element, depth: int) -> None:
        """Write a feed item: its title, its data, then its text."""
        heading = _child(item, _HEADINGS)
        link = _link(item)
        if heading is not None and _words(heading):
            depth = self._heading(heading, depth, link)
        summary, content = _child(item, _SUMMARIES), _child(item, _CONTENTS)
        if summary is not None and content is not None and _is_beginning(summary, content):
            summary.clear()
        for child in item:
            if child is heading or _name(child) in _FOR_PROGRAMS or (_name(child) == "link" and link):
                continue
            if child in (summary, content) and not len(child):
                self.flush()
                self._write_text(child, link)
            else:
                self.write(child, depth)
        self.flush()

    def _write_text(self, element: etree._Element, link: str | None = None) -> None:
        """Write an element's text: HTML rendered, short text as a value, other text as paragraphs."""
        text = "".join(element.itertext())
        line = _line(element)
        words = " ".join(text.split())
        if _HTML.search(text):
            self._write_html(text, line, link)
        elif not (len(element) or link or len(words) > _LONGEST_VALUE or _is_prose(element, words)):
            self._values.append((f"{_name(element)}: {words}", line))
        else:
            self.flush()
            for lines, numbers in _paragraphs(text, line):
                self.builder.add(BlockKind.PARAGRAPH, lines, numbers=numbers, link=link)

    def _write_html(self, html: str, line: int, link: str | None = None) -> None:
        self.flush()
        append_blocks(self.builder, parse_html(html), level=1, shift=line - 1, link=link)


def _is_prose(element: etree._Element, words: str) -> bool:
    return _name(element) in _PROSE or _SENTENCE.search(words) is not None


def _paragraphs(text: str, first: int) -> Iterator[tuple[list[str], list[int]]]:
    """Yield the lines of each paragraph and their numbers in the file."""
    lines: list[str] = []
    numbers: list[int] = []
    for number, line in enumerate([*text.replace("\r", "\n").split("\n"), ""], start=first):
        words = " ".join(line.split())
        if words:
            lines.append(words)
            numbers.append(number)
        elif lines:
            yield lines, numbers
            lines, numbers = [], []


def _has_words(element: etree._Element) -> bool:
    """Return whether an element has text outside its child elements."""
    pieces = [element.text, *(child.tail for child in element)]
    return any(piece and piece.strip() for piece in pieces) or any(child.tag is etree.Entity for child in element)


def _is_beginning(summary: etree._Element, content: etree._Element) -> bool:
    """Return whether a summary is just the beginning of the content."""
    beginning, whole = (
        "".join("".join(block for block in re.split(r"<[^>]*>", "".join(element.itertext()))).split())
        for element in (summary, content)
    )
    return whole.startswith(beginning.rstrip(".…")[:60]) and len(whole) >= len(beginning)


def _link(item: etree._Element) -> str | None:
    for child in item:
        if _name(child) == "link" and child.get("rel", "alternate") == "alternate":
            link = (child.get("href") or child.text or "").strip()
            if link:
                return link
    return None


def _child(element: etree._Element, names: tuple[str, ...]) -> etree._Element | None:
    return next((child for child in element if _name(child) in names), None)


def _name(element: etree._Element) -> str:
    return _local(element.tag) if isinstance(element.tag, str) else ""


def _local(name: str) -> str:
    return str(name).rpartition("}")[2]


def _words(element: etree._Element) -> str:
    text = re.sub(r"<[^>]*>", " ", "".join(element.itertext()))
    return " ".join(text.split())


def _line(element: etree._Element) -> int:
    return max(1, element.sourceline or 1)
