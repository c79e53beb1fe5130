from pathlib import Path

import pytest
from contract import check_document

from ingest import BlockKind, ParsedDocument, load
from ingest.errors import NoTextError, TooLargeError
from ingest.options import Limits, LoadOptions

DEFAULTS = LoadOptions()


def loaded(path: Path, content: str | bytes, options: LoadOptions = DEFAULTS) -> ParsedDocument:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    document = load(path, options)
    check_document(document)
    return document


def rows(document: ParsedDocument) -> list[str]:
    assert [block.kind for block in document.blocks] == [BlockKind.TABLE]
    return document.text.split("\n")


def lines(document: ParsedDocument) -> list[int]:
    return [line for _, line in document.lines_of(0, len(document.text))]


def test_a_csv_is_a_table_with_a_header(tmp_path: Path) -> None:
    document = loaded(tmp_path / "x.csv", "姓名,部门\n张三,财务\n李四,人事\n")
    assert rows(document) == ["| 姓名 | 部门 |", "| --- | --- |", "| 张三 | 财务 |", "| 李四 | 人事 |"]
    assert document.text[: document.blocks[0].header_end] == "| 姓名 | 部门 |\n| --- | --- |"
    assert lines(document) == [1, 1, 2, 3]
    assert document.notes == ()


def test_quoted_line_breaks_keep_the_files_line_numbers(tmp_path: Path) -> None:
    document = loaded(tmp_path / "x.csv", 'a,b\r\n"one\r\ntwo\r\nthree",2\r\n\r\nlast,"say ""yes"""\r\n')
    assert rows(document)[2:] == ["| one two three | 2 |", '| last | say "yes" |']
    assert lines(document) == [1, 1, 2, 6]


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
def test_separators_are_found(tmp_path: Path, separator: str) -> None:
    text = "\n".join(separator.join(row) for row in (["品名", "价 格", "说明"], ["苹果", "3.5", "红"], ["梨", "4", ""]))
    document = loaded(tmp_path / "x.csv", text)
    assert rows(document) == ["| 品名 | 价 格 | 说明 |", "| --- | --- | --- |", "| 苹果 | 3.5 | 红 |", "| 梨 | 4 |  |"]


def test_commas_in_a_file_separated_by_semicolons(tmp_path: Path) -> None:
    document = loaded(tmp_path / "x.csv", "Betrag;Ort, Land\n1,50;Bonn, D\n2,75;Wien, A\n")
    assert rows(document)[2:] == ["| 1,50 | Bonn, D |", "| 2,75 | Wien, A |"]


def test_a_declared_separator_is_believed_and_not_shown(tmp_path: Path) -> None:
    document = loaded(tmp_path / "x.csv", "sep=;\na,x;b\n1,y;2\n")
    assert rows(document) == ["| a,x | b |", "| --- | --- |", "| 1,y | 2 |"]
    assert lines(document) == [2, 2, 3]


def test_a_tsv_is_split_at_tabs_even_without_evidence(tmp_path: Path) -> None:
    assert rows(loaded(tmp_path / "x.tsv", "a, b\tc\n"))[0] == "| a, b | c |"


def test_short_rows_are_padded_and_empty_columns_dropped(tmp_path: Path) -> None:
    document = loaded(tmp_path / "x.csv", "a,,b,c\n1,,2,3\n4,\n5,,6,7,8\n,,,\n1,,2,3\n")
    assert rows(document) == [
        "| a | b | c |  |",
        "| --- | --- | --- | --- |",
        "| 1 | 2 | 3 |  |",
        "| 4 |  |  |  |",
        "| 5 | 6 | 7 | 8 |",
        "| 1 | 2 | 3 |  |",
    ]


def test_a_bar_in_a_cell_is_escaped(tmp_path: Path) -> None:
    assert rows(loaded(tmp_path / "x.csv", "a,b\nx|y,2\n"))[2] == "| x\\|y | 2 |"


def test_chinese_encodings_are_named(tmp_path: Path) -> None:
    text = "姓名,备注\n张三,迟到早退请提前说明原因\n李四,年假共有十五个工作日\n"
    document = loaded(tmp_path / "x.csv", text.encode("gb18030"))
    assert "| 张三 | 迟到早退请提前说明原因 |" in document.text
    assert len(document.notes) == 1
    assert loaded(tmp_path / "x.csv", text.encode("utf-16")).text == document.text


def test_a_quotation_mark_that_is_never_closed_swallows_nothing(tmp_path: Path) -> None:
    document = loaded(tmp_path / "x.csv", 'name,size\ndisk,"5 inch\nscreen,7\ncable,9\n')
    assert rows(document)[2:] == ['| disk | "5 inch |', "| screen | 7 |", "| cable | 9 |"]
    assert document.notes == ("a quotation mark is never closed; all quotation marks are read as ordinary characters",)


def test_a_cell_longer_than_the_csv_module_takes(tmp_path: Path) -> None:
    assert "x" * 200_000 in loaded(tmp_path / "x.csv", "a,b\n" + "x" * 200_000 + ",1\n").text


def test_a_file_of_one_column(tmp_path: Path) -> None:
    assert rows(loaded(tmp_path / "x.csv", "名称\n甲\n乙\n")) == ["| 名称 |", "| --- |", "| 甲 |", "| 乙 |"]


def test_limits_on_cells_and_characters(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    with pytest.raises(TooLargeError, match=r"^x\.csv: it holds more than 10 cells; "):
        loaded(path, "a,b\n" * 6, LoadOptions(limits=Limits(cells=10)))
    with pytest.raises(TooLargeError, match=r"^x\.csv: it holds 24 characters, more than 20; "):
        loaded(path, "a,b\n" * 6, LoadOptions(limits=Limits(characters=20)))


@pytest.mark.parametrize("content", ["", "\n\n", ",,,\n,,\n", " , \n"])
def test_a_file_without_values_holds_no_text(tmp_path: Path, content: str) -> None:
    with pytest.raises(NoTextError):
        loaded(tmp_path / "x.csv", content)
