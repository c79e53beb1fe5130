"""One contract for every loader, over the bundled samples and over files made here."""

from __future__ import annotations

import html
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import docx
import pytest
from contract import check_document
from paths import ROOT, SAMPLES

from ingest import (
    LOADERS,
    BlockKind,
    Chunk,
    Chunker,
    IngestError,
    NoTextError,
    ParsedDocument,
    PasswordRequiredError,
    UnreadableError,
    UnsupportedError,
    load,
)

SAMPLE_FILES = sorted(SAMPLES.iterdir())
SUFFIXES = sorted(LOADERS)
PLAIN_SUFFIXES = {".md", ".markdown", ".txt", ".html", ".htm", ".csv", ".tsv", ".rst", ".org"}
TEXT_SUFFIXES = {*PLAIN_SUFFIXES, ".eml", ".ipynb", ".srt", ".vtt", ".json", ".jsonl", ".rtf", ".xml"}
ENCODINGS = {"入职第一周.txt": "gb18030"}
COMPOUND_FILE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(504)

MADE = {
    "lists.md": "# 标题\n\n- 一\n  - 二\n\n    续\n- 三\n\n> 引文\n> 第二行\n\n```sh\nrm -r x\n```\n\n"
    "1. # 列表里的标题\n",
    "setext.md": "Title\n=====\n\nText\ntwo lines\n\nSection *two*\n---\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\n[x]: http://a.b\n\nend",
    "front.md": "---\ntitle: 差旅制度\ntags: [a]\n---\n\n正文第一行。\n",
    "rule.md": "---\n开头一段。\n\n---\n\n后面一段。\n",
    "paragraphs.txt": "\n\n  第一段\n第一段第二行  \n\n\n第二段\r\n第二行\n \nthird\tparagraph",
    "one-line.txt": "只有一行",
    "open-head.html": "<html><head><title>T</title>\n<body>\n<p>on line three</p>\n<p>on line\nfour and five</p>\n",
    "entities.html": "<p>a &amp; b &lt; c&nbsp;d</p>\n\n<ul>\n<li>one\n<li>two <b>bold</b>\n</ul>\n"
    "<pre>code line\n  more code</pre>\n",
    "fragment.html": "no tags at all\nsecond line of it",
    "table.html": "<h2>表</h2>\n<table>\n<tr><th>项</th>\n<th>值</th></tr>\n"
    "<tr>\n<td>甲</td><td>十二</td></tr>\n</table>",
    "repeats.html": "<p>same</p>\n<p>same</p>\n<p>same words</p>\n<p>same</p>\n",
}


@pytest.fixture(params=[*(path.name for path in SAMPLE_FILES), *MADE])
def path(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """One document."""
    name: str = request.param
    if name not in MADE:
        return SAMPLES / name
    made = tmp_path / name
    made.write_bytes(MADE[name].encode())
    return made


def test_blocks_are_spans_in_order_that_do_not_overlap(path: Path) -> None:
    document = load(path)
    position = 0
    for block in document.blocks:
        assert position <= block.start < block.end <= len(document.text)
        assert document.text[block.start : block.end].strip()
        assert (block.level > 0) == (block.kind is BlockKind.HEADING)
        position = block.end


def test_the_document_contract_holds(path: Path) -> None:
    document = load(path)
    check_document(document)
    assert len(document.line_marks) >= len(document.blocks)


def test_pages_are_those_of_the_file(path: Path) -> None:
    document = load(path)
    pages = [block.page for block in document.blocks]
    if document.pages is None:
        assert set(pages) == {None}
    else:
        assert pages == sorted(page for page in pages if page is not None)
        assert 1 <= min(pages) <= max(pages) <= document.pages


@pytest.mark.parametrize("max_tokens", [24, 256])
def test_every_block_is_in_a_chunk(path: Path, max_tokens: int) -> None:
    document = load(path)
    chunks = Chunker(max_tokens).chunk(document)
    assert chunks
    assert everything_is_in(document, chunks)


def everything_is_in(document: ParsedDocument, chunks: list[Chunk]) -> bool:
    covered = {position for chunk in chunks for position in range(chunk.char_start, chunk.char_end)}
    headings = {heading for chunk in chunks for heading in chunk.heading}
    for block in document.blocks:
        words = document.text[block.start : block.end]
        seen = all(c.isspace() or block.start + i in covered for i, c in enumerate(words))
        if not seen and " ".join(words.split()) not in headings:
            return False
    return True


@pytest.mark.parametrize("max_tokens", [48, 256])
def test_each_line_of_a_chunk_stands_on_that_line_of_the_file(path: Path, max_tokens: int) -> None:
    if path.suffix in (".pdf", ".docx"):
        return  # no lines of their own; what they count is checked below
    source = path.read_bytes().decode(ENCODINGS.get(path.name, "utf-8"))
    lines = source.replace("\r\n", "\n").split("\n")
    for chunk in Chunker(max_tokens).chunk(load(path)):
        ends = [offset for offset, _ in chunk.lines[1:]] + [len(chunk.text)]
        for (start, number), end in zip(chunk.lines, ends, strict=True):
            words = chunk.text[start:end].strip("\n")
            if path.suffix != ".html":
                assert words in lines[number - 1]
            elif words.strip("|- "):
                shown = html.unescape(re.sub(r"<[^>]*>?", "", lines[number - 1]))
                # A row of a table is named by the line of its first cell.
                asked = words.strip("| ").split(" | ")[0] if words.startswith("|") else words
                assert [word for word in asked.split() if word not in shown] == [], (words, number)


@pytest.mark.parametrize("path", [path for path in SAMPLE_FILES if path.suffix in (".pdf", ".docx")], ids=str)
def test_files_without_lines_count_them_from_one(path: Path) -> None:
    document = load(path)
    for page in {block.page for block in document.blocks}:
        numbers = [n for b in document.blocks if b.page == page for _, n in document.lines_of(b.start, b.end)]
        assert numbers == sorted(numbers)
        assert set(numbers) == set(range(1, numbers[-1] + 1))


def test_all_formats_are_among_the_samples() -> None:
    assert {path.suffix for path in SAMPLE_FILES} == {".md", ".txt", ".html", ".docx", ".pdf"}


def test_structure_is_found_in_all_formats() -> None:
    for name in ("员工手册.md", "办公室与会议室.html", "差旅报销.docx"):
        document = load(SAMPLES / name)
        kinds = {block.kind for block in document.blocks}
        assert {BlockKind.HEADING, BlockKind.TABLE, BlockKind.PARAGRAPH} <= kinds
        assert document.title


def test_a_guessed_encoding_is_noted() -> None:
    assert load(SAMPLES / "入职第一周.txt").notes == ("read as gb18030",)
    assert load(SAMPLES / "release-notes.txt").notes == ()


# What is no content


@pytest.mark.parametrize("name", ["warranty-returns.html", "办公室与会议室.html"])
def test_navigation_scripts_and_styles_are_dropped_from_the_samples(name: str) -> None:
    text = load(SAMPLES / name).text
    for word in ("siteAnalytics", "DO-NOT-INDEX", "border-collapse", "Basket", "退出登录"):
        assert word not in text


def test_html_that_is_not_content_is_dropped(tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    page.write_text(
        "<nav>menu</nav><!-- remark --><script>var code</script><style>.rule{}</style><template>later</template>"
        "<noscript>enable</noscript><p>正文<!-- inside -->在此。</p><iframe>frame</iframe>",
        encoding="utf-8",
    )
    assert load(page).text.split() == ["正文在此。"]


@pytest.mark.parametrize(
    "content", ["", "  \n", "<!-- nothing -->\n<!-- but remarks -->", "<nav>menu</nav>", "<p> </p>"]
)
def test_html_without_content_holds_no_text(tmp_path: Path, content: str) -> None:
    page = tmp_path / "page.html"
    page.write_text(content, encoding="utf-8")
    with pytest.raises(NoTextError, match=r"^page\.html: "):
        load(page)


def test_html_says_its_encoding_itself(tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    page.write_bytes('<meta charset="euc-jp"><p>こんにちは、世界。</p>'.encode("euc-jp"))
    document = load(page)
    assert (document.text, document.notes) == ("こんにちは、世界。", ("read as euc-jp",))


@pytest.mark.parametrize(
    ("encoding", "words"),
    [
        ("windows-1253", "Η προθεσμία είναι δεκατέσσερις ημέρες."),
        ("iso-8859-8", "המועד האחרון הוא ארבעה עשר יום."),
        ("iso-8859-2", "Termin wynosi czternaście dni, źródło: zażółć."),
        ("windows-1254", "Süre on dört gündür, ışık açık."),
        ("koi8-r", "Срок составляет четырнадцать дней."),
    ],
)
@pytest.mark.parametrize("name", ["page.html", "page.xml"])
def test_a_declared_encoding_is_believed_where_it_fits(tmp_path: Path, name: str, encoding: str, words: str) -> None:
    declared = f'<?xml version="1.0" encoding="{encoding}"?><page>' if name.endswith("xml") else ""
    page = tmp_path / name
    page.write_bytes(f'{declared}<meta charset="{encoding}"/><p>{words}</p>'.encode(encoding))
    if declared:
        page.write_bytes(f"{declared}<p>{words}</p></page>".encode(encoding))
    document = load(page)
    assert document.text == words


def test_front_matter_gives_the_title_and_is_no_text(tmp_path: Path) -> None:
    page = tmp_path / "front.md"
    page.write_text(MADE["front.md"], encoding="utf-8")
    document = load(page)
    assert document.title == "差旅制度"
    assert [(document.text[b.start : b.end]) for b in document.blocks] == ["正文第一行。"]
    assert document.lines_of(document.blocks[0].start, document.blocks[0].end) == ((0, 6),)


def test_a_horizontal_rule_at_the_top_is_not_front_matter(tmp_path: Path) -> None:
    page = tmp_path / "rule.md"
    page.write_text(MADE["rule.md"], encoding="utf-8")
    document = load(page)
    blocks = [document.text[block.start : block.end] for block in document.blocks]
    assert "开头一段。" in blocks[0]
    assert blocks[-1] == "后面一段。"


@pytest.mark.parametrize("suffix", [".txt", ".json"])
def test_a_long_line_of_blanks_does_no_harm(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"blank{suffix}"
    path.write_text(f"[1]\n{' ' * 50_000}\n", encoding="utf-8")
    began = time.monotonic()
    document = load(path)
    assert time.monotonic() - began < 2
    assert [document.text[block.start : block.end].strip("[]") for block in document.blocks] == ["1"]


# What is nested deeply


@pytest.mark.parametrize("depth", [5, 15, 90, 300])
def test_markdown_lists_keep_their_text_however_deep(tmp_path: Path, depth: int) -> None:
    page = tmp_path / "deep.md"
    page.write_text("".join("  " * i + f"- item {i}\n" for i in range(depth)) + "\nend\n", encoding="utf-8")
    document = load(page)
    words = "\n".join(document.text[block.start : block.end] for block in document.blocks)
    assert re.findall(r"item \d+|end", words) == [*(f"item {i}" for i in range(depth)), "end"]
    if depth < 100:
        assert [block.kind for block in document.blocks] == [BlockKind.LIST_ITEM] * depth + [BlockKind.PARAGRAPH]


@pytest.mark.parametrize("marker", [">", "> ", "- ", "> - ", "1. "])
@pytest.mark.parametrize("depth", [30, 150, 10_000])
def test_markdown_nested_on_one_line_keeps_its_text(tmp_path: Path, marker: str, depth: int) -> None:
    page = tmp_path / "deep.md"
    page.write_text(f"first\n\n{marker * depth}the words\n\nlast\n", encoding="utf-8")
    document = load(page)
    blocks = [document.text[block.start : block.end] for block in document.blocks]
    assert (blocks[0], blocks[-1], len(blocks)) == ("first", "last", 3)
    assert blocks[1].endswith("the words")


def test_markdown_without_text_makes_no_block(tmp_path: Path) -> None:
    page = tmp_path / "marks.md"
    page.write_text("one\n\n---\n\n[x]: http://a.b\n[x]: http://a.c\n\n***\n>\n\ntwo\n", encoding="utf-8")
    document = load(page)
    assert [document.text[block.start : block.end] for block in document.blocks] == ["one", "two"]


@pytest.mark.parametrize("tag", ["div", "span", "blockquote", "b"])
@pytest.mark.parametrize("depth", [100, 230, 240, 250, 260, 1000, 3000, 10_000])
def test_html_keeps_its_text_however_deep(tmp_path: Path, tag: str, depth: int) -> None:
    page = tmp_path / "deep.html"
    page.write_text(
        "<title>T</title><p>first</p>\n" + f"<{tag}>" * depth + "\n<p>deep <b>wo</b>rds</p><p>more</p>\n"
        f"<script>var code</script>{f'</{tag}>' * depth}\n<p>last</p>",
        encoding="utf-8",
    )
    document = load(page)
    assert document.title == "T"
    assert document.text.split() == ["first", "deep", "words", "more", "last"]
    first, last = document.blocks[0], document.blocks[-1]
    assert document.lines_of(first.start, first.end) == ((0, 1),)
    assert document.lines_of(last.start, last.end)[-1][1] == 5
    if depth >= 3000:  # libxml2 stops at 2048
        assert document.notes == ("nested too deeply to tell its structure",)
    else:
        assert document.notes == ()


# PDF and DOCX made here


def test_pages_are_numbered_and_blank_ones_are_no_fault(tmp_path: Path, make_pdf: Callable[..., bytes]) -> None:
    path = tmp_path / "some.pdf"
    path.write_bytes(make_pdf(["First page", None, None, "Fourth page", None]))
    document = load(path)
    assert (document.pages, document.notes, document.incomplete) == (5, (), False)
    chunks = Chunker().chunk(document)
    assert [(chunk.page, chunk.text, chunk.lines) for chunk in chunks] == [
        (1, "First page", ((0, 1),)),
        (4, "Fourth page", ((0, 1),)),
    ]


def test_a_scan_holds_no_text(tmp_path: Path, make_pdf: Callable[..., bytes]) -> None:
    path = tmp_path / "scan.pdf"
    path.write_bytes(make_pdf([None, None]))
    with pytest.raises(NoTextError, match="none of its 2 pages has a text layer"):
        load(path)


def test_an_encrypted_pdf_needs_a_password(tmp_path: Path, make_pdf: Callable[..., bytes]) -> None:
    path = tmp_path / "secret.pdf"
    path.write_bytes(make_pdf(["Secret"], encrypted=True))
    with pytest.raises(PasswordRequiredError, match=r"^secret\.pdf: it is encrypted; ") as caught:
        load(path)
    assert caught.value.status == "needs_password"


def test_an_encrypted_docx_needs_a_password(tmp_path: Path) -> None:
    path = tmp_path / "secret.docx"
    path.write_bytes(COMPOUND_FILE + "EncryptedPackage".encode("utf-16-le") + bytes(100))
    with pytest.raises(PasswordRequiredError, match=r"^secret\.docx: it is encrypted in an unknown way; "):
        load(path)


def test_an_old_word_file_named_docx_is_not_called_encrypted(tmp_path: Path) -> None:
    path = tmp_path / "old.docx"
    path.write_bytes(COMPOUND_FILE + "WordDocument".encode("utf-16-le") + bytes(100))
    kind, message = UnsupportedError, "Word 97-2003 documents need LibreOffice; install it, or save the file as .docx"
    if shutil.which("soffice") or shutil.which("libreoffice"):
        kind, message = UnreadableError, "Office 97 to 2003; save it as .docx"
    with pytest.raises(kind, match=re.escape(message)):
        load(path)


def test_a_docx_has_headings_lists_and_tables(tmp_path: Path) -> None:
    made = docx.Document()
    made.add_heading("报销", level=1)
    made.add_paragraph("先填表。")
    made.add_paragraph("发票", style="List Bullet")
    table = made.add_table(rows=2, cols=2)
    for cell, words in zip(
        [cell for row in table.rows for cell in row.cells], ["项", "限额", "酒店", "600 元"], strict=True
    ):
        cell.text = words
    made.sections[0].header.paragraphs[0].text = "页眉"
    path = tmp_path / "made.docx"
    made.save(str(path))
    document = load(path)
    assert document.title == "报销"
    assert [(block.kind, document.text[block.start : block.end]) for block in document.blocks] == [
        (BlockKind.HEADING, "报销"),
        (BlockKind.PARAGRAPH, "先填表。"),
        (BlockKind.LIST_ITEM, "发票"),
        (BlockKind.TABLE, "| 项 | 限额 |\n| --- | --- |\n| 酒店 | 600 元 |"),
    ]


def test_html_and_docx_are_read_without_unstructured(samples: Path) -> None:
    names = [str(samples / "办公室与会议室.html"), str(samples / "差旅报销.docx")]
    code = (
        "import sys; from pathlib import Path; from ingest import load\n"
        "for name in sys.argv[1:]: load(Path(name))\n"
        "print([name for name in ('unstructured', 'docx', 'spacy') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code, *names], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.strip() == "[]"


# Files that are not what they should be


def test_an_unknown_suffix_lists_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(UnsupportedError, match=r"^x\.exe: no loader for \.exe; known: .*\.md.*\.pdf") as caught:
        load(tmp_path / "x.exe")
    assert caught.value.status == "unsupported"


def test_suffixes_in_capitals_are_known(tmp_path: Path) -> None:
    path = tmp_path / "README.MD"
    path.write_text("# 标题", encoding="utf-8")
    assert load(path).title == "标题"


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_missing_file_is_refused(tmp_path: Path, suffix: str) -> None:
    with pytest.raises(UnreadableError, match=f"^gone{suffix}: not a file, or no longer there"):
        load(tmp_path / f"gone{suffix}")


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_folder_or_a_pipe_with_a_files_name(tmp_path: Path, suffix: str) -> None:
    (tmp_path / f"folder{suffix}").mkdir()
    os.mkfifo(tmp_path / f"pipe{suffix}")
    for name in ("folder", "pipe"):
        with pytest.raises(UnreadableError, match=f"^{name}{suffix}: "):
            load(tmp_path / f"{name}{suffix}")


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_an_empty_file(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"empty{suffix}"
    path.touch()
    with pytest.raises(NoTextError if suffix in TEXT_SUFFIXES else UnreadableError, match=f"^empty{suffix}: "):
        load(path)


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("content", ["product-specs.pdf", "差旅报销.docx", "入职第一周.txt", "zeros", "picture"])
def test_other_content_under_the_suffix(tmp_path: Path, suffix: str, content: str) -> None:
    path = tmp_path / f"wrong{suffix}"
    if content == "zeros":
        path.write_bytes(bytes(4096))
    elif content == "picture":
        path.write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 10)
    else:
        shutil.copyfile(SAMPLES / content, path)
    # Old Office files are often something else under their suffix, and a DOCX is a ZIP of XML.
    readable = {
        "入职第一周.txt": {*PLAIN_SUFFIXES, ".doc", ".ppt", ".xls"},
        "差旅报销.docx": {".docx", ".doc", ".zip"},
        "product-specs.pdf": {".pdf"},
    }
    if suffix in readable.get(content, ()):
        assert load(path).blocks
        return
    with pytest.raises(IngestError, match=f"^wrong{suffix}: .+"):
        load(path)


@pytest.mark.parametrize("name", ["product-specs.pdf", "差旅报销.docx", "data-retention.docx"])
@pytest.mark.parametrize("share", [0.02, 0.3, 0.6, 0.95])
def test_a_file_cut_short(tmp_path: Path, name: str, share: float) -> None:
    path = tmp_path / name
    data = (SAMPLES / name).read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    with pytest.raises(UnreadableError, match=f"^{name}: "):
        load(path)


@pytest.mark.parametrize("name", [path.name for path in SAMPLE_FILES])
@pytest.mark.parametrize("seed", range(3))
def test_damaged_bytes_raise_nothing_but_an_ingest_error(tmp_path: Path, name: str, seed: int) -> None:
    data = bytearray((SAMPLES / name).read_bytes())
    for position in range(7 + 13 * seed, len(data), 211 + 17 * seed):
        data[position] ^= 0x5A
    path = tmp_path / name
    path.write_bytes(data)
    try:
        assert load(path).blocks
    except IngestError as error:
        message = str(error)
    else:
        return
    assert message.startswith(f"{name}: ")
    assert "\n" not in message
