from __future__ import annotations

from pathlib import Path

import pytest
from contract import check_document

from ingest import BlockKind, ParsedDocument, load
from ingest.loaders.html import parse_html


def read(path: Path, content: str) -> ParsedDocument:
    path.write_text(content, encoding="utf-8")
    document = load(path)
    check_document(document)
    return document


def of_kind(document: ParsedDocument, kind: BlockKind) -> list[str]:
    return [document.text[b.start : b.end] for b in document.blocks if b.kind is kind]


def test_pre_keeps_its_line_breaks_and_indentation(tmp_path: Path) -> None:
    document = read(
        tmp_path / "a.html",
        "<p>前</p>\n<pre><code>def f(x):\n    if x  &lt; 1:\n\n        return <b>None</b>\n</code></pre>\n<p>后</p>",
    )
    assert of_kind(document, BlockKind.CODE) == ["def f(x):\n    if x  < 1:\n\n        return None"]
    code = document.blocks[1]
    assert [line for _, line in document.lines_of(code.start, code.end)] == [2, 3, 4, 5]
    last = document.blocks[-1]
    assert document.lines_of(last.start, last.end)[0][1] == 7


def test_a_table_is_markdown_with_a_header(tmp_path: Path) -> None:
    document = read(
        tmp_path / "a.html",
        "<table>\n<tr><th>项</th><th></th><th>a|b</th></tr>\n<tr><td>甲\n 乙</td><td></td><td>1</td></tr>\n"
        "<tr><td> </td><td></td><td></td></tr><tr><td>丙</td></tr></table>",
    )
    (table,) = of_kind(document, BlockKind.TABLE)
    assert table == "| 项 | a\\|b |\n| --- | --- |\n| 甲 乙 | 1 |\n| 丙 |  |"
    block = document.blocks[0]
    assert document.text[block.start : block.header_end] == "| 项 | a\\|b |\n| --- | --- |"


def test_nothing_that_a_page_names_is_opened(tmp_path: Path) -> None:
    secret = tmp_path / "secret.txt"
    secret.write_text("secret words")
    document = read(
        tmp_path / "a.html",
        f'<p>open words</p><iframe src="{secret.as_uri()}"></iframe><object data="{secret}"></object>'
        f'<img src="{secret.as_uri()}"><link rel="import" href="{secret.as_uri()}">',
    )
    assert document.text == "open words"


@pytest.mark.parametrize(
    ("page", "expected"),
    [
        ("<details><summary>How to pay?</summary><p>In\ncash.</p></details>", [("How to pay?", 1), ("In cash.", 1)]),
        ("<form action=x>\n<h1>Pool</h1>\n<p>It opens at 6.</p></form>", [("Pool", 2), ("It opens at 6.", 3)]),
        ("<figure><img src=a alt=b>\n<figcaption>A crane.</figcaption></figure>", [("A crane.", 2)]),
        ("<p>Fee: <label>19 euros <input value=x></label></p>", [("Fee: 19 euros", 1)]),
        ("<p>Press <button>Send</button> twice.</p>", [("Press Send twice.", 1)]),
        ("<fieldset><legend>Gate</legend>\nThe code is 4711.</fieldset>", [("Gate", 1), ("The code is 4711.", 2)]),
        ("<dialog>Mind the step.</dialog>", [("Mind the step.", 1)]),
        ("<table><caption>Fees</caption>\n<tr><td>9 euros</td></tr></table>", [("Fees", 1), ("| 9 euros |", 2)]),
        ("<table><form><tr><td>9 euros</td></tr></form></table>", [("| 9 euros |", 1)]),
    ],
)
def test_all_visible_text_is_read(tmp_path: Path, page: str, expected: list[tuple[str, int]]) -> None:
    document = read(tmp_path / "a.html", page)
    blocks = [(document.text[b.start : b.end], document.lines_of(b.start, b.end)[0][1]) for b in document.blocks]
    assert blocks == expected


def test_only_br_breaks_a_line(tmp_path: Path) -> None:
    document = read(
        tmp_path / "a.html",
        "<p>\nThe deposit is\n <strong>250 euros</strong>\n for twenty-\nfive days.<br>It is\n paid<br/>in cash.</p>\n"
        "<ul><li>冬季停泊费为\n<b>六十八元</b>\n，每米。</li></ul>\n<h2>Of\nboats<br>here</h2>",
    )
    assert [document.text[block.start : block.end] for block in document.blocks] == [
        "The deposit is 250 euros for twenty- five days.\nIt is paid\nin cash.",
        "冬季停泊费为六十八元，每米。",
        "Of boats here",
    ]
    lines = [[line for _, line in document.lines_of(block.start, block.end)] for block in document.blocks]
    assert lines == [[2, 3, 4, 5, 5, 6, 6], [7, 8, 9], [10, 11, 11]]


def test_a_term_stays_with_its_definition(tmp_path: Path) -> None:
    document = read(
        tmp_path / "a.html",
        "<dl><dt>Channel (radio)</dt>\n<dd>VHF 12</dd>\n<dt>Paid <!-- how --> how?</dt><dd><p>In <b>cash</b></p></dd>\n"
        "<dd>By card</dd>\n<dt>Berths</dt><dd><ul><li>Ten</li><li>Twelve</li></ul></dd></dl>",
    )
    texts = [document.text[block.start : block.end].replace("\n", " ") for block in document.blocks]
    assert texts == ["Channel (radio): VHF 12", "Paid how? In cash", "By card", "Berths", "Ten", "Twelve"]
    lines = [[line for _, line in document.lines_of(block.start, block.end)] for block in document.blocks]
    assert lines == [[1, 2], [3], [4], [5], [5], [5]]


def test_a_piece_of_html_is_read_from_a_text() -> None:
    document = parse_html("<p>一</p>\n<p>二</p>", notes=["known"])
    assert [line for _, line in document.line_marks] == [1, 2]
    assert document.notes == ("known",)
    assert parse_html("").blocks == ()


def test_multi_line_tags_and_comments_do_not_shift_lines(tmp_path: Path) -> None:
    document = read(
        tmp_path / "a.html",
        "<p\n class='a\nb'>three<!-- 3\n4 --> four</p>\n<script>\nvar x\n</script>seven\n<p>up<b\n>date</b>d\n</p>",
    )
    found = [(document.text[b.start : b.end], document.lines_of(b.start, b.end)) for b in document.blocks]
    assert found == [("three four", ((0, 3), (6, 4))), ("seven", ((0, 7),)), ("updated", ((0, 8),))]


@pytest.mark.parametrize("before", ["<br>\n", "<p>x</p>\n", "<p>x<!--\n--></p>"])
def test_lines_are_counted_beyond_those_that_libxml2_can_number(tmp_path: Path, before: str) -> None:
    document = read(tmp_path / "a.html", before * 70_000 + "<p>deep\ndown</p>")
    last = document.blocks[-1]
    assert [line for _, line in document.lines_of(last.start, last.end)] == [70_001, 70_002]


def test_tags_within_a_word_do_not_split_it_in_a_table(tmp_path: Path) -> None:
    page = "<table><tr><td>CO<sub>2</sub>-Gehalt<td>a<br>b<p>c</p>d<tr><td><table><tr><td>i<td>j</table><td>k</table>"
    document = read(tmp_path / "a.html", page)
    assert document.text == "| CO2-Gehalt | a b c d |\n| --- | --- |\n| i j | k |"


def test_code_is_code_whatever_tags_are_in_it(tmp_path: Path) -> None:
    document = read(tmp_path / "a.html", "<pre><div>if x:</div><div>    go()</div><toggle></toggle></pre>")
    assert of_kind(document, BlockKind.CODE) == ["if x:\n    go()"]


@pytest.mark.parametrize(
    ("page", "expected"),
    [
        ("<p>• one</p><p>- two</p><p>-3 degrees</p>", ["one", "two"]),
        ("<ul><li><p>one</p><p>more</p></li><li>two<p>more</p></ul>", ["one", "two"]),
    ],
)
def test_list_items_by_their_tag_or_their_bullet(tmp_path: Path, page: str, expected: list[str]) -> None:
    assert of_kind(read(tmp_path / "a.html", page), BlockKind.LIST_ITEM) == expected


def test_a_heading_that_is_never_closed_is_only_its_first_text(tmp_path: Path) -> None:
    document = read(tmp_path / "a.html", "<h2>Prices<div>Tea costs 3.</div><div>Milk costs 4.</div>")
    assert of_kind(document, BlockKind.HEADING) == ["Prices"]
    assert of_kind(document, BlockKind.PARAGRAPH) == ["Tea costs 3.", "Milk costs 4."]


def test_formulas_are_read_as_tex(tmp_path: Path) -> None:
    note = "<math><semantics><mi>E</mi><annotation encoding='application/x-tex'>E=mc^2</annotation></semantics></math>"
    drawn = f"<span class='katex'><span class='katex-mathml'>{note}</span><span class='katex-html'>Emc2</span></span>"
    assert read(tmp_path / "a.html", f"<p>So {drawn} holds, {note}.</p>").text == "So E=mc^2 holds, E=mc^2."


def test_only_the_main_part_is_read_where_a_page_names_it(tmp_path: Path) -> None:
    document = read(tmp_path / "a.html", "<div>menu</div>\n<main>\n<p>words</p> and more</main>\n<div>imprint</div>")
    assert [line for _, line in document.line_marks] == [3, 3]
    assert document.text == "words\n\nand more"
