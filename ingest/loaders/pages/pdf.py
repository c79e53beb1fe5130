"""PDF, read by pdfium: paragraphs, headings, lists and tables of each page in reading order.

unstructured's PDF partitioner would bring a large inference stack for the same text.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from pathlib import Path

import pypdfium2 as pdfium

from ingest.cleaning import clean_line, join_lines
from ingest.errors import (
    GarbledError,
    NoTextError,
    OcrRequiredError,
    PasswordRequiredError,
    TooLargeError,
    UnreadableError,
)
from ingest.loaders.pages.blocks import Draft, Style, drafts_of
from ingest.loaders.pages.headers_footers import RepeatedLines, words_elsewhere
from ingest.loaders.pages.page_reader import PageReader
from ingest.loaders.pages.words import Line
from ingest.ocr import INSTALL_HINT, ocr_available
from ingest.options import LoadOptions
from ingest.parsed import BlockKind, ParsedDocument, TextBuilder

__all__ = ["load_pdf"]

_PASSWORD = pdfium.raw.FPDF_ERR_PASSWORD
_SAMPLE = 24
"""Pages sampled for a document's style, headers and footers."""
_MUCH_GARBLED = 0.1
"""Share of a document's characters above which the document itself counts as garbled."""

_JUNK_TITLE = re.compile(
    r"microsoft (word|powerpoint|excel)\b|untitled|无标题|未命名|\(?anonymous\)?$|doi:|(slide|page|文档)\s*\d*$"
    r"|.*\.(docx?|pptx?|xlsx?|pdf|indd|qxd|tex|dvi|rtf|odt|wps|html?|jpe?g|png|tiff?)\s*$|\W*$|https?:",
    re.IGNORECASE,
)
_FILE_NAME = re.compile(r"[\w.-]*[\d_][\w.-]*")
_LETTERS = re.compile(r"[^\W\d_]")


def load_pdf(path: Path, options: LoadOptions) -> ParsedDocument:
    """Load a PDF; pages count from 1, lines from 1 within each page.

    Raises:
        PasswordRequiredError: it is encrypted, and none of the passwords opens it.
        OcrRequiredError: its pages are pictures, and OCR is not installed or switched off.
        GarbledError: its text layer is all gibberish.
        NoTextError: its pages are empty.
        TooLargeError: it has too many pages, or too much text.
        UnreadableError: it is not a PDF, or broken.
    """
    document = _open(path, options.passwords)
    try:
        pages = len(document)
        if pages > options.limits.pages:
            raise TooLargeError(
                f"{path.name}: it has {pages:,} pages, more than {options.limits.pages:,}; split it, or raise max_pages"
            )
        return _read(document, path, options)
    finally:
        document.close()


def _open(path: Path, passwords: tuple[str, ...]) -> pdfium.PdfDocument:
    for password in (None, *_as_typed(passwords)):
        try:
            return pdfium.PdfDocument(path, password=password)
        except pdfium.PdfiumError as error:
            if error.err_code != _PASSWORD:
                raise UnreadableError(
                    f"{path.name}: not a PDF, or broken; open it and print it to a new PDF"
                ) from error
    why = "no password given opens it" if passwords else "no password was given"
    raise PasswordRequiredError(f"{path.name}: it is encrypted; {why}: pass --password, or save a copy without it")


def _as_typed(passwords: tuple[str, ...]) -> Iterator[str]:
    """Yield each password as typed, then normalised as PDF 2.0 requires (SASLprep)."""
    for password in passwords:
        yield password
        normalised = unicodedata.normalize("NFKC", password)
        if normalised != password:
            yield normalised


def _read(document: pdfium.PdfDocument, path: Path, options: LoadOptions) -> ParsedDocument:
    pages = len(document)
    reader = PageReader(document, options)
    sampled = {number: reader.read(number) for number in _sample(pages)}
    style = Style.of(sampled.values())
    repeated = RepeatedLines.of(sampled, pages)
    drafts: list[list[Draft]] = []
    aside: list[tuple[str, Line, int]] = []
    known: set[str] = set()
    characters = 0
    for number in range(1, pages + 1):
        layout = sampled.pop(number, None) or reader.read(number)
        for zone, line in repeated.take(layout):
            if line.text not in known and len(known) < 1_000:
                known.add(line.text)
                aside.append((zone, line, number))
        drafts.append(drafts_of(layout, style))
        characters += sum(len(line) for draft in drafts[-1] for line in draft.lines)
        if characters > options.limits.characters:
            raise TooLargeError(
                f"{path.name}: its first {number:,} pages hold more than {options.limits.characters:,} characters; "
                "split it, or raise max_characters"
            )
    _keep_unique(drafts, aside)
    if not any(drafts):
        raise _no_text_error(reader, path, pages)
    return _build(document, path, reader, drafts, style)


def _sample(pages: int) -> list[int]:
    """Return the pages to sample: all of a short document, else the first few and pairs throughout."""
    if pages <= _SAMPLE:
        return list(range(1, pages + 1))
    first = list(range(1, 5))
    pairs = (_SAMPLE - len(first)) // 2
    starts = [5 + (pages - 6) * place // pairs for place in range(pairs)]
    return sorted({*first, *starts, *(start + 1 for start in starts)})


def _keep_unique(drafts: list[list[Draft]], aside: list[tuple[str, Line, int]]) -> None:
    """Put back each header or footer, at its first place, that has words found nowhere else."""
    if not aside:
        return
    text = "".join("".join(line.lower().split()) for page in drafts for draft in page for line in draft.lines)
    for zone, line, number in aside:
        shown = clean_line(line.text)
        if not _LETTERS.search(shown) or words_elsewhere(shown, text):
            continue
        text += "".join(shown.lower().split())
        draft = Draft(BlockKind.PARAGRAPH, [shown], [line.number])
        page = drafts[number - 1]
        heads = sum(1 for other in page if other.numbers[0] < line.number) if zone == "head" else len(page)
        page.insert(heads, draft)


def _no_text_error(reader: PageReader, path: Path, pages: int) -> Exception:
    if reader.garbled:
        return GarbledError(
            f"{path.name}: its text layer is garbled (a font without Unicode); print it to a picture, and read that "
            f"by OCR: {INSTALL_HINT}"
        )
    if reader.without_text:
        why = "OCR is switched off; set ocr = true" if ocr_available() else f"install OCR: {INSTALL_HINT}"
        return OcrRequiredError(f"{path.name}: none of its {pages} pages has a text layer, it looks like a scan; {why}")
    if reader.broken:
        return UnreadableError(f"{path.name}: none of its pages can be read; open it and print it to a new PDF")
    return NoTextError(f"{path.name}: none of its {pages} pages has a text layer, or anything that OCR could read")


def _build(
    document: pdfium.PdfDocument, path: Path, reader: PageReader, drafts: list[list[Draft]], style: Style
) -> ParsedDocument:
    headings = [
        (draft.size, draft.bold, sum(map(len, draft.lines)))
        for page in drafts
        for draft in page
        if draft.kind is BlockKind.HEADING
    ]
    characters = sum(len(line) for page in drafts for draft in page for line in draft.lines)
    levels = style.levels(headings, characters)
    builder = TextBuilder()
    for number, page in enumerate(drafts, start=1):
        for draft in page:
            _add(builder, draft, levels.get((draft.size, draft.bold), 0), number)
    lost = sorted({*reader.without_text, *reader.broken})
    read_by_ocr = _ranges(sorted(reader.scanned))
    notes = [
        note
        for note, numbers in (
            (f"no text on page {_ranges(lost)}", lost),
            (f"only a picture on page {_ranges(sorted(reader.pictures))}", reader.pictures),
            (f"garbled text skipped on page {_ranges(sorted(reader.garbled))}", reader.garbled),
            (f"page{'s' if len(reader.scanned) > 1 else ''} {read_by_ocr} read by OCR", reader.scanned),
        )
        if numbers
    ]
    return builder.build(
        title=_title(document, path, drafts[0], levels),
        pages=len(document),
        notes=notes,
        incomplete=bool(lost or reader.pictures or reader.garbled),
        lacks_ocr=bool(reader.without_text or reader.pictures or reader.garbled),
        garbled=reader.lost >= _MUCH_GARBLED * (reader.lost + characters) > 0,
    )


def _add(builder: TextBuilder, draft: Draft, level: int, page: int) -> None:
    kind = draft.kind
    if kind is BlockKind.HEADING and not level:
        kind = BlockKind.PARAGRAPH
    builder.add(
        kind,
        draft.lines,
        numbers=draft.numbers,
        level=level if kind is BlockKind.HEADING else 0,
        page=page,
        joined=kind in (BlockKind.PARAGRAPH, BlockKind.LIST_ITEM, BlockKind.HEADING),
        header_rows=2 if kind is BlockKind.TABLE else 0,
    )


def _title(
    document: pdfium.PdfDocument, path: Path, first: list[Draft], levels: dict[tuple[float, bool], int]
) -> str | None:
    """Return the title in the metadata unless it is a file name, else the largest heading of the first page."""
    try:
        own = clean_line(document.get_metadata_value("Title"))
    except UnicodeDecodeError:  # damaged metadata says nothing about the pages
        own = ""
    if own and not _JUNK_TITLE.match(own) and own.lower() != path.stem.lower() and not _FILE_NAME.fullmatch(own):
        return own
    headings = [draft for draft in first if draft.kind is BlockKind.HEADING and (draft.size, draft.bold) in levels]
    if not headings:
        return None
    return join_lines(max(headings, key=lambda draft: draft.size).lines)[0]


def _ranges(numbers: list[int]) -> str:
    """`[1, 2, 3, 7]` as "1-3, 7"."""
    parts: list[list[int]] = []
    for number in numbers:
        if parts and number == parts[-1][-1] + 1:
            parts[-1][1:] = [number]
        else:
            parts.append([number])
    return ", ".join("-".join(map(str, part)) for part in parts)
