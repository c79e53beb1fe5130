import io
import struct
import tracemalloc
import zipfile
from pathlib import Path

import docx
import pytest
from contract import check_document
from docx.document import Document
from docx.oxml import parse_xml
from docx.oxml.ns import qn
from msoffcrypto.format.ooxml import OOXMLFile

from ingest import BlockKind, ParsedDocument, load
from ingest.errors import NoTextError, PasswordRequiredError, TooLargeError, UnreadableError
from ingest.loaders.office.chinese_numbers import count_in_chinese
from ingest.options import Limits, LoadOptions

DEFAULTS = LoadOptions()
TOP = '<w:vMerge w:val="restart"/>'
COVERED = "<w:vMerge/>"
WIDE = '<w:gridSpan w:val="2"/>'
NAMESPACES = (
    'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main" '
    'xmlns:mc="http://schemas.openxmlformats.org/markup-compatibility/2006" '
    'xmlns:m="http://schemas.openxmlformats.org/officeDocument/2006/math" '
    'xmlns:v="urn:schemas-microsoft-com:vml" '
    'xmlns:wps="http://schemas.microsoft.com/office/word/2010/wordprocessingShape"'
)


def add(made: Document, xml: str) -> None:
    """Append WordprocessingML to the body."""
    for element in parse_xml(f"<w:body {NAMESPACES}>{xml}</w:body>"):
        made.element.body.insert_element_before(element, "w:sectPr")


def paragraph(text: str) -> str:
    return f"<w:p><w:r><w:t>{text}</w:t></w:r></w:p>"


def cell(content: str, properties: str = "") -> str:
    return f"<w:tc><w:tcPr>{properties}</w:tcPr>{content}</w:tc>"


def table(*rows: list[str]) -> str:
    """Return a table of cells; plain words become one."""
    filled = ((part if part.startswith("<") else cell(paragraph(part)) for part in row) for row in rows)
    return f"<w:tbl>{''.join(f'<w:tr>{chr(10).join(row)}</w:tr>' for row in filled)}</w:tbl>"


def saved(made: Document, path: Path) -> Path:
    made.save(str(path))
    return path


def loaded(path: Path, options: LoadOptions = DEFAULTS) -> ParsedDocument:
    document = load(path, options)
    check_document(document)
    return document


def blocks(document: ParsedDocument) -> list[tuple[BlockKind, str]]:
    return [(block.kind, document.text[block.start : block.end]) for block in document.blocks]


def texts(made: Document, path: Path) -> list[str]:
    return [text for _, text in blocks(loaded(saved(made, path)))]


@pytest.mark.parametrize("name", ["标题 1", "標題 1", "heading 1", "Heading 1"])
def test_headings_by_the_names_of_word_in_any_language(tmp_path: Path, name: str) -> None:
    made = docx.Document()
    made.add_heading("第一章 总则", level=1)
    made.add_heading("目的", level=2)
    made.styles["Heading 1"].element.name_val = name
    document = loaded(saved(made, tmp_path / "x.docx"))
    assert [(block.kind, block.level) for block in document.blocks] == [(BlockKind.HEADING, 1), (BlockKind.HEADING, 2)]
    assert document.title == "第一章 总则"


def test_headings_by_outline_level(tmp_path: Path) -> None:
    made = docx.Document()
    style = made.styles.add_style("公司标题", 1)
    style.element.get_or_add_pPr().append(parse_xml(f'<w:outlineLvl {NAMESPACES} w:val="1"/>'))
    made.add_paragraph("按样式", style="公司标题")
    add(made, '<w:p><w:pPr><w:outlineLvl w:val="2"/></w:pPr><w:r><w:t>按段落</w:t></w:r></w:p>')
    add(made, f'<w:p><w:pPr><w:outlineLvl w:val="0"/></w:pPr><w:r><w:t>{"整段正文。" * 40}</w:t></w:r></w:p>')
    document = loaded(saved(made, tmp_path / "x.docx"))
    assert [(block.kind, block.level) for block in document.blocks] == [
        (BlockKind.HEADING, 2),
        (BlockKind.HEADING, 3),
        (BlockKind.PARAGRAPH, 0),
    ]


def test_text_boxes_content_controls_and_insertions_are_read(tmp_path: Path) -> None:
    made = docx.Document()
    box = f"<w:txbxContent>{paragraph('框里的字')}{paragraph('第二段')}</w:txbxContent>"
    add(
        made,
        f'<w:p><w:r><w:t>锚</w:t></w:r><w:r><mc:AlternateContent><mc:Choice Requires="wps"><wps:txbx>{box}</wps:txbx>'
        f"</mc:Choice><mc:Fallback><w:pict><v:textbox>{box}</v:textbox></w:pict></mc:Fallback></mc:AlternateContent>"
        "</w:r></w:p>",
    )
    add(made, f"<w:sdt><w:sdtContent>{paragraph('控件里的段落')}</w:sdtContent></w:sdt>")
    add(
        made,
        "<w:p><w:r><w:t>共</w:t></w:r><w:sdt><w:sdtContent><w:r><w:t>三</w:t></w:r></w:sdtContent></w:sdt>"
        '<w:ins w:id="1"><w:r><w:t>十</w:t></w:r></w:ins><w:del w:id="2"><w:r><w:delText>百</w:delText></w:r></w:del>'
        '<w:fldSimple w:instr="DATE"><w:r><w:t>天</w:t></w:r></w:fldSimple>'
        "<w:r><w:rPr><w:vanish/></w:rPr><w:t>看不见</w:t></w:r></w:p>",
    )
    add(
        made,
        "<w:p><m:oMathPara><m:oMath><m:r><m:t>E=mc</m:t></m:r><m:r><m:t>2</m:t></m:r></m:oMath></m:oMathPara></w:p>",
    )
    assert texts(made, tmp_path / "x.docx") == ["锚", "框里的字", "第二段", "控件里的段落", "共三十天", "E=mc2"]


def test_headers_and_tables_of_contents_are_dropped(tmp_path: Path) -> None:
    made = docx.Document()
    made.sections[0].header.paragraphs[0].text = "页眉"
    made.sections[0].footer.paragraphs[0].text = "页脚"
    gallery = '<w:docPartObj><w:docPartGallery w:val="Table of Contents"/></w:docPartObj>'
    add(made, f"<w:sdt><w:sdtPr>{gallery}</w:sdtPr><w:sdtContent>{paragraph('总则	1')}</w:sdtContent></w:sdt>")
    made.add_paragraph("正文")
    assert texts(made, tmp_path / "x.docx") == ["正文"]


def test_footnotes_follow_the_paragraph_that_refers_to_them(tmp_path: Path) -> None:
    made = docx.Document()
    add(made, '<w:p><w:r><w:t>利率</w:t></w:r><w:r><w:footnoteReference w:id="2"/></w:r></w:p>' + paragraph("下一段"))
    path = saved(made, tmp_path / "x.docx")
    footnotes = f'<w:footnotes {NAMESPACES}><w:footnote w:id="2">{paragraph("自三月起")}</w:footnote></w:footnotes>'
    relation = '<Relationship Id="f" Type="http://x/footnotes" Target="footnotes.xml"/></Relationships>'
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    rels = "word/_rels/document.xml.rels"
    parts[rels] = parts[rels].replace(b"</Relationships>", relation.encode())
    parts["word/footnotes.xml"] = footnotes.encode()
    write(path, parts)
    assert [text for _, text in blocks(loaded(path))] == ["利率[1]", "[1] 自三月起", "下一段"]


def write(path: Path, parts: dict[str, bytes]) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in parts.items():
            archive.writestr(name, data)


def test_tables_have_a_header_and_merged_cells_once(tmp_path: Path) -> None:
    made = docx.Document()
    add(
        made,
        table(
            ["部门", cell(paragraph("人数"), WIDE)],
            [cell(paragraph("财务"), TOP), "男 | 3", cell(paragraph("女") + paragraph("4"))],
            [cell(paragraph(""), COVERED), "5", "6"],
        ),
    )
    document = loaded(saved(made, tmp_path / "x.docx"))
    assert document.text.split("\n") == [
        "| 部门 | 人数 |  |",
        "| --- | --- | --- |",
        "| 财务 | 男 \\| 3 | 女 4 |",
        "|  | 5 | 6 |",
    ]
    block = document.blocks[0]
    assert document.text[block.start : block.header_end].endswith("| --- | --- | --- |")


def test_rows_that_lack_cells_lose_nothing(tmp_path: Path) -> None:
    made = docx.Document()
    add(made, table(["甲", cell(paragraph("乙"), TOP)], ["丙"], ["丁", cell(paragraph(""), COVERED)]))
    assert texts(made, tmp_path / "x.docx") == ["| 甲 | 乙 |\n| --- | --- |\n| 丙 |  |\n| 丁 |  |"]


def test_nested_tables_and_frames_of_one_cell(tmp_path: Path) -> None:
    made = docx.Document()
    inner = table(["里", "面"])
    add(made, table(["外", cell(inner + paragraph(""))]))
    add(made, paragraph("之间"))
    add(made, table([cell(paragraph("框中一段") + inner + paragraph("又一段"))]))
    assert texts(made, tmp_path / "x.docx") == [
        "| 外 | 里 面 |\n| --- | --- |",
        "之间",
        "框中一段",
        "| 里 | 面 |\n| --- | --- |",
        "又一段",
    ]


def test_a_row_that_spans_the_table_is_its_title(tmp_path: Path) -> None:
    made = docx.Document()
    add(made, table([cell(paragraph("差旅标准"), WIDE)], ["城市", "限额"], ["北京", "600"]))
    add(made, paragraph("以上自一月起执行"))
    document = loaded(saved(made, tmp_path / "x.docx"))
    assert [text for _, text in blocks(document)] == [
        "差旅标准",
        "| 城市 | 限额 |\n| --- | --- |\n| 北京 | 600 |",
        "以上自一月起执行",
    ]
    assert [line for _, line in document.line_marks] == [1, 2, 2, 3, 4]


def numbered(made: Document, *levels: str) -> None:
    """Give the document a list, number 77, whose levels are `numFmt text`."""
    described = "".join(
        f'<w:lvl w:ilvl="{at}"><w:start w:val="1"/><w:numFmt w:val="{level.split()[0]}"/>'
        f'<w:lvlText w:val="{level.split()[1]}"/></w:lvl>'
        for at, level in enumerate(levels)
    )
    numbering = made.part.numbering_part.element
    numbering.insert(0, parse_xml(f'<w:abstractNum {NAMESPACES} w:abstractNumId="77">{described}</w:abstractNum>'))
    numbering.append(parse_xml(f'<w:num {NAMESPACES} w:numId="77"><w:abstractNumId w:val="77"/></w:num>'))


def item(text: str, level: int = 0, number: int = 77) -> str:
    counted = f'<w:numPr><w:ilvl w:val="{level}"/><w:numId w:val="{number}"/></w:numPr>'
    return f"<w:p><w:pPr>{counted}</w:pPr><w:r><w:t>{text}</w:t></w:r></w:p>"


def test_numbers_of_lists_are_shown_in_chinese(tmp_path: Path) -> None:
    made = docx.Document()
    numbered(made, "chineseCountingThousand 第%1条")
    made.part.numbering_part.element.find(".//{*}start").set(qn("w:val"), "11")
    add(made, item("甲方应当付款。") + item("乙方应当交货。"))
    document = loaded(saved(made, tmp_path / "x.docx"))
    assert blocks(document) == [
        (BlockKind.LIST_ITEM, "第十一条 甲方应当付款。"),
        (BlockKind.LIST_ITEM, "第十二条 乙方应当交货。"),
    ]


def test_lists_count_by_level_and_begin_anew_below_the_next_item(tmp_path: Path) -> None:
    made = docx.Document()
    numbered(made, "decimal %1.", "lowerLetter %1.%2)", "upperRoman %3")
    items = [("a", 0), ("b", 1), ("c", 1), ("d", 2), ("e", 0), ("f", 1), ("g", 2)]
    add(made, "".join(item(text, level) for text, level in items) + item("h", number=0))
    assert texts(made, tmp_path / "x.docx") == [
        *("1. a", "1.a) b", "1.b) c", "I d", "2. e", "2.a) f", "I g", "h"),
    ]


def test_a_list_restarts_where_another_number_of_it_says_so(tmp_path: Path) -> None:
    made = docx.Document()
    numbered(made, "decimal %1.")
    again = '<w:abstractNumId w:val="77"/><w:lvlOverride w:ilvl="0"><w:startOverride w:val="5"/></w:lvlOverride>'
    made.part.numbering_part.element.append(parse_xml(f'<w:num {NAMESPACES} w:numId="78">{again}</w:num>'))
    add(made, item("a") + item("b") + item("c", number=78) + item("d", number=78))
    assert texts(made, tmp_path / "x.docx") == ["1. a", "2. b", "5. c", "6. d"]


def test_numbers_in_cells_are_shown_and_counted(tmp_path: Path) -> None:
    made = docx.Document()
    numbered(made, "decimal %1.")
    add(made, table(["序号", "名称"], [cell(item("")), "钢板"], [cell(item("")), "电机"]) + item("后续"))
    assert texts(made, tmp_path / "x.docx") == [
        "| 序号 | 名称 |\n| --- | --- |\n| 1. | 钢板 |\n| 2. | 电机 |",
        "3. 后续",
    ]


def test_pages_go_on_after_breaks_in_paragraphs_and_in_tables(tmp_path: Path) -> None:
    made = docx.Document()
    turned = "<w:r><w:lastRenderedPageBreak/></w:r>"
    split = f"<w:p><w:r><w:t>one</w:t></w:r>{turned}<w:r><w:t>two</w:t></w:r></w:p>"
    over = [cell(f"<w:p>{turned}<w:r><w:t>c</w:t></w:r></w:p>"), cell(f"<w:p>{turned}<w:r><w:t>d</w:t></w:r></w:p>")]
    add(made, split + table(["a", "b"], over) + paragraph("three"))
    document = loaded(saved(made, tmp_path / "x.docx"))
    assert [block.page for block in document.blocks] == [1, 2, 2, 3]
    assert document.pages == 3


@pytest.mark.parametrize(
    ("value", "number_format", "written"),
    [
        (3, "chineseCountingThousand", "三"),
        (10, "chineseCounting", "十"),
        (20, "chineseCounting", "二十"),
        (101, "chineseCountingThousand", "一百零一"),
        (110, "chineseCountingThousand", "一百一十"),
        (1001, "japaneseCounting", "一千零一"),
        (12, "chineseLegalSimplified", "壹拾贰"),
        (2, "ideographTraditional", "乙"),
        (11, "ideographTraditional", "11"),
        (3, "decimalEnclosedCircleChinese", "③"),
        (10, "ideographDigital", "一〇"),
        (12, "decimalFullWidth", "１２"),
        (5, "upperRoman", None),
    ],
)
def test_counting_in_chinese(value: int, number_format: str, written: str | None) -> None:
    assert count_in_chinese(value, number_format) == written


def test_pictures_and_broken_links_to_parts_do_not_matter(tmp_path: Path) -> None:
    made = docx.Document()
    made.add_paragraph("正文")
    path = saved(made, tmp_path / "x.docx")
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    rels = "word/_rels/document.xml.rels"
    missing = b'<Relationship Id="n" Type="http://x/image" Target="../NULL"/></Relationships>'
    parts[rels] = parts[rels].replace(b"</Relationships>", missing)
    write(path, parts)
    assert loaded(path).text == "正文"


def test_an_embedded_document_is_noted(tmp_path: Path) -> None:
    made = docx.Document()
    made.add_paragraph("正文")
    add(made, "<w:altChunk/>")
    document = loaded(saved(made, tmp_path / "x.docx"))
    assert document.incomplete
    assert document.notes == ("an embedded document was skipped",)


def test_an_encrypted_document_is_opened_by_a_password_that_fits(tmp_path: Path) -> None:
    made = docx.Document()
    made.add_paragraph("机密")
    path = saved(made, tmp_path / "x.docx")
    encrypted = io.BytesIO()
    with path.open("rb") as stream:
        OOXMLFile(stream).encrypt("secret", encrypted)
    path.write_bytes(encrypted.getvalue())
    with pytest.raises(PasswordRequiredError, match=r"^x\.docx: it is encrypted; give its password with --password"):
        loaded(path)
    with pytest.raises(PasswordRequiredError, match="no password given opens it"):
        loaded(path, LoadOptions(passwords=("wrong",)))
    assert loaded(path, LoadOptions(passwords=("wrong", "secret"))).text == "机密"


def test_limits_on_the_unpacked_document(tmp_path: Path) -> None:
    made = docx.Document()
    for number in range(20):
        made.add_paragraph(f"第 {number} 段")
    made.add_table(rows=3, cols=3).cell(0, 0).text = "x"
    path = saved(made, tmp_path / "x.docx")
    for limits, why in (
        (Limits(unpacked_bytes=10_000), "it unpacks to"),
        (Limits(members=5), "files, more than 5"),
        (Limits(characters=50), "characters, more than"),
        (Limits(cells=8), "more than 8 cells"),
    ):
        with pytest.raises(TooLargeError, match=rf"^x\.docx: .*{why}"):
            loaded(path, LoadOptions(limits=limits))


def test_a_main_part_above_the_limit_is_refused_before_it_is_read(tmp_path: Path) -> None:
    path = saved(docx.Document(), tmp_path / "x.docx")
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    body = paragraph("x") * 1_000_000
    parts["word/document.xml"] = f"<w:document {NAMESPACES}><w:body>{body}</w:body></w:document>".encode()
    write(path, parts)
    with pytest.raises(TooLargeError, match=r"^x\.docx: its text and layout take \d+ MB, more than 30 MB; split it"):
        load(path)


def test_a_directory_that_lies_about_a_parts_size(tmp_path: Path) -> None:
    made = docx.Document()
    made.add_paragraph("x")
    path = saved(made, tmp_path / "x.docx")
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    zeros = 200_000_000
    parts["word/document.xml"] = bytes(zeros)
    write(path, parts)
    data = path.read_bytes().replace(struct.pack("<L", zeros), struct.pack("<L", 5_000))
    path.write_bytes(data)
    tracemalloc.start()
    try:
        with pytest.raises(UnreadableError, match=r"^x\.docx: broken, word/document\.xml cannot be read \(Bad CRC-32"):
            load(path)
        assert tracemalloc.get_traced_memory()[1] < 50_000_000
    finally:
        tracemalloc.stop()


def test_an_entity_bomb_is_refused(tmp_path: Path) -> None:
    path = saved(docx.Document(), tmp_path / "x.docx")
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    declared = '<!DOCTYPE d [<!ENTITY x SYSTEM "file:///etc/passwd">]>'
    body = "<w:body><w:p><w:r><w:t>&x;</w:t></w:r></w:p></w:body>"
    parts["word/document.xml"] = f"{declared}<w:document {NAMESPACES}>{body}</w:document>".encode()
    write(path, parts)
    with pytest.raises(UnreadableError, match=r"^x\.docx: word/document\.xml declares XML entities"):
        load(path)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04" + bytes(100), b"%PDF-1.7\n", bytes(4096)])
def test_an_invalid_document_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "x.docx"
    path.write_bytes(content)
    with pytest.raises(UnreadableError, match=r"^x\.docx: not a document of Word, or cut short; "):
        load(path)


def test_a_zip_that_is_not_a_document_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.docx"
    write(path, {"readme.txt": b"hello"})
    with pytest.raises(UnreadableError, match=r"^x\.docx: not a Word document, or broken; "):
        load(path)


def test_a_document_without_words_holds_no_text(tmp_path: Path) -> None:
    with pytest.raises(NoTextError):
        load(saved(docx.Document(), tmp_path / "x.docx"))
