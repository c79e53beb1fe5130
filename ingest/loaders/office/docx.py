"""Word documents (.docx): headings, numbered lists, tables, notes, text boxes, charts.

A DOCX has no lines; each paragraph and table row counts as a line. The main part is parsed
once, simplified (`word_body`), and read in a single walk (`word_blocks`).
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ingest.errors import TooLargeError, UnreadableError
from ingest.loaders.office.file_kind import Kind, kind_of
from ingest.loaders.office.ooxml import Package, open_package
from ingest.loaders.office.regions import CellBudget
from ingest.loaders.office.word_blocks import WordReader
from ingest.loaders.office.word_body import plain_body
from ingest.loaders.office.word_numbering import ListNumbers
from ingest.loaders.office.word_styles import WordStyles
from ingest.options import LoadOptions
from ingest.parsed import ParsedDocument, TextBuilder

if TYPE_CHECKING:
    from lxml.etree import _Element

__all__ = ["load_docx"]

# The main part is held as a tree: 20 MB of short runs take 430 MB.
_MAX_XML_BYTES = 30_000_000
# A first heading further down is a chapter title; the title in the file's properties is better.
_TOP_CHARACTERS = 500


def load_docx(path: Path, options: LoadOptions) -> ParsedDocument:
    """Load a DOCX file; pages are those that Word recorded when saving, if any.

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
        return _document(package, main, CellBudget(path.name, options.limits))


def _check_size(package: Package, main: str) -> None:
    size_bytes = package.size_bytes(main)
    if size_bytes > _MAX_XML_BYTES:
        raise TooLargeError(
            f"{package.name}: its text and layout take {size_bytes / 1e6:,.0f} MB, more than "
            f"{_MAX_XML_BYTES / 1e6:,.0f} MB; split it"
        )


def _document(package: Package, main: str, cells: CellBudget) -> ParsedDocument:
    body = plain_body(package, main)
    characters = sum(len(text.text or "") for text in body.root.iter("{*}t"))
    if characters > cells.limits.characters:
        raise TooLargeError(
            f"{package.name}: it holds {characters:,} characters, more than {cells.limits.characters:,}; "
            "split it, or raise max_characters"
        )
    builder = TextBuilder()
    reader = WordReader(
        builder, WordStyles(_part(package, main, "styles")), ListNumbers(_part(package, main, "numbering")), cells
    )
    reader.read(body)
    title = _title(package)
    if reader.heading and (not title or reader.heading_at < _TOP_CHARACTERS):
        title = reader.heading
    notes = ["an embedded document was skipped"] if body.embedded else []
    return builder.build(title=title, pages=reader.pages, notes=notes, incomplete=bool(notes))


def _part(package: Package, main: str, kind: str) -> _Element | None:
    """Return the tree of a related part, such as "styles"; `None` if there is none."""
    name = next((name for found, name in package.related(main).values() if found == kind), "")
    return package.tree(name) if name in package.part_names else None


def _title(package: Package) -> str | None:
    core = next((part for kind, part in package.related().values() if kind == "core-properties"), "")
    if core not in package.part_names:
        return None
    return " ".join((package.tree(core).findtext("{*}title") or "").split()) or None
