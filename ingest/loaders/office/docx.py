"""Word documents (.docx) through unstructured: headings, lists and numbering from the styles.

A DOCX has no lines; each paragraph and table row counts as one. What unstructured would
pass over is made plain before, see `word_body`; it is given that and the styles, and
nothing else of the file.
"""

from __future__ import annotations

import io
import zipfile
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from lxml import etree

from ingest.errors import TooLargeError, UnreadableError
from ingest.loaders.markdown_table import markdown_table
from ingest.loaders.office.chinese_numbers import count_in_chinese
from ingest.loaders.office.ooxml import Package, open_package
from ingest.loaders.office.regions import Cells
from ingest.loaders.office.shared import Kind, kind_of
from ingest.loaders.office.word_body import WordBody, plain_body
from ingest.loaders.office.word_styles import plain_styles
from ingest.loaders.partition import partition_docx
from ingest.options import LoadOptions
from ingest.parsed import BlockKind, ParsedDocument, TextBuilder

if TYPE_CHECKING:
    from lxml.etree import _Element
    from unstructured.documents.elements import Element

__all__ = ["load_docx"]

_KINDS = {"Title": BlockKind.HEADING, "ListItem": BlockKind.LIST_ITEM}
# The main part becomes a tree, and unstructured makes another of it: 20 MB of short runs take 650 MB.
_MAX_XML_BYTES = 20_000_000
# unstructured takes about 0.3 ms for each, and 700 MB for so many.
_MAX_PARAGRAPHS = 100_000
# A heading further down is a chapter's, and the title that the file's properties name is better.
_TOP_CHARACTERS = 500
_MAIN = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_TYPE = "application/vnd.openxmlformats-officedocument.wordprocessingml"


def load_docx(path: Path, options: LoadOptions) -> ParsedDocument:
    """Load a DOCX file; pages are those that Word recorded when it saved the file, if it did.

    Raises:
        PasswordRequiredError: the document is encrypted, and no password fits.
        UnreadableError: it is not a DOCX, or broken.
        TooLargeError: it holds more than the bounds allow.
    """
    if kind_of(path) is Kind.WORD:
        from ingest.loaders.office.legacy import load_doc

        return load_doc(path, options)
    with open_package(path, options, "Word") as package:
        main = next((part for kind, part in package.related().values() if kind == "officeDocument"), "")
        if main not in package.part_names:
            raise UnreadableError(f"{path.name}: not a Word document, or broken; save it again from Word")
        _check_size(package, main)
        root, body = plain_body(package, main, Cells(path.name, options.limits))
        title = _title(package)
        plain = _plain_package(package, main, root, options)
    del root  # unstructured makes a tree of its own
    notes = ["an embedded document is left out"] if body.embedded else []
    try:
        elements = partition_docx(plain)
    except Exception as error:
        raise UnreadableError(
            f"{path.name}: broken ({type(error).__name__}: {error}); open it in Word and save it again"
        ) from error
    return _document(elements, body, title, notes)


def _check_size(package: Package, main: str) -> None:
    size_bytes = package.size_bytes(main)
    if size_bytes > _MAX_XML_BYTES:
        raise TooLargeError(
            f"{package.name}: its text and layout take {size_bytes / 1e6:,.0f} MB, more than "
            f"{_MAX_XML_BYTES / 1e6:,.0f} MB; split it"
        )


def _plain_package(package: Package, main: str, root: _Element, options: LoadOptions) -> io.BytesIO:
    """Return a document of the body, the styles and the numbering alone."""
    texts = paragraphs = 0
    for paragraph in root.iter("{*}p"):
        paragraphs += 1
        texts += sum(len(text.text or "") for text in paragraph.iter("{*}t"))
    if paragraphs > _MAX_PARAGRAPHS or texts > options.limits.characters:
        raise TooLargeError(
            f"{package.name}: it holds {paragraphs:,} paragraphs of {texts:,} characters, more than "
            f"{_MAX_PARAGRAPHS:,} or {options.limits.characters:,}; split it"
        )
    parts: dict[str, _Element] = {}
    for kind, part in package.related(main).values():
        if kind in ("styles", "numbering") and part in package.part_names:
            parts[kind] = package.tree(part)
    if "styles" in parts:
        plain_styles(parts["styles"], root)
    if "numbering" in parts:
        _count_in_chinese()
    related = "".join(f'<Relationship Id="{kind}" Type="{_MAIN}/{kind}" Target="{kind}.xml"/>' for kind in parts)
    types = "".join(f'<Override PartName="/word/{kind}.xml" ContentType="{_TYPE}.{kind}+xml"/>' for kind in parts)
    package_ns = "http://schemas.openxmlformats.org/package/2006"
    plain = io.BytesIO()
    with zipfile.ZipFile(plain, "w") as archive:
        archive.writestr(
            "[Content_Types].xml",
            f'<Types xmlns="{package_ns}/content-types"><Default Extension="rels" '
            'ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
            f'<Override PartName="/word/document.xml" ContentType="{_TYPE}.document.main+xml"/>{types}</Types>',
        )
        relationships = f'<Relationships xmlns="{package_ns}/relationships">'
        archive.writestr(
            "_rels/.rels",
            f'{relationships}<Relationship Id="main" Type="{_MAIN}/officeDocument" Target="word/document.xml"/>'
            "</Relationships>",
        )
        archive.writestr("word/_rels/document.xml.rels", f"{relationships}{related}</Relationships>")
        archive.writestr("word/document.xml", etree.tostring(root, encoding="UTF-8"))
        for kind, tree in parts.items():
            archive.writestr(f"word/{kind}.xml", etree.tostring(tree, encoding="UTF-8"))
    plain.seek(0)
    return plain


@cache
def _count_in_chinese() -> None:
    """Have unstructured write the numbers of lists ("第三条") in Chinese where Word does; it leaves such ones out."""
    from unstructured.partition import docx

    labels, unknown = docx._ListLabels, docx._UnrenderableLabel
    plain = labels._format_number

    def format_number(value: int, number_format: str) -> str:
        counted = count_in_chinese(value, number_format)
        if counted is not None:
            return counted
        try:
            return str(plain(value, number_format))
        except unknown:
            # A number in other digits than Word's says more than none.
            return str(value)

    labels._format_number = staticmethod(format_number)


def _title(package: Package) -> str | None:
    core = next((part for kind, part in package.related().values() if kind == "core-properties"), "")
    if core not in package.part_names:
        return None
    return " ".join((package.tree(core).findtext("{*}title") or "").split()) or None


def _document(elements: list[Element], body: WordBody, title: str | None, notes: list[str]) -> ParsedDocument:
    builder = TextBuilder()
    heading: str | None = None
    pages = max((element.metadata.page_number or 1 for element in elements), default=1)
    for element in elements:
        lines = [line.strip() for line in element.text.splitlines() if line.strip()]
        if not lines or element.category == "PageBreak":
            continue
        page = element.metadata.page_number if pages > 1 else None
        if lines[0].startswith(body.token):
            _add_table(builder, body.tables[int(lines[0].removeprefix(body.token))], page)
            continue
        kind = _KINDS.get(element.category, BlockKind.PARAGRAPH)
        level = (element.metadata.category_depth or 0) + 1 if kind is BlockKind.HEADING else 0
        if level == 1 and heading is None and (not title or len(builder) < _TOP_CHARACTERS):
            heading = " ".join(lines)
        builder.add(kind, lines, level=level, page=page)
    return builder.build(
        title=heading or title,
        pages=pages if pages > 1 else None,
        notes=notes,
        incomplete=bool(notes),
    )


def _add_table(builder: TextBuilder, rows: list[list[str]], page: int | None) -> None:
    """Add a table, and what spans all of its columns above the header as paragraphs."""
    rows = [row for row in rows if any(cell.strip() for cell in row)]
    titles = 0
    while titles < len(rows) - 1 and rows[titles][0].strip() and not any(cell.strip() for cell in rows[titles][1:]):
        titles += 1
    if all(len(row) == 1 for row in rows):
        titles = len(rows)
    for row in rows[:titles]:
        builder.add(BlockKind.PARAGRAPH, [" ".join(row[0].split())], page=page)
    lines, _ = markdown_table(rows[titles:])
    if lines:
        builder.add(BlockKind.TABLE, lines, page=page, header_rows=2)
