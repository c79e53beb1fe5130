"""Spreadsheets (.xlsx, .xls): each sheet a heading, each region of cells a table or a paragraph.

Lines are rows of the sheet. Only cells that the file really holds are read; its declared
size may be anything.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from ingest.errors import PasswordRequiredError, TooLargeError, UnreadableError
from ingest.loaders.office.cell_format import cell_text, is_locale_date
from ingest.loaders.office.decryption import decrypted
from ingest.loaders.office.drawings import drawn_texts
from ingest.loaders.office.file_kind import Kind, kind_of
from ingest.loaders.office.ooxml import Package, open_package
from ingest.loaders.office.regions import CellBudget, Row, add_sheet
from ingest.options import LoadOptions
from ingest.parsed import ParsedDocument, TextBuilder

if TYPE_CHECKING:
    import xlrd

__all__ = ["load_xls", "load_xlsx"]

_MAX_ROW = 1_048_576
# openpyxl pads rows with empty cells, which cost little, up to their last cell.
_EMPTY_A_CELL = 50
# Held in memory as Python strings.
_MAX_SHARED_STRINGS_BYTES = 150_000_000


def load_xlsx(path: Path, options: LoadOptions) -> ParsedDocument:
    """Load an XLSX file; pages are sheets, formulas show the results that were saved.

    Raises:
        PasswordRequiredError: the workbook is encrypted, and no password fits.
        UnreadableError: it is not a workbook, or broken.
        TooLargeError: it holds more than the bounds allow.
    """
    kind = kind_of(path)
    if kind is Kind.EXCEL:
        return load_xls(path, options)
    with open_package(path, options, "Excel") as package:
        if package.size_bytes("xl/sharedStrings.xml") > _MAX_SHARED_STRINGS_BYTES:
            raise TooLargeError(f"{path.name}: its texts take more than {_MAX_SHARED_STRINGS_BYTES:,} bytes; split it")
        if "xl/workbook.bin" in package.part_names:
            raise UnreadableError(f"{path.name}: a binary workbook (XLSB); save it as .xlsx from Excel")
        package.check_parts()
        with warnings.catch_warnings():
            # About features it could not write back: validation, extensions.
            warnings.simplefilter("ignore")
            return _read_workbook(path, package, options)


def _read_workbook(path: Path, package: Package, options: LoadOptions) -> ParsedDocument:
    from openpyxl import load_workbook

    package.stream.seek(0)
    try:
        workbook = load_workbook(package.stream, read_only=True, data_only=True, keep_links=False)
    except Exception as error:
        raise UnreadableError(
            f"{path.name}: not an Excel workbook, or broken ({type(error).__name__}); save it again from Excel"
        ) from error
    shapes = _shapes(package)
    book = _WorkbookReader(path, options)
    for number, sheet in enumerate(workbook.worksheets, start=1):
        sheet.reset_dimensions()
        hidden = sheet.sheet_state != "visible"
        book.add(number, sheet.title, hidden, _xlsx_rows(sheet, book.cells), shapes.get(sheet.title, ()))
    return book.build()


def _shapes(package: Package) -> dict[str, list[tuple[int, str]]]:
    """Return the paragraphs in the shapes of each sheet, by sheet name, with the row where the shape begins."""
    main = next((part for kind, part in package.related().values() if kind == "officeDocument"), "xl/workbook.xml")
    parts = package.related(main)
    found: dict[str, list[tuple[int, str]]] = {}
    for sheet in package.tree(main).iter("{*}sheet"):
        ids = [value for name, value in sheet.attrib.items() if name.endswith("}id")]
        _, part = parts.get(ids[0] if ids else "", ("", ""))
        for kind, drawing in package.related(part).values() if part else ():
            if kind == "drawing" and drawing in package.part_names:
                texts = found.setdefault(sheet.get("name", ""), [])
                for anchor in package.tree(drawing):
                    row = int(anchor.findtext("{*}from/{*}row") or 0) + 1
                    texts += [(row, text) for text in drawn_texts(anchor)]
    return found


def _xlsx_rows(sheet: Any, cells: CellBudget) -> Iterator[Row]:
    from openpyxl.cell.read_only import EMPTY_CELL

    slots = 0
    for number, row in enumerate(sheet.iter_rows(), start=1):
        slots += len(row)
        if number > _MAX_ROW or slots > cells.limits.cells * _EMPTY_A_CELL:
            raise TooLargeError(
                f"{cells.name}: sheet {sheet.title} spans more rows and columns than a sheet can have; split it"
            )
        found: Row = (number, {})
        for cell in row:
            if cell is not EMPTY_CELL and cell.value is not None:
                found[1][cell.column] = (_xlsx_text(cell), isinstance(cell.value, int | float))
        if found[1]:
            yield found


def _xlsx_text(cell: Any) -> str:
    value = cell.value
    if isinstance(value, int | float) and is_locale_date(cell.style_array.numFmtId):
        from openpyxl.utils.datetime import from_excel

        value = from_excel(value, cell.parent.parent.epoch)
    return cell_text(value, cell.number_format or "General")


def load_xls(path: Path, options: LoadOptions) -> ParsedDocument:
    """Load an Excel 97 to 2003 workbook; pages are sheets.

    HTML, XML, text and XLSX, which programs also export under this suffix, are read as what they are.

    Raises:
        PasswordRequiredError: the workbook is encrypted, and no password fits.
        UnreadableError: it is not a workbook, or broken.
        TooLargeError: it holds more than the bounds allow.
        UnsupportedError: it needs LibreOffice, which is not installed.
    """
    kind = kind_of(path)
    if kind in (Kind.ZIP, Kind.ENCRYPTED):
        return load_xlsx(path, options)
    if kind is not Kind.EXCEL:
        from ingest.loaders.office.legacy import load_as_it_is

        return load_as_it_is(path, kind, options, "xlsx")
    return _read_xls(path, decrypted(path, options), options)


def _read_xls(path: Path, plain: BinaryIO | None, options: LoadOptions) -> ParsedDocument:
    import io

    import xlrd

    data = plain.read() if plain is not None else path.read_bytes()
    try:
        workbook = xlrd.open_workbook(
            file_contents=data, formatting_info=True, on_demand=True, ragged_rows=True, logfile=io.StringIO()
        )
    except Exception as error:
        if "encrypted" in str(error):
            raise PasswordRequiredError(
                f"{path.name}: it is encrypted; give its password with --password, or save a copy without"
            ) from error
        raise UnreadableError(
            f"{path.name}: not an Excel workbook, or broken ({type(error).__name__}: {error}); save it again from Excel"
        ) from error
    book = _WorkbookReader(path, options)
    for number in range(1, workbook.nsheets + 1):
        sheet = workbook.sheet_by_index(number - 1)
        book.add(number, sheet.name, sheet.visibility != 0, _xls_rows(workbook, sheet))
        workbook.unload_sheet(number - 1)
    return book.build()


def _xls_rows(workbook: xlrd.book.Book, sheet: xlrd.sheet.Sheet) -> Iterator[Row]:
    import xlrd

    for index in range(sheet.nrows):
        found: Row = (index + 1, {})
        for column, cell in enumerate(sheet.row(index), start=1):
            number = cell.ctype in (xlrd.XL_CELL_NUMBER, xlrd.XL_CELL_DATE)
            if cell.ctype not in (xlrd.XL_CELL_EMPTY, xlrd.XL_CELL_BLANK) and cell.value != "":
                found[1][column] = (_xls_text(workbook, cell), number)
        if found[1]:
            yield found


def _xls_text(workbook: xlrd.book.Book, cell: xlrd.sheet.Cell) -> str:
    import xlrd

    if cell.ctype == xlrd.XL_CELL_DATE:
        try:
            moment = xlrd.xldate.xldate_as_datetime(cell.value, workbook.datemode)
        except (ValueError, OverflowError):
            return cell_text(cell.value)
        return cell_text(moment.time() if 0 < cell.value < 1 else moment)
    if cell.ctype == xlrd.XL_CELL_BOOLEAN:
        return cell_text(bool(cell.value))
    if cell.ctype == xlrd.XL_CELL_ERROR:
        return str(xlrd.error_text_from_code.get(cell.value, "#ERROR"))
    if cell.ctype == xlrd.XL_CELL_TEXT:
        return str(cell.value)
    style = workbook.xf_list[cell.xf_index] if cell.xf_index is not None else None
    shown = workbook.format_map.get(style.format_key) if style else None
    return cell_text(cell.value, shown.format_str if shown else "General")


class _WorkbookReader:
    """Adds the sheets of a workbook to a document."""

    def __init__(self, path: Path, options: LoadOptions) -> None:
        self._options = options
        self._builder = TextBuilder()
        self._hidden: list[str] = []
        self._sheets = 0
        self.cells = CellBudget(path.name, options.limits)

    def add(
        self, number: int, name: str, hidden: bool, rows: Iterable[Row], shapes: Iterable[tuple[int, str]] = ()
    ) -> None:
        if number > self._options.limits.pages:
            raise TooLargeError(f"{self.cells.name}: it has more than {self._options.limits.pages:,} sheets; split it")
        self._sheets = number
        title = " ".join(name.split()) or f"{number}"
        if add_sheet(self._builder, title, rows, shapes, page=number, cells=self.cells) and hidden:
            self._hidden.append(title)
        self._options.page_done()

    def build(self) -> ParsedDocument:
        notes = [f"hidden sheets included: {', '.join(self._hidden)}"] if self._hidden else []
        return self._builder.build(pages=self._sheets, notes=notes)
