"""The body of a Word document, made plain before unstructured sees it.

unstructured, and python-docx under it, passes over content controls, text boxes, inserted
text, fields, formulas and notes, and loses rows of tables that are not quite regular.
Here all of that becomes ordinary paragraphs; tables are taken out, a token left in their place.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING

from lxml import etree

from ingest.loaders.office.ooxml import Package, take_alternatives
from ingest.loaders.office.regions import Cells
from ingest.loaders.office.shared import chart_rows, drawn_texts

if TYPE_CHECKING:
    from lxml.etree import _Element

__all__ = ["WordBody", "plain_body"]

_NAMESPACE = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
_W = f"{{{_NAMESPACE}}}"
_VAL = f"{_W}val"
_XML_SPACE = "{http://www.w3.org/XML/1998/namespace}space"
_ANYTHING_BUT_TEXT = (
    "del",
    "moveFrom",
    "rt",
    "headerReference",
    "footerReference",
    "sdtPr",
    "sdtEndPr",
    "rPr",
    "proofErr",
)
_WRAPPERS = (
    *("sdt", "sdtContent", "ins", "moveTo", "smartTag", "customXml", "fldSimple", "hyperlink", "dir", "bdo"),
    *("ruby", "rubyBase"),
)
# A document gives its columns as it likes, and Word itself has no more than 63.
_MOST_COLUMNS = 200


@dataclass
class WordBody:
    """What was taken out of a document's body.

    Attributes:
        token: what begins the paragraphs that stand for tables.
        tables: the tables, by the number that follows the token; their cells row by row.
        embedded: how many documents are embedded in it that Word would show in their place.
    """

    token: str = field(default_factory=lambda: f"{secrets.token_hex(8)}:")
    tables: list[list[list[str]]] = field(default_factory=list)
    embedded: int = 0


def plain_body(package: Package, main: str, cells: Cells) -> tuple[_Element, WordBody]:
    """Return a document's main part, its body a row of plain paragraphs, and what was taken out of it.

    Raises:
        TooLargeError: its tables hold more than the bounds allow.
        UnreadableError: it is broken.
    """
    root = package.tree(main)
    body = WordBody(embedded=sum(1 for _ in root.iter(f"{_W}altChunk")))
    _remove_hidden(root)
    take_alternatives(root)
    _draw_out(package, main, root, body)
    notes = _mark_notes(package, main, root)
    # What stands in content controls, links, fields and insertions is put in their place.
    etree.strip_tags(root, *(f"{_W}{name}" for name in _WRAPPERS))
    _free_text_boxes(root)
    for block in list(root.iterfind(f"{_W}body/*")):
        if notes:
            _place_notes(block, notes)
        if block.tag == f"{_W}tbl":
            _replace_table(block, body, cells)
    _join_runs(root)
    return root, body


def _remove_hidden(root: _Element) -> None:
    """Take out what a reader does not see, and tables of contents, which only repeat the headings."""
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
    etree.strip_elements(root, *(f"{_W}{name}" for name in _ANYTHING_BUT_TEXT), with_tail=False)


def _remove(element: _Element) -> None:
    # lxml takes long to part a great tree from its document, and no time to empty it first.
    etree.strip_elements(element, "*", with_tail=False)
    parent = element.getparent()
    if parent is not None:
        parent.remove(element)


def _draw_out(package: Package, main: str, root: _Element, body: WordBody) -> None:
    """Turn formulas, diagrams and charts into text where they stand."""
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
        texts = drawn_texts(drawn)
        if kind == "chart":
            rows = chart_rows(drawn)
            texts = [text for title in drawn.iter("{*}title") for text in drawn_texts(title)]
            if next(host.iterancestors(f"{_W}tc"), None) is None:
                body.tables.append(rows)
                texts.append(f"{body.token}{len(body.tables) - 1}")
            else:
                texts += [" ".join(row) for row in rows]
        for text in reversed(texts):
            host.addnext(_paragraph(text))


def _mark_notes(package: Package, main: str, root: _Element) -> dict[str, str]:
    """Put "[1]" where a footnote or an endnote is referred to, and return the notes' texts by such marks."""
    texts: dict[tuple[str, str], str] = {}
    for kind, part in package.related(main).values():
        if kind in ("footnotes", "endnotes") and part in package.part_names:
            for note in package.tree(part).iter(f"{_W}footnote", f"{_W}endnote"):
                texts[kind, note.get(f"{_W}id", "")] = " ".join("".join(_texts(note)).split())
    found: dict[str, str] = {}
    for reference in list(root.iter(f"{_W}footnoteReference", f"{_W}endnoteReference")):
        kind = f"{etree.QName(reference).localname.removesuffix('Reference')}s"
        text = texts.get((kind, reference.get(f"{_W}id", "")))
        parent = reference.getparent()
        if text and parent is not None:
            mark = f"[{len(found) + 1}]"
            found[mark] = text
            parent.replace(reference, _text(mark))
            parent.set("note", mark)
    return found


def _place_notes(block: _Element, notes: dict[str, str]) -> None:
    marks = [run.attrib.pop("note") for run in block.iter(f"{_W}r") if "note" in run.attrib]
    for mark in reversed(marks):
        block.addnext(_paragraph(f"{mark} {notes[mark]}"))


def _free_text_boxes(root: _Element) -> None:
    """Put the content of text boxes after the paragraphs that they are anchored to."""
    for box in reversed(list(root.iter(f"{_W}txbxContent"))):
        host = next(box.iterancestors(f"{_W}p"), None)
        if host is not None:
            for block in reversed(list(box)):
                host.addnext(block)
        _remove(box)


def _join_runs(root: _Element) -> None:
    """Make each paragraph one run: unstructured asks for the text of each run many times."""
    etree.strip_elements(root, *(f"{_W}{name}" for name in ("drawing", "pict", "object")), with_tail=False)
    etree.strip_tags(root, f"{_W}r")
    for paragraph in root.iterfind(f"{_W}body/{_W}p"):
        run = etree.Element(f"{_W}r")
        run.extend([part for part in paragraph if part.tag != f"{_W}pPr"])
        paragraph.append(run)


def _replace_table(table: _Element, body: WordBody, cells: Cells) -> None:
    """Put a token in a table's place, or where it has but one cell, which is a frame, what is in it."""
    held = list(islice(table.iterfind(f"{_W}tr/{_W}tc"), 2))
    if len(held) == 1:
        for block in reversed(list(held[0])):
            if block.tag in (f"{_W}p", f"{_W}tbl"):
                table.addnext(block)
                if block.tag == f"{_W}tbl":
                    _replace_table(block, body, cells)
        _remove(table)
        return
    rows = []
    for row in table.iterfind(f"{_W}tr"):
        rows.append(list(_row(row)))
        cells.take(rows[-1])
    body.tables.append(rows)
    table.addnext(_paragraph(f"{body.token}{len(body.tables) - 1}"))
    _remove(table)


def _row(row: _Element) -> Iterator[str]:
    """Yield the cells of a row; what a cell covers by being merged is empty."""
    skipped = _number(row.find(f"{_W}trPr/{_W}gridBefore"), 0)
    yield from [""] * skipped
    for cell in row.iterfind(f"{_W}tc"):
        merged = cell.find(f"{_W}tcPr/{_W}vMerge")
        covered = merged is not None and merged.get(_VAL, "continue") == "continue"
        text = "".join(_texts(cell))
        # Word hides what a covered cell holds, but only where there is a cell above it.
        yield "" if covered else text
        yield from [""] * (_number(cell.find(f"{_W}tcPr/{_W}gridSpan"), 1) - 1)


def _number(element: _Element | None, usual: int) -> int:
    value = element.get(_VAL, "") if element is not None else ""
    return min(int(value), _MOST_COLUMNS) if value.isdecimal() else usual


def _texts(element: _Element) -> Iterable[str]:
    """Yield the text in an element, a space or a tab between paragraphs and cells."""
    for part in element.iter(*(f"{_W}{name}" for name in ("t", "tab", "br", "cr", "noBreakHyphen", "p"))):
        name = part.tag[len(_W) :]
        if name == "t":
            yield part.text or ""
        elif name != "tab" or part.getparent().tag == f"{_W}r":
            yield "-" if name == "noBreakHyphen" else " "


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
