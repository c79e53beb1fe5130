from __future__ import annotations

import json
from pathlib import Path

import pytest
from contract import check_document

from ingest import Chunker, ParsedDocument, load
from ingest.errors import NoTextError, TooLargeError, UnreadableError
from ingest.options import Limits, LoadOptions


def read(path: Path, content: str | bytes) -> ParsedDocument:
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    document = load(path)
    check_document(document)
    return document


def texts(document: ParsedDocument) -> list[tuple[str, int]]:
    return [
        (document.text[b.start : b.end], document.lines_of(b.start, b.end)[0][1]) for b in document.blocks
    ]  # fmt: skip


@pytest.mark.parametrize("name", ["a.jsonl", "a.json"])
def test_passages_keep_their_text_and_origin(tmp_path: Path, name: str) -> None:
    content = (
        '{"content": "第一段。\\n\\n第二段", "link": "http://a.b/1"}\n\n{"content": "乙", "link": "http://a.b/2"}\n'
    )
    document = read(tmp_path / name, content)
    assert texts(document) == [("第一段。", 1), ("第二段", 1), ("乙", 3)]
    assert [block.link for block in document.blocks] == ["http://a.b/1", "http://a.b/1", "http://a.b/2"]


def test_passages_may_be_a_list_or_lie_in_an_object(tmp_path: Path) -> None:
    assert texts(read(tmp_path / "a.json", '[{"content": "甲", "link": "l"},\n {"content": "乙"}]')) == [
        ("甲", 1),
        ("乙", 2),
    ]
    assert texts(read(tmp_path / "b.json", '{"docs": [\n{"content": "甲"},\n{"content": "乙"}]}')) == [
        ("docs", 1),
        ("甲", 2),
        ("乙", 3),
    ]
    one = read(tmp_path / "c.json", '{\n"content": "甲",\n"link": "l"}')
    assert [(text, block.link) for (text, _), block in zip(texts(one), one.blocks, strict=True)] == [("甲", "l")]


def test_other_keys_of_a_passage_are_text_too(tmp_path: Path) -> None:
    document = read(
        tmp_path / "a.jsonl", '{"title": "年假", "content": "五天", "tags": ["人事", "假期"], "link": ["x"]}'
    )
    assert [text for text, _ in texts(document)] == ["年假", "五天", "tags: 人事\ntags: 假期\nlink: x"]
    assert document.blocks[0].level == 1


def test_an_object_is_lines_under_headings_of_its_keys(tmp_path: Path) -> None:
    content = """{
  "name": "服务", "port": 8080, "none": null, "on": true,
  "server": {"host": "a.b", "limits": {"cpu": 1.50}},
  "people": [
    {"name": "王五", "boss": {"name": "李四"}},
    {"name": "赵六", "note": "多行\\n第二行"}
  ],
  "list": ["x", "y"], "empty": [], "last": 1
}"""
    assert texts(read(tmp_path / "a.json", content)) == [
        ("name: 服务\nport: 8080\non: true", 2),
        ("server", 3),
        ("host: a.b\nlimits.cpu: 1.50", 3),
        ("people", 4),
        ("name: 王五\nboss.name: 李四", 5),
        ("name: 赵六\nnote: 多行\n第二行", 6),
        ("list", 8),
        ("x\ny", 8),
        ("last: 1", 8),
    ]


def test_many_objects_in_a_record_are_paragraphs_of_their_own(tmp_path: Path) -> None:
    data = [{"title": "t", "rows": [{"id": i} for i in range(5)]}]
    assert [text for text, _ in texts(read(tmp_path / "a.json", json.dumps(data)))] == [
        "title: t",
        *(f"id: {i}" for i in range(5)),
    ]


def test_numbers_are_as_they_are_written(tmp_path: Path) -> None:
    huge = "7" * 10_000
    text = read(tmp_path / "a.json", f'{{"a": 1.50, "b": 1E+5, "c": {huge}, "d": -0, "e": NaN}}').text
    assert text.split("\n") == ["a: 1.50", "b: 1E+5", f"c: {huge}", "d: -0", "e: NaN"]


def test_escaped_characters_are_read_and_broken_ones_shown(tmp_path: Path) -> None:
    text = read(tmp_path / "a.json", r'{"a": "\u4e2d\u6587 \ud83d\ude00 \ud800 \u0000x", "b": "1\r\n2"}').text
    assert text == "a: 中文 😀 \ufffd x\nb: 1\n2"
    assert text.encode()


def test_a_broken_character_in_a_link_or_a_heading_is_shown_too(tmp_path: Path) -> None:
    document = read(tmp_path / "a.json", r'{"title": "\ud800t", "content": "words", "link": "http://a.b/\udfff"}')
    assert texts(document) == [("\ufffdt", 1), ("words", 1)]
    assert {block.link for block in document.blocks} == {"http://a.b/\ufffd"}


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030", "utf-16", "utf-16-le"])
def test_text_in_any_encoding_is_read(tmp_path: Path, encoding: str) -> None:
    content = '{"content": "公司实行弹性工作制，核心时间由主管商定。"}'
    document = read(tmp_path / "a.jsonl", f"{content}\n{content}".encode(encoding))
    assert len(document.blocks) == 2
    assert document.blocks[0].start == 0
    assert document.text.startswith("公司实行弹性工作制")


def test_broken_lines_are_noted_and_the_rest_is_there(tmp_path: Path) -> None:
    document = read(tmp_path / "a.jsonl", '{"a": 1}\n{"b": \n{"c": 3}\nnot json\n')
    assert texts(document) == [("a: 1", 1), ("c: 3", 3)]
    assert document.incomplete
    assert document.notes == ("2 broken lines skipped: 2, 4",)


def test_if_all_lines_are_broken_the_first_is_named(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text("some text\nand more\n")
    with pytest.raises(UnreadableError, match=r"^a\.jsonl: not JSON Lines \(line 1, column 1: "):
        load(path)


@pytest.mark.parametrize(
    ("content", "place"),
    [
        ('{"a": 1,\n "b" 2}', "line 2, column 6"),
        ('[{"a": 1},\n{"b": 2}\n', "line 3, column 1"),
        ('{"a": [1, 2\n, }]', "line 2, column 3"),
        ('{"a": 1}\nrest', "line 2, column 1"),
        ("[1,]", "line 1, column 4"),
        ("{1: 2}", "line 1, column 2"),
        ("text", "line 1, column 1"),
        ('{"a": "open', "line 1, column 7"),
    ],
)
def test_broken_json_says_where(tmp_path: Path, content: str, place: str) -> None:
    path = tmp_path / "a.json"
    path.write_text(content)
    with pytest.raises(UnreadableError, match=rf"^a\.json: not JSON \({place}: .*\); correct it there$"):
        load(path)


@pytest.mark.parametrize("name", ["a.json", "a.jsonl"])
@pytest.mark.parametrize(
    "content", ["[" * 100_000, "[" * 100_000 + "]" * 100_000, '{"a":' * 50_000 + "1" + "}" * 50_000]
)
def test_very_deep_nesting_is_refused(tmp_path: Path, name: str, content: str) -> None:
    path = tmp_path / name
    path.write_text(content)
    with pytest.raises(UnreadableError, match="nested too deeply"):
        load(path)


@pytest.mark.parametrize("content", ["", "  \n", "{}", "[]", '[null, {}, [], ""]', '{"a": null, "b": []}'])
def test_json_without_values_holds_no_text(tmp_path: Path, content: str) -> None:
    path = tmp_path / "a.json"
    path.write_text(content)
    with pytest.raises(NoTextError, match=r"^a\.json: "):
        load(path)


def test_json_over_several_lines_named_jsonl_is_read(tmp_path: Path) -> None:
    assert texts(read(tmp_path / "a.jsonl", '{\n  "a": 1,\n  "b": 2\n}')) == [("a: 1\nb: 2", 2)]


def test_characters_are_counted_as_they_come(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text(json.dumps([{"content": "x" * 400}] * 10))
    with pytest.raises(TooLargeError, match=r"^a\.json: it holds more than 1,000 characters"):
        load(path, LoadOptions(Limits(characters=1000)))


PEOPLE = [{"name": name, "phone": phone} for name, phone in (("Anna", "4711"), ("Eva", "4713"))]
SHAPES = {
    "list.json": json.dumps(PEOPLE, indent=1),
    "under_a_key.json": json.dumps({"people": PEOPLE}),
    "lines.jsonl": "\n".join(map(json.dumps, PEOPLE)),
    "passages.json": json.dumps([{"content": f"Call {one['name']} at {one['phone']}."} for one in PEOPLE]),
}


@pytest.mark.parametrize("name", SHAPES)
def test_no_chunk_holds_two_records(tmp_path: Path, name: str) -> None:
    chunks = Chunker().chunk(read(tmp_path / name, SHAPES[name]))
    assert [[one for one in ("Anna", "4711", "Eva", "4713") if one in chunk.text] for chunk in chunks] == [
        ["Anna", "4711"],
        ["Eva", "4713"],
    ]


def test_what_belongs_to_a_record_stays_in_its_chunk(tmp_path: Path) -> None:
    orders = [{"order": f"A-{n}", "items": [{"sku": f"X{n}{k}", "of": f"A-{n}"} for k in range(5)]} for n in (1, 2)]
    first, second = Chunker().chunk(read(tmp_path / "a.json", json.dumps(orders)))
    assert all(f"X1{k}" in first.text and f"X2{k}" in second.text for k in range(5))
