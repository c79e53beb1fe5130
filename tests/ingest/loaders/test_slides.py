import io
import struct
import zipfile
import zlib
from pathlib import Path

import pptx
import pytest
from contract import check_document
from msoffcrypto.format.ooxml import OOXMLFile
from pptx.chart.data import CategoryChartData
from pptx.enum.chart import XL_CHART_TYPE
from pptx.presentation import Presentation
from pptx.util import Inches

from ingest import BlockKind, ParsedDocument, load
from ingest.errors import NoTextError, PasswordRequiredError, TooLargeError, UnreadableError
from ingest.options import Limits, LoadOptions

DEFAULTS = LoadOptions()
TITLE_AND_BODY, TITLE_ONLY, BLANK = 1, 5, 6


def box(slide: object, text: str, top: float, left: float = 1) -> None:
    shape = slide.shapes.add_textbox(Inches(left), Inches(top), Inches(2), Inches(1))
    shape.text_frame.text = text


def picture() -> io.BytesIO:
    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">L", len(data)) + name + data + struct.pack(">L", zlib.crc32(name + data))

    header = struct.pack(">LLBBBBB", 1, 1, 8, 0, 0, 0, 0)
    return io.BytesIO(
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0\0")) + chunk(b"IEND", b"")
    )


def saved(made: Presentation, path: Path) -> Path:
    made.save(str(path))
    return path


def loaded(path: Path, options: LoadOptions = DEFAULTS) -> ParsedDocument:
    document = load(path, options)
    check_document(document)
    return document


def blocks(document: ParsedDocument) -> list[tuple[BlockKind, str, int | None]]:
    return [(block.kind, document.text[block.start : block.end], block.page) for block in document.blocks]


def test_titles_bullets_tables_and_notes(tmp_path: Path) -> None:
    made = pptx.Presentation()
    made.core_properties.title = ""
    slide = made.slides.add_slide(made.slide_layouts[TITLE_AND_BODY])
    slide.shapes.title.text = "年度\v计划"
    slide.placeholders[1].text = "第一点\n第二点"
    slide.notes_slide.notes_text_frame.text = "讲稿：先问好。"
    second = made.slides.add_slide(made.slide_layouts[TITLE_ONLY])
    second.shapes.title.text = "Budget"
    table = second.shapes.add_table(2, 2, Inches(1), Inches(3), Inches(4), Inches(1)).table
    for at, text in enumerate(["项目", "金额", "差旅", "5|6"]):
        table.cell(at // 2, at % 2).text = text
    document = loaded(saved(made, tmp_path / "x.pptx"))
    assert blocks(document) == [
        (BlockKind.HEADING, "年度计划", 1),
        (BlockKind.LIST_ITEM, "第一点", 1),
        (BlockKind.LIST_ITEM, "第二点", 1),
        (BlockKind.PARAGRAPH, "讲稿：先问好。", 1),
        (BlockKind.HEADING, "Budget", 2),
        (BlockKind.TABLE, "| 项目 | 金额 |\n| --- | --- |\n| 差旅 | 5\\|6 |", 2),
    ]
    assert (document.title, document.pages, document.incomplete) == ("年度计划", 2, False)
    assert document.blocks[5].header_end
    assert [line for _, line in document.line_marks[-4:]] == [1, 2, 2, 3]


def test_the_title_that_the_properties_name(tmp_path: Path) -> None:
    made = pptx.Presentation()
    made.slides.add_slide(made.slide_layouts[TITLE_ONLY]).shapes.title.text = "封面"
    made.core_properties.title = "2024 年度计划"
    assert loaded(saved(made, tmp_path / "x.pptx")).title == "2024 年度计划"
    made.core_properties.title = "PowerPoint 演示文稿"
    assert loaded(saved(made, tmp_path / "x.pptx")).title == "封面"


def test_shapes_are_read_from_the_top_groups_together(tmp_path: Path) -> None:
    made = pptx.Presentation()
    slide = made.slides.add_slide(made.slide_layouts[BLANK])
    box(slide, "下", 5)
    group = slide.shapes.add_group_shape()
    for text, top in (("组内二", 3), ("组内一", 2)):
        shape = group.shapes.add_textbox(Inches(1), Inches(top), Inches(2), Inches(1))
        shape.text_frame.text = text
    box(slide, "右上", 1, left=4)
    box(slide, "左上", 1)
    texts = [text for _, text, _ in blocks(loaded(saved(made, tmp_path / "x.pptx")))]
    assert texts == ["左上", "右上", "组内一", "组内二", "下"]


def test_a_chart_is_a_table_of_its_values(tmp_path: Path) -> None:
    made = pptx.Presentation()
    slide = made.slides.add_slide(made.slide_layouts[BLANK])
    data = CategoryChartData()
    data.categories = ["一季度", "二季度"]
    data.add_series("收入", (4.1, 4.4000000000000004))
    data.add_series("成本", (3, None))
    frame = slide.shapes.add_chart(XL_CHART_TYPE.LINE, Inches(1), Inches(1), Inches(4), Inches(3), data)
    frame.chart.has_title = True
    frame.chart.chart_title.text_frame.text = "季度收支"
    assert [text for _, text, _ in blocks(loaded(saved(made, tmp_path / "x.pptx")))] == [
        "季度收支",
        "|  | 收入 | 成本 |\n| --- | --- | --- |\n| 一季度 | 4.1 | 3 |\n| 二季度 | 4.4 |  |",
    ]


def test_merged_cells_come_once(tmp_path: Path) -> None:
    made = pptx.Presentation()
    slide = made.slides.add_slide(made.slide_layouts[BLANK])
    table = slide.shapes.add_table(2, 2, Inches(1), Inches(1), Inches(4), Inches(1)).table
    for row in range(2):
        for column in range(2):
            table.cell(row, column).text = f"{row}{column}"
    table.cell(0, 0).merge(table.cell(0, 1))
    text = loaded(saved(made, tmp_path / "x.pptx")).text
    assert text.count("00") == 1
    assert text.endswith("| 10 | 11 |")


def test_a_slide_of_pictures_alone_is_named(tmp_path: Path) -> None:
    made = pptx.Presentation()
    made.slides.add_slide(made.slide_layouts[TITLE_ONLY]).shapes.title.text = "封面"
    made.slides.add_slide(made.slide_layouts[BLANK]).shapes.add_picture(picture(), 0, 0)
    made.slides.add_slide(made.slide_layouts[BLANK])
    document = loaded(saved(made, tmp_path / "x.pptx"))
    assert document.notes == ("only pictures on slide 2",)
    assert (document.incomplete, document.lacks_ocr, document.pages) == (True, True, 3)


def test_hidden_slides_are_read_and_named(tmp_path: Path) -> None:
    made = pptx.Presentation()
    for words in ("甲", "乙"):
        made.slides.add_slide(made.slide_layouts[TITLE_ONLY]).shapes.title.text = words
    made.slides[1]._element.set("show", "0")
    document = loaded(saved(made, tmp_path / "x.pptx"))
    assert document.text == "甲\n\n乙"
    assert document.notes == ("hidden slides included: 2",)


def test_long_text_in_a_title_placeholder_is_not_a_title(tmp_path: Path) -> None:
    made = pptx.Presentation()
    made.core_properties.title = ""
    made.slides.add_slide(made.slide_layouts[TITLE_ONLY]).shapes.title.text = "很长的正文。" * 50
    document = loaded(saved(made, tmp_path / "x.pptx"))
    assert [kind for kind, _, _ in blocks(document)] == [BlockKind.PARAGRAPH]
    assert document.title is None


def test_characters_that_xml_forbids_do_not_lose_the_slide(tmp_path: Path) -> None:
    made = pptx.Presentation()
    made.slides.add_slide(made.slide_layouts[TITLE_ONLY]).shapes.title.text = "前@后"
    path = saved(made, tmp_path / "x.pptx")
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    parts["ppt/slides/slide1.xml"] = parts["ppt/slides/slide1.xml"].replace(b"@", b"\x0b")
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in parts.items():
            archive.writestr(name, data)
    assert loaded(path).text == "前后"


def test_an_encrypted_presentation_is_opened_by_a_password_that_fits(tmp_path: Path) -> None:
    made = pptx.Presentation()
    made.slides.add_slide(made.slide_layouts[TITLE_ONLY]).shapes.title.text = "机密"
    path = saved(made, tmp_path / "x.pptx")
    encrypted = io.BytesIO()
    with path.open("rb") as stream:
        OOXMLFile(stream).encrypt("secret", encrypted)
    path.write_bytes(encrypted.getvalue())
    with pytest.raises(PasswordRequiredError, match=r"^x\.pptx: it is encrypted; give its password with --password"):
        loaded(path)
    assert loaded(path, LoadOptions(passwords=("secret",))).text == "机密"


def test_each_slide_is_reported_and_their_number_is_bounded(tmp_path: Path) -> None:
    made = pptx.Presentation()
    for _ in range(3):
        made.slides.add_slide(made.slide_layouts[TITLE_ONLY]).shapes.title.text = "标题"
    path = saved(made, tmp_path / "x.pptx")
    done: list[None] = []
    loaded(path, LoadOptions(page_done=lambda: done.append(None)))
    assert len(done) == 3
    for limits, why in (
        (Limits(pages=2), "it has 3 slides, more than 2"),
        (Limits(unpacked_bytes=1_000), "it unpacks to"),
        (Limits(characters=6), "more than 6 characters"),
    ):
        with pytest.raises(TooLargeError, match=rf"^x\.pptx: {why}|^x\.pptx: it holds {why}"):
            loaded(path, LoadOptions(limits=limits))


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04" + bytes(100), bytes(3000)])
def test_an_invalid_presentation_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "x.pptx"
    path.write_bytes(content)
    with pytest.raises(UnreadableError, match=r"^x\.pptx: not a document of PowerPoint, or cut short; "):
        load(path)


def test_a_presentation_without_words_holds_no_text(tmp_path: Path) -> None:
    with pytest.raises(NoTextError):
        load(saved(pptx.Presentation(), tmp_path / "x.pptx"))
