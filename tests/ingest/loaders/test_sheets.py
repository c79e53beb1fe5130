import io
import re
import shutil
import subprocess
import zipfile
from collections.abc import Callable
from datetime import date, datetime, time
from pathlib import Path

import openpyxl
import pytest
from contract import check_document
from msoffcrypto.format.ooxml import OOXMLFile
from openpyxl.worksheet.worksheet import Worksheet

from ingest import BlockKind, ParsedDocument, load
from ingest.errors import NoTextError, PasswordRequiredError, TooLargeError, UnreadableError
from ingest.loaders.office.cell_format import cell_text
from ingest.options import Limits, LoadOptions

DEFAULTS = LoadOptions()
TABLE = [["品名", "单价"], ["苹果", 3.5], ["梨", 4]]
SHEET = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"


def fill(sheet: Worksheet, rows: list[list[object]], row: int = 1, column: int = 1) -> None:
    for down, cells in enumerate(rows):
        for across, value in enumerate(cells):
            sheet.cell(row + down, column + across, value)


def workbook(path: Path, *rows: list[list[object]]) -> Path:
    made = openpyxl.Workbook()
    for number, cells in enumerate(rows or (TABLE,)):
        fill(made.active if number == 0 else made.create_sheet(), cells)
    made.save(path)
    return path


def with_part(path: Path, part: str, change: Callable[[bytes], bytes]) -> Path:
    """Change one part of a package."""
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    parts[part] = change(parts[part])
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in parts.items():
            archive.writestr(name, data)
    return path


def sheet_xml(path: Path, xml: str) -> Path:
    """Give a workbook a sheet of our own making."""
    return with_part(
        workbook(path), "xl/worksheets/sheet1.xml", lambda _: f'<worksheet xmlns="{SHEET}">{xml}</worksheet>'.encode()
    )


def loaded(path: Path, options: LoadOptions = DEFAULTS) -> ParsedDocument:
    document = load(path, options)
    check_document(document)
    return document


def blocks(document: ParsedDocument) -> list[tuple[BlockKind, str, int | None]]:
    return [(block.kind, document.text[block.start : block.end], block.page) for block in document.blocks]


def test_each_sheet_is_a_heading_and_its_cells_a_table(tmp_path: Path) -> None:
    made = openpyxl.Workbook()
    made.active.title = "价目"
    fill(made.active, TABLE)
    fill(made.create_sheet("空"), [])
    fill(made.create_sheet("Notes"), [["one"], ["two"]], row=4)
    made.save(tmp_path / "x.xlsx")
    document = loaded(tmp_path / "x.xlsx")
    assert blocks(document) == [
        (BlockKind.HEADING, "价目", 1),
        (BlockKind.TABLE, "| 品名 | 单价 |\n| --- | --- |\n| 苹果 | 3.5 |\n| 梨 | 4 |", 1),
        (BlockKind.HEADING, "Notes", 3),
        (BlockKind.PARAGRAPH, "one\ntwo", 3),
    ]
    assert document.pages == 3
    table, notes = document.blocks[1], document.blocks[3]
    assert document.text[table.start : table.header_end] == "| 品名 | 单价 |\n| --- | --- |"
    assert [line for _, line in document.lines_of(table.start, table.end)] == [1, 1, 2, 3]
    assert [line for _, line in document.lines_of(notes.start, notes.end)] == [4, 5]


def test_titles_above_a_table_are_paragraphs(tmp_path: Path) -> None:
    made = openpyxl.Workbook()
    fill(made.active, [["2024 年价目"], ["单位：元"], *TABLE], row=2, column=3)
    made.active.merge_cells("C2:D2")
    made.save(tmp_path / "x.xlsx")
    assert blocks(loaded(tmp_path / "x.xlsx"))[1:] == [
        (BlockKind.PARAGRAPH, "2024 年价目\n单位：元", 1),
        (BlockKind.TABLE, "| 品名 | 单价 |\n| --- | --- |\n| 苹果 | 3.5 |\n| 梨 | 4 |", 1),
    ]


def test_regions_are_tables_of_their_own(tmp_path: Path) -> None:
    made = openpyxl.Workbook()
    fill(made.active, TABLE)
    fill(made.active, [["城市", "人口"], ["北京", 2189]], column=4)
    fill(made.active, [["姓名", "电话"], ["张三", "010-1"]], row=7)
    made.save(tmp_path / "x.xlsx")
    tables = [text.split("\n")[0] for kind, text, _ in blocks(loaded(tmp_path / "x.xlsx")) if kind is BlockKind.TABLE]
    assert tables == ["| 品名 | 单价 |", "| 城市 | 人口 |", "| 姓名 | 电话 |"]


def test_an_empty_row_does_not_separate_numbers_from_their_header(tmp_path: Path) -> None:
    made = openpyxl.Workbook()
    fill(made.active, TABLE)
    fill(made.active, [["葡萄", 9]], row=6)
    made.save(tmp_path / "x.xlsx")
    document = loaded(tmp_path / "x.xlsx")
    assert blocks(document)[1][1].endswith("| 梨 | 4 |\n| 葡萄 | 9 |")
    assert [line for _, line in document.lines_of(document.blocks[1].start, document.blocks[1].end)] == [1, 1, 2, 3, 6]


def test_a_column_of_labels_stays_with_values_further_right(tmp_path: Path) -> None:
    made = openpyxl.Workbook()
    for row, (label, value) in enumerate([("项目", "金额"), ("房租", 5000)], start=1):
        made.active.cell(row, 1, label)
        made.active.cell(row, 5, value)
    made.save(tmp_path / "x.xlsx")
    assert blocks(loaded(tmp_path / "x.xlsx"))[1][1] == "| 项目 | 金额 |\n| --- | --- |\n| 房租 | 5000 |"


@pytest.mark.parametrize(
    ("value", "pattern", "shown"),
    [
        (3.0, "General", "3"),
        (0.1 + 0.2, "General", "0.3"),
        (1234567.0, "General", "1234567"),
        (110101199001011234, "0", "110101199001011234"),
        (1234.5, "#,##0.00", "1,234.50"),
        (-1234.5, "#,##0.00_);[Red](#,##0.00)", "(1,234.50)"),
        (0.256, "0.0%", "25.6%"),
        (42, "000000", "000042"),
        (12.5, "[$¥-804]#,##0.00", "¥12.50"),
        (12, '0"元"', "12元"),
        (0.5, "0.##", "0.5"),
        (5, "# ?/?", "5"),
        (1e-9, "General", "1e-09"),
        (float("nan"), "0.0", "nan"),
        (True, "General", "TRUE"),
        (None, "General", ""),
        (datetime(2024, 3, 1), "General", "2024-03-01"),
        (datetime(2024, 3, 1, 10, 29, 59, 999999), "General", "2024-03-01 10:30"),
        (date(2024, 3, 1), "General", "2024-03-01"),
        (time(9, 5, 7), "General", "09:05:07"),
        ("文本", "@", "文本"),
    ],
)
def test_values_are_shown_as_the_sheet_shows_them(value: object, pattern: str, shown: str) -> None:
    assert cell_text(value, pattern) == shown


def test_dates_percentages_and_escaped_bars_in_a_workbook(tmp_path: Path) -> None:
    made = openpyxl.Workbook()
    fill(made.active, [["日期", "比例", "备注"], [datetime(2024, 3, 1), 0.125, "a|b\nc"]])
    made.active["B2"].number_format = "0.0%"
    made.save(tmp_path / "x.xlsx")
    assert blocks(loaded(tmp_path / "x.xlsx"))[1][1].endswith("| 2024-03-01 | 12.5% | a\\|b c |")


def test_the_dates_of_chinese_excel_are_dates(tmp_path: Path) -> None:
    path = workbook(tmp_path / "x.xlsx", [["签订日期", "编号"], [datetime(2024, 3, 1), "甲"]])
    # 31 is 2024年3月1日 there, and has no pattern in the file.
    with_part(path, "xl/styles.xml", lambda xml: re.sub(rb"<numFmts.*?</numFmts>", b"", xml).replace(b'"164"', b'"31"'))
    assert "| 2024-03-01 | 甲 |" in loaded(path).text


def test_formulas_show_their_saved_results(tmp_path: Path) -> None:
    path = sheet_xml(
        tmp_path / "x.xlsx",
        '<sheetData><row r="1"><c r="A1"><v>2</v></c><c r="B1"><f>A1*2</f><v>4</v></c></row></sheetData>',
    )
    assert "| 2 | 4 |" in loaded(path).text


def test_hidden_sheets_are_read_and_named(tmp_path: Path) -> None:
    made = openpyxl.Workbook()
    fill(made.active, TABLE)
    hidden = made.create_sheet("底稿")
    fill(hidden, TABLE)
    hidden.sheet_state = "veryHidden"
    made.save(tmp_path / "x.xlsx")
    document = loaded(tmp_path / "x.xlsx")
    assert document.notes == ("hidden sheets included: 底稿",)
    assert not document.incomplete
    assert document.text.count("苹果") == 2


def test_a_few_cells_in_a_sheet_that_claims_to_be_vast(tmp_path: Path) -> None:
    path = sheet_xml(
        tmp_path / "x.xlsx",
        '<dimension ref="A1:XFD1048576"/><sheetData><row r="3"><c r="B3"><v>1</v></c><c r="XFD3"><v>2</v></c></row>'
        '<row r="1048576"><c r="B1048576" t="inlineStr"><is><t>末尾</t></is></c></row></sheetData>',
    )
    document = loaded(path)
    assert [text for _, text, _ in blocks(document)][1:] == ["| 1 | 2 |\n| --- | --- |", "末尾"]
    assert document.line_marks[-1][1] == 1_048_576


def test_rows_beyond_what_a_sheet_can_have_end_quickly(tmp_path: Path) -> None:
    path = sheet_xml(
        tmp_path / "x.xlsx", '<sheetData><row r="2000000000"><c r="A2000000000"><v>1</v></c></row></sheetData>'
    )
    with pytest.raises(UnreadableError, match=r"^x\.xlsx: "):
        loaded(path)


def test_limits_on_cells_characters_sheets_and_parts(tmp_path: Path) -> None:
    path = workbook(tmp_path / "x.xlsx", TABLE, TABLE)
    for limits, why in (
        (Limits(cells=10), "more than 10 cells"),
        (Limits(characters=30), "more than 30 characters"),
        (Limits(pages=1), "more than 1 sheets"),
        (Limits(members=3), "more than 3"),
        (Limits(unpacked_bytes=1_000), "unpacks to"),
    ):
        with pytest.raises(TooLargeError, match=rf"^x\.xlsx: .*{why}"):
            loaded(path, LoadOptions(limits=limits))


def test_an_entity_bomb_is_refused(tmp_path: Path) -> None:
    bomb = "".join(
        f'<!ENTITY {name} "{f"&{inner};" * 10}">' for inner, name in zip("abcdefgh", "bcdefghi", strict=True)
    )
    xml = (
        f'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "aaaaaaaaaa">{bomb}]><worksheet xmlns="{SHEET}"><sheetData>'
        '<row r="1"><c r="A1" t="inlineStr"><is><t>&i;</t></is></c></row></sheetData></worksheet>'
    )
    for encoding in ("utf-8", "utf-16"):
        path = with_part(workbook(tmp_path / "x.xlsx"), "xl/worksheets/sheet1.xml", lambda _: xml.encode(encoding))  # noqa: B023
        with pytest.raises(UnreadableError, match=r"^x\.xlsx: xl/worksheets/sheet1\.xml declares XML entities"):
            loaded(path)


def test_an_encrypted_workbook_is_opened_by_a_password_that_fits(tmp_path: Path) -> None:
    path = tmp_path / "x.xlsx"
    encrypt(workbook(path), "密码123")
    with pytest.raises(PasswordRequiredError, match=r"^x\.xlsx: it is encrypted; give its password with --password"):
        loaded(path)
    with pytest.raises(PasswordRequiredError, match="no password given opens it"):
        loaded(path, LoadOptions(passwords=("wrong",)))
    assert "苹果" in loaded(path, LoadOptions(passwords=("wrong", "密码123"))).text


def test_a_workbook_that_excel_opens_without_asking(tmp_path: Path) -> None:
    path = tmp_path / "x.xlsx"
    encrypt(workbook(path), "VelvetSweatshop")
    assert "苹果" in loaded(path).text


def encrypt(path: Path, password: str) -> None:
    encrypted = io.BytesIO()
    with path.open("rb") as stream:
        OOXMLFile(stream).encrypt(password, encrypted)
    path.write_bytes(encrypted.getvalue())


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04" + bytes(100), bytes(3000)])
@pytest.mark.parametrize("suffix", [".xlsx", ".xls"])
def test_an_invalid_workbook_is_refused(tmp_path: Path, content: bytes, suffix: str) -> None:
    path = tmp_path / f"x{suffix}"
    path.write_bytes(content)
    with pytest.raises(UnreadableError, match=rf"^x\{suffix}: "):
        load(path)


def test_a_workbook_without_cells_holds_no_text(tmp_path: Path) -> None:
    with pytest.raises(NoTextError):
        load(workbook(tmp_path / "x.xlsx", []))


def test_other_formats_exported_as_xls_are_read(tmp_path: Path) -> None:
    path = tmp_path / "x.xls"
    workbook(path.with_suffix(".xlsx")).rename(path)
    assert "| 苹果 | 3.5 |" in loaded(path).text
    path.write_text("品名\t单价\n苹果\t3.5\n", encoding="gb18030")
    assert "| 苹果 | 3.5 |" in loaded(path).text
    path.write_text("<html><body><table><tr><td>品名</td><td>单价</td></tr><tr><td>苹果</td><td>3.5</td></tr></table>")
    assert "| 苹果 | 3.5 |" in loaded(path).text


@pytest.mark.skipif(shutil.which("soffice") is None, reason="LibreOffice makes the .xls files of this test")
def test_an_old_workbook_is_read_like_a_new_one(tmp_path: Path) -> None:
    made = openpyxl.Workbook()
    made.active.title = "价目"
    fill(made.active, [["品名", "单价", "日期", "折扣", "有货"], ["苹果", 3.5, datetime(2024, 3, 1), 0.25, True]])
    made.active["D2"].number_format = "0%"
    made.create_sheet("隐藏").sheet_state = "hidden"
    fill(made["隐藏"], TABLE)
    made.save(tmp_path / "x.xlsx")
    subprocess.run(
        [
            "soffice",
            f"-env:UserInstallation={(tmp_path / 'p').as_uri()}",
            "--headless",
            "--convert-to",
            "xls",
            "x.xlsx",
        ],
        cwd=tmp_path,
        check=True,
        capture_output=True,
    )
    old, new = loaded(tmp_path / "x.xls"), loaded(tmp_path / "x.xlsx")
    assert "| 苹果 | 3.5 | 2024-03-01 | 25% | TRUE |" in old.text
    assert (old.text, old.line_marks, old.pages, old.notes) == (new.text, new.line_marks, new.pages, new.notes)
