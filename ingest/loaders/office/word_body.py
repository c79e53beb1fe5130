"""Simplifies the body of a Word document to paragraphs and tables in reading order.

Content controls, links, fields and insertions are replaced by their content; text boxes,
diagrams, charts and formulas become ordinary paragraphs and tables in place.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lxml import etree

from ingest.loaders.office.drawings import chart_rows, drawn_texts
from ingest.loaders.office.ooxml import Package, take_alternatives

if TYPE_CHECKING:
    from lxml.etree import _Element

__all__ = ["NOTE", "WordBody", "plain_body", "texts_of"]

NOTE = "note"
"""Attribute that holds the mark of a note on the run that refers to it."""

_NAMESPACE = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
_W = f"{{{_NAMESPACE}}}"
_VAL = f"{_W}val"
_XML_SPACE = "{http://www.w3.org/XML/1998/namespace}space"
_NOT_TEXT = (*("del", "moveFrom", "rt", "headerReference", "footerReference", "sdtPr", "sdtEndPr", "rPr", "proofErr"),)
_WRAPPERS = (
    *("sdt", "sdtContent", "ins", "moveTo", "smartTag", "customXml", "fldSimple", "hyperlink", "dir", "bdo"),
    *("ruby", "rubyBase"),
)


@dataclass(frozen=True)
class WordBody:
    """A simplified document body.

    Attributes:
        root: the main part; its body holds only paragraphs and tables.
        notes: texts of footnotes and endnotes, by the mark at the reference.
        embedded: number of embedded documents, which are not read.
    """

    root: _Element
    notes: dict[str, str]
    embedded: int


def plain_body(package: Package, main: str) -> WordBody:
    """Read and simplify the body in the part called `main`.

    Raises:
        UnreadableError: it is broken.
    """
    root = package.tree(main)
    embedded = sum(1 for _ in root.iter(f"{_W}altChunk"))
    _remove_hidden(root)
    take_alternatives(root)
    _draw_out(package, main, root)
    notes = _mark_notes(package, main, root)
    etree.strip_tags(root, *(f"{_W}{name}" for name in _WRAPPERS))
    _free_text_boxes(root)
    return WordBody(root, notes, embedded)


def _remove_hidden(root: _Element) -> None:
    """Remove what readers do not see, and tables of contents, which only repeat the headings."""
    for run in list(root.iter(f"{_W}r")):
        vanish = run.find(f"{_W}rPr/{_W}vanish")
        if vanish is not None and vanish.get(_VAL, "true") not in ("0", "false", "off"):
            _remove(run)
    for row in list(root.iter(f"{_W}tr")):
        if row.find(f"{_W}trPr/{_W}del") is not None:
            _remove(row)
    for gallery in list(root.iter(f"{_W}docPartGallery")):
        contents = next(gallery.iterancestors(f"{_W}sdt"), None)
        if contents is not None and gallery.get(_VAL) == "Table of Contents":
            _remove(contents)
    etree.strip_elements(root, *(f"{_W}{name}" for name in _NOT_TEXT), with_tail=False)


def _remove(element: _Element) -> None:
    # Removing a large tree is slow in lxml unless it is emptied first.
    etree.strip_elements(element, "*", with_tail=False)
    parent = element.getparent()
    if parent is not None:
        parent.remove(element)


def _draw_out(package: Package, main: str, root: _Element) -> None:
    """Turn formulas, diagrams and charts into text in place."""
    for formula in list(root.iter("{*}oMath")):
        text = "".join(part.text or "" for part in formula.iter("{*}t"))
        parent = formula.getparent()
        if parent is not None:
            parent.replace(formula, _run(text))
    etree.strip_tags(root, "{*}oMathPara")
    related = package.related(main)
    for graphic in list(root.iter("{*}relIds", "{*}chart")):
        ids = [value for name, value in graphic.attrib.items() if name.rpartition("}")[2] in ("dm", "id")]
        kind, part = related.get(ids[0] if ids else "", ("", ""))
        host = next(graphic.iterancestors(f"{_W}p"), None)
        if host is None or part not in package.part_names:
            continue
        drawn = package.tree(part)
        if kind == "chart":
            titles = [text for title in drawn.iter("{*}title") for text in drawn_texts(title)]
            found = [*map(_paragraph, titles), _table(chart_rows(drawn))]
        else:
            found = [_paragraph(text) for text in drawn_texts(drawn)]
        for block in reversed(found):
            host.addnext(block)


def _mark_notes(package: Package, main: str, root: _Element) -> dict[str, str]:
    """Put a mark such as "[1]" at each reference to a note, and return the notes by mark."""
    texts: dict[tuple[str, str], str] = {}
    for kind, part in package.related(main).values():
        if kind in ("footnotes", "endnotes") and part in package.part_names:
            for note in package.tree(part).iter(f"{_W}footnote", f"{_W}endnote"):
                texts[kind, note.get(f"{_W}id", "")] = " ".join("".join(texts_of(note)).split())
    found: dict[str, str] = {}
    for reference in list(root.iter(f"{_W}footnoteReference", f"{_W}endnoteReference")):
        kind = f"{etree.QName(reference).localname.removesuffix('Reference')}s"
        text = texts.get((kind, reference.get(f"{_W}id", "")))
        parent = reference.getparent()
        if text and parent is not None:
            mark = f"[{len(found) + 1}]"
            found[mark] = text
            parent.replace(reference, _text(mark))
            parent.set(NOTE, mark)
    return found


def _free_text_boxes(root: _Element) -> None:
    """Move the content of text boxes behind the paragraphs they are anchored to."""
    for box in reversed(list(root.iter(f"{_W}txbxContent"))):
        host = next(box.iterancestors(f"{_W}p"), None)
        if host is not None:
            for block in reversed(list(box)):
                host.addnext(block)
        _remove(box)


def texts_of(element: _Element) -> Iterator[str]:
    """Yield the text of an element, with a space for each paragraph, tab and line break."""
    for part in element.iter(*(f"{_W}{name}" for name in ("t", "tab", "br", "cr", "noBreakHyphen", "p"))):
        name = part.tag[len(_W) :]
        if name == "t":
            yield part.text or ""
        elif name != "tab" or part.getparent().tag == f"{_W}r":
            yield "-" if name == "noBreakHyphen" else " "


def _table(rows: list[list[str]]) -> _Element:
    table = etree.Element(f"{_W}tbl")
    for cells in rows:
        row = etree.SubElement(table, f"{_W}tr")
        for text in cells:
            etree.SubElement(row, f"{_W}tc").append(_paragraph(text))
    return table


def _paragraph(text: str) -> _Element:
    paragraph = etree.Element(f"{_W}p")
    paragraph.append(_run(text))
    return paragraph


def _run(text: str) -> _Element:
    run = etree.Element(f"{_W}r")
    run.append(_text(text))
    return run


def _text(text: str) -> _Element:
    element = etree.Element(f"{_W}t", {_XML_SPACE: "preserve"})
    element.text = text
    return element
