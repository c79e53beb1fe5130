from __future__ import annotations

import pytest
from contract import check_document

from ingest import Block, BlockKind, ParsedDocument
from ingest.parsed import TextBuilder


def test_the_first_line_mark_has_to_be_at_0() -> None:
    with pytest.raises(ValueError, match="the first line mark is not at 0"):
        ParsedDocument("a\nb", (), [(1, 1)])


@pytest.mark.parametrize(
    ("start", "end", "lines"),
    [
        (0, 2, ((0, 10),)),
        (0, 4, ((0, 10), (3, 20))),
        (3, 5, ((0, 20),)),
        (1, 8, ((0, 10), (2, 20), (5, 30))),
        (4, 4, ((0, 20),)),
    ],
)
def test_lines_of_a_span(start: int, end: int, lines: tuple[tuple[int, int], ...]) -> None:
    document = ParsedDocument("ab\ncd\nef", (Block(BlockKind.PARAGRAPH, 0, 8),), [(0, 10), (3, 20), (6, 30)])
    assert document.lines_of(start, end) == lines


def test_a_builder_separates_blocks_by_a_blank_line_and_numbers_lines_on() -> None:
    builder = TextBuilder()
    builder.add(BlockKind.HEADING, ["标题"], level=1)
    builder.add(BlockKind.PARAGRAPH, ["一", "二"])
    document = builder.build(title="标题")
    assert document.text == "标题\n\n一\n二"
    assert [document.text[block.start : block.end] for block in document.blocks] == ["标题", "一\n二"]
    assert document.line_marks == [(0, 1), (4, 2), (6, 3)]


def test_a_builder_numbers_lines_from_1_on_each_page() -> None:
    builder = TextBuilder()
    builder.add(BlockKind.PARAGRAPH, ["a", "b"], page=1)
    builder.add(BlockKind.PARAGRAPH, ["c"], page=1)
    builder.add(BlockKind.PARAGRAPH, ["d"], page=2)
    document = builder.build(pages=2)
    lines = [[line for _, line in document.lines_of(block.start, block.end)] for block in document.blocks]
    assert lines == [[1, 2], [3], [1]]


def test_a_builder_accepts_line_numbers() -> None:
    builder = TextBuilder()
    builder.add(BlockKind.PARAGRAPH, ["a", "b"], numbers=[7, 9])
    document = builder.build()
    assert document.lines_of(0, 3) == ((0, 7), (2, 9))


def test_the_rule_below_a_table_header_has_no_line_number_of_its_own() -> None:
    builder = TextBuilder()
    builder.add(BlockKind.PARAGRAPH, ["fees"])
    builder.add(BlockKind.TABLE, ["| a |", "| --- |", "| 1 |", "| 2 |"], header_rows=2)
    builder.add(BlockKind.PARAGRAPH, ["end"])
    document = builder.build()
    assert [line for _, line in document.line_marks] == [1, 2, 2, 3, 4, 5]


def test_joined_lines_keep_their_numbers() -> None:
    builder = TextBuilder()
    builder.add(BlockKind.PARAGRAPH, ["本公司员工每年有", "十二天年假，an-", "nual leave, and", "more"], joined=True)
    document = builder.build()
    assert document.text == "本公司员工每年有十二天年假，annual leave, and more"
    assert [line for _, line in document.lines_of(0, len(document.text))] == [1, 2, 3, 4]
    assert document.lines_of(9, 12) == ((0, 2),)


def test_an_included_document_is_under_a_heading_with_its_name() -> None:
    inner = TextBuilder()
    inner.add(BlockKind.HEADING, ["第一章"], numbers=[4], level=1)
    inner.add(BlockKind.TABLE, ["| 甲 |", "| --- |", "| 1 |"], numbers=[6, 7, 8], header_rows=2)
    outer = TextBuilder()
    outer.include("合同.md", inner.build())
    outer.include("b.md", inner.build())
    document = outer.build()
    check_document(document)
    headings = [(document.text[b.start : b.end], b.level) for b in document.blocks if b.level]
    assert headings == [("合同.md", 1), ("第一章", 2), ("b.md", 1), ("第一章", 2)]
    table = document.blocks[-1]
    assert document.text[table.start : table.header_end] == "| 甲 |\n| --- |"
    assert [line for _, line in document.lines_of(table.start, table.end)] == [6, 7, 8]


def test_an_empty_document() -> None:
    document = TextBuilder().build(notes=["nothing"])
    assert (document.text, document.blocks, document.notes) == ("", (), ("nothing",))
