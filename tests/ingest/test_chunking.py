from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest import Block, BlockKind, Chunk, Chunker, ParsedDocument
from ingest.chunking import estimate_tokens
from ingest.parsed import TextBuilder, file_lines

KINDS = [BlockKind.PARAGRAPH, BlockKind.LIST_ITEM, BlockKind.TABLE, BlockKind.CODE]


def document(
    *blocks: tuple[BlockKind, str] | tuple[BlockKind, str, int] | tuple[BlockKind, str, int, int],
) -> ParsedDocument:
    builder = TextBuilder()
    for kind, text, *rest in blocks:
        builder.add(kind, text.split("\n"), level=rest[0] if rest else 0, page=rest[1] if len(rest) > 1 else None)
    return builder.build()


def uncovered(parsed: ParsedDocument, block: Block, chunks: list[Chunk]) -> str:
    spans = [(chunk.char_start, chunk.char_end) for chunk in chunks]
    return "".join(
        character
        for position, character in enumerate(parsed.text[block.start : block.end], start=block.start)
        if not any(start <= position < end for start, end in spans)
    ).strip()


def check(parsed: ParsedDocument, chunker: Chunker) -> list[Chunk]:
    """Check what holds for the chunks of any document."""
    chunks = chunker.chunk(parsed)
    for chunk in chunks:
        assert chunk.text[chunk.repeated :] == parsed.text[chunk.char_start : chunk.char_end]
        assert chunk.text.strip()
        own = [(offset - chunk.repeated, line) for offset, line in chunk.lines if offset >= chunk.repeated]
        assert tuple(own) == parsed.lines_of(chunk.char_start, chunk.char_end)
        assert chunker.count_tokens(chunk.context) <= chunker.max_tokens // 4
        assert chunker.count_tokens(chunk.text) <= chunker.max_tokens
        inside = [b for b in parsed.blocks if b.start < chunk.char_end and chunk.char_start < b.end]
        assert {block.page for block in inside} == {chunk.page}
        kinds = [block.kind is BlockKind.HEADING for block in inside]
        assert kinds == sorted(kinds, reverse=True), "headings only come first"
    assert all(one.char_start < other.char_start for one, other in pairwise(chunks))
    for block in parsed.blocks:
        assert uncovered(parsed, block, chunks) == ""
    return chunks


WORDS = st.sampled_from(
    [
        "年假",
        "十二天",
        "，",
        "。",
        "the",
        "warranty",
        "lasts",
        "24",
        " ",
        ". ",
        "\n",
        "？",
        "-",
        "哈哈哈哈哈哈",
        "0 | ",
        "_",
    ]
)
BODY = st.lists(WORDS, min_size=1, max_size=120).map("".join).map(str.strip).filter(bool)
BLOCKS = st.lists(
    st.tuples(st.sampled_from(KINDS), BODY, st.just(0), st.booleans())
    | st.tuples(
        st.just(BlockKind.HEADING), st.sampled_from(["标题", "A heading", "范围"]), st.integers(1, 3), st.booleans()
    ),
    min_size=1,
    max_size=8,
)


@given(BLOCKS, st.integers(8, 40), st.integers(0, 16))
@settings(deadline=None, max_examples=150)
def test_any_document(blocks: list[tuple[BlockKind, str, int, bool]], max_tokens: int, overlap_tokens: int) -> None:
    page = 1
    paged = []
    for kind, text, level, new_page in blocks:
        page += new_page
        paged.append((kind, text, level, page))
    check(document(*paged), Chunker(max_tokens, overlap_tokens))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("text", ["哈" * 1000, "\n".join(["| 0 | 0 | 0 |"] * 200), "a" * 9000, "同样的一句话。" * 200])
def test_repetitive_text_is_covered_to_its_end(kind: BlockKind, text: str) -> None:
    chunks = check(document((kind, text)), Chunker())
    assert chunks[-1].char_end == len(text)


def test_a_long_block_is_cut_between_sentences_and_its_pieces_overlap() -> None:
    text = "".join(f"这是第{number}句话，说的是第{number}件事情。" for number in range(60))
    chunks = check(document((BlockKind.PARAGRAPH, text)), Chunker(100, 20))
    assert all(chunk.text.endswith("。") for chunk in chunks)
    assert all(other.char_start < one.char_end for one, other in pairwise(chunks))


def test_tables_and_code_are_cut_between_lines() -> None:
    rows = [f"| 型号 {number} | 保修 {number} 个月 |" for number in range(60)]
    for chunk in check(document((BlockKind.TABLE, "\n".join(rows))), Chunker(60, 10)):
        assert set(chunk.text.split("\n")) <= set(rows)


def test_blocks_are_packed_up_to_the_limit() -> None:
    parsed = document(*[(BlockKind.PARAGRAPH, "一二三四五六七八九十")] * 10)
    assert [chunk.text.count("一") for chunk in check(parsed, Chunker(35, 0))] == [3, 3, 3, 1]


def test_text_between_blocks_counts() -> None:
    text = "first\n\n" + "[a]: http://example.org/a\n" * 40 + "\nsecond"
    blocks = (Block(BlockKind.PARAGRAPH, 0, 5), Block(BlockKind.PARAGRAPH, len(text) - 6, len(text)))
    parsed = ParsedDocument(text, blocks, file_lines(text))
    assert [chunk.text for chunk in check(parsed, Chunker(64, 0))] == ["first", "second"]


@pytest.mark.parametrize("kind", KINDS)
def test_very_many_blanks_end_a_chunk(kind: BlockKind) -> None:
    text = f"a{' ' * 40_000}b"
    apart = (Block(kind, 0, 1), Block(kind, len(text) - 1, len(text)))
    for blocks in ((Block(kind, 0, len(text)),), apart):
        chunks = check(ParsedDocument(text, blocks, file_lines(text)), Chunker(64))
        assert [chunk.text for chunk in chunks] == ["a", "b"]


def test_chunks_have_their_path_of_headings() -> None:
    heading, paragraph = BlockKind.HEADING, BlockKind.PARAGRAPH
    parsed = document(
        (heading, "手册", 1),
        (paragraph, "前言。"),
        (heading, "假期", 2),
        (heading, "年假", 3),
        (paragraph, "十二天。"),
        (heading, "附则", 2),
        (paragraph, "完。"),
        (heading, "空白", 1),
    )
    assert [(chunk.heading, chunk.text) for chunk in check(parsed, Chunker())] == [
        (("手册",), "手册\n\n前言。"),
        (("手册", "假期", "年假"), "假期\n\n年假\n\n十二天。"),
        (("手册", "附则"), "附则\n\n完。"),
        (("空白",), "空白"),
    ]


def test_a_chunk_never_crosses_a_page() -> None:
    parsed = document((BlockKind.PARAGRAPH, "第一页", 0, 1), (BlockKind.PARAGRAPH, "第二页", 0, 2))
    assert [(chunk.page, chunk.text) for chunk in check(parsed, Chunker())] == [(1, "第一页"), (2, "第二页")]


@pytest.mark.parametrize(
    ("text", "tokens"),
    [("", 0), ("年假十二天", 5), ("warranty", 2), ("a, b", 3), ("2025", 2), ("____", 4), ("𠮷𡈽𲎯", 3)],
)
def test_estimated_tokens(text: str, tokens: int) -> None:
    assert estimate_tokens(text) == tokens


@pytest.mark.parametrize("overlap", [0, 32, 500])
def test_any_overlap_leaves_room_for_text(overlap: int) -> None:
    check(document((BlockKind.PARAGRAPH, "一句话，两句话。" * 100)), Chunker(32, overlap))


def table(rows: int) -> ParsedDocument:
    builder = TextBuilder()
    builder.add(BlockKind.HEADING, ["Rates"], numbers=[1], level=1)
    lines = ["| city | hotel |", "| --- | --- |", *(f"| city {n} | {n} yuan a night |" for n in range(rows))]
    builder.add(BlockKind.TABLE, lines, numbers=range(3, 3 + len(lines)), header_rows=2)
    return builder.build(title="Travel")


def test_each_part_of_a_cut_table_repeats_the_header() -> None:
    parsed = table(40)
    chunks = check(parsed, Chunker(100))
    assert len(chunks) > 3
    assert chunks[0].repeated == 0
    assert chunks[0].text.startswith("Rates\n\n| city")
    for chunk in chunks:
        lines = chunk.text.removeprefix("Rates\n\n").split("\n")
        assert lines[:2] == ["| city | hotel |", "| --- | --- |"]
        numbers = [number for _, number in chunk.lines if number > 1]
        assert numbers[:2] == [3, 4]
        assert [f"| city {number - 5} | {number - 5} yuan a night |" for number in numbers[2:]] == lines[2:]
    rows = [line for chunk in chunks for line in chunk.text.split("\n") if "yuan" in line]
    assert len(rows) == len(set(rows)) == 40


def test_a_table_that_fits_stays_whole() -> None:
    assert len(check(table(5), Chunker(200))) == 1


def test_a_header_as_long_as_a_chunk_is_not_repeated() -> None:
    builder = TextBuilder()
    header = f"| {' | '.join(f'column {n}' for n in range(40))} |"
    builder.add(BlockKind.TABLE, [header, "| --- |", *(f"| {n} |" for n in range(100))], header_rows=2)
    chunks = check(builder.build(), Chunker(64))
    assert {chunk.repeated for chunk in chunks} == {0}


def test_the_context_is_title_and_headings_and_stays_short() -> None:
    builder = TextBuilder()
    builder.add(BlockKind.HEADING, ["第三章"], level=1)
    builder.add(BlockKind.HEADING, ["差旅"], level=2)
    for _ in range(60):
        builder.add(BlockKind.PARAGRAPH, ["每晚六百元。"])
    first, last = check(builder.build(title="员工手册"), Chunker())
    assert first.heading == last.heading == ("第三章", "差旅")
    assert first.text.startswith("第三章\n\n差旅\n\n每晚")
    assert (first.context, last.context) == ("员工手册", "员工手册 › 第三章 › 差旅")
    _, same = check(builder.build(title="差旅"), Chunker())
    assert same.context == "第三章 › 差旅"
    _, cut = check(builder.build(title="很长的标题" * 300), Chunker())
    assert cut.context.startswith("很长的标题")
    assert cut.context.endswith("› 第三章 › 差旅")


def test_text_of_another_origin_is_another_chunk() -> None:
    builder = TextBuilder()
    builder.add(BlockKind.PARAGRAPH, ["one"], link="https://a.example/")
    builder.add(BlockKind.PARAGRAPH, ["two"], link="https://b.example/")
    assert [chunk.link for chunk in check(builder.build(), Chunker())] == ["https://a.example/", "https://b.example/"]
