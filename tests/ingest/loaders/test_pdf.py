from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import pytest
from pdfs import Text, write_pdf
from PIL import Image, ImageDraw, ImageFont

from ingest import BlockKind, ParsedDocument
from ingest.errors import (
    GarbledError,
    NoTextError,
    OcrRequiredError,
    PasswordRequiredError,
    TooLargeError,
    UnreadableError,
)
from ingest.loaders import load
from ingest.loaders.pages.garbled import is_garbled
from ingest.options import Limits, LoadOptions

NO_OCR = LoadOptions(ocr=False)
PROSE = (
    "The committee met in the second week of spring to hear what had become of",
    "the plans that were laid before it a year ago. Most of them had been carried",
    "out as they were written, some with changes that nobody had foreseen, and a",
    "few not at all.",
)


def lines(x: float, top: float, words: Sequence[str], step: float = 14) -> list[Text]:
    return [(x, top + step * number, line) for number, line in enumerate(words)]


def texts(document: ParsedDocument, kind: BlockKind | None = None) -> list[str]:
    return [document.text[block.start : block.end] for block in document.blocks if kind in (None, block.kind)]


def test_lines_become_paragraphs_and_keep_their_numbers(tmp_path: Path) -> None:
    path = write_pdf(tmp_path / "a.pdf", [[*lines(60, 100, PROSE), *lines(60, 180, PROSE)]])
    document = load(path)
    assert texts(document) == [" ".join(PROSE)] * 2
    second = document.blocks[1]
    assert [line for _, line in document.lines_of(second.start, second.end)] == [5, 6, 7, 8]
    assert {block.kind for block in document.blocks} == {BlockKind.PARAGRAPH}


def test_no_space_comes_between_han_characters(tmp_path: Path) -> None:
    words = ["第一行的文字写到这里为止而没有结束还要继续写", "第二行才把话说完。"]
    path = write_pdf(tmp_path / "a.pdf", [[(60, 100, words[0], "F4", 12.0), (60, 118, words[1], "F4", 12.0)]])
    assert load(path).text == "".join(words)


def test_characters_beyond_the_basic_plane_are_whole(tmp_path: Path) -> None:
    path = write_pdf(tmp_path / "a.pdf", [[*lines(60, 100, PROSE), (60, 200, "生僻字𠮷野家，𠀀", "F4", 12.0)]])
    assert "生僻字𠮷野家，𠀀" in load(path).text


def test_a_broken_word_is_whole_again(tmp_path: Path) -> None:
    path = write_pdf(
        tmp_path / "a.pdf", [lines(60, 100, ["What was written there was a great encour-", "agement to all of us."])]
    )
    assert load(path).text == "What was written there was a great encouragement to all of us."


def test_headings_are_ranked_by_their_size(tmp_path: Path) -> None:
    page: list[Text] = [
        (60, 60, "Annual Review", "F2", 20.0),
        (60, 100, "What was done", "F2", 14.0),
        *lines(60, 130, PROSE),
        (60, 210, "What is left", "F2", 14.0),
        *lines(60, 240, PROSE),
    ]
    document = load(write_pdf(tmp_path / "a.pdf", [page]))
    headings = [block for block in document.blocks if block.kind is BlockKind.HEADING]
    assert [block.level for block in headings] == [1, 2, 2]
    assert texts(document, BlockKind.HEADING) == ["Annual Review", "What was done", "What is left"]
    assert document.title == "Annual Review"


@pytest.mark.parametrize(
    ("title", "expected"),
    [
        ("A Study of Rivers", "A Study of Rivers"),
        ("Microsoft Word - draft3.doc", None),
        ("untitled", None),
        ("report_final_2.docx", None),
        ("年度报告", "年度报告"),
        ("\ud800", None),
    ],
)
def test_a_title_that_is_a_file_name_or_damaged_is_none(tmp_path: Path, title: str, expected: str | None) -> None:
    assert load(write_pdf(tmp_path / "a.pdf", [lines(60, 100, PROSE)], title=title)).title == expected


def test_list_items_are_told_from_paragraphs(tmp_path: Path) -> None:
    items = ["1. Open the door.", "2. Go in.", "3. Close the door behind you."]
    document = load(write_pdf(tmp_path / "a.pdf", [[*lines(60, 100, PROSE), *lines(70, 170, items)]]))
    assert texts(document, BlockKind.LIST_ITEM) == items


def columns(row_by_row: bool) -> list[Text]:
    left = [line[:38] for line in PROSE[:3] * 5]
    right = [line[38:76] + " and" for line in PROSE[:3] * 5]
    sides = lines(40, 100, left), lines(320, 100, right)
    return [text for pair in zip(*sides, strict=True) for text in pair] if row_by_row else [*sides[0], *sides[1]]


@pytest.mark.parametrize("row_by_row", [False, True])
def test_two_columns_are_read_one_after_the_other(tmp_path: Path, row_by_row: bool) -> None:
    title: list[Text] = [(60, 60, "A title over both of the columns of this page", "F2", 18.0)]
    document = load(write_pdf(tmp_path / "a.pdf", [title + columns(row_by_row)]))
    assert texts(document, BlockKind.TABLE) == []
    folded = " ".join(document.text.split())
    assert folded.startswith("A title over both")
    assert folded.rindex("The committee met") < folded.index("come of and")


def test_reading_order_does_not_depend_on_drawing_order(tmp_path: Path) -> None:
    page = [*lines(60, 500, ["Below, and drawn first."]), *lines(60, 100, ["Above, and drawn last."])]
    assert load(write_pdf(tmp_path / "a.pdf", [page])).text == "Above, and drawn last.\n\nBelow, and drawn first."


ROWS = [
    ["Item", "Amount", "Unit", "Price"],
    ["Bolts", "120", "box", "14.50"],
    ["Brass screws", "7", "bag", "3.20"],
    ["Nails", "1,400", "kg", "0.80"],
]


def table_texts(rows: Sequence[Sequence[str]] = ROWS) -> list[Text]:
    return [
        (60 + 110 * column, 300 + 20 * row, cell)
        for row, cells in enumerate(rows)
        for column, cell in enumerate(cells)
        if cell
    ]


def test_cells_in_columns_are_a_table(tmp_path: Path) -> None:
    page = [*lines(60, 100, PROSE), *table_texts(), *lines(60, 450, PROSE)]
    document = load(write_pdf(tmp_path / "a.pdf", [page]))
    assert texts(document) == [
        " ".join(PROSE),
        "\n".join(
            ["| Item | Amount | Unit | Price |", "| --- | --- | --- | --- |"]
            + [f"| {' | '.join(row)} |" for row in ROWS[1:]]
        ),
        " ".join(PROSE),
    ]
    table = document.blocks[1]
    assert document.text[table.start : table.header_end].count("\n") == 1
    assert [line for _, line in document.lines_of(table.start, table.end)] == [5, 5, 6, 7, 8]


def test_ruled_cells_hold_lines_that_are_broken_within_them(tmp_path: Path) -> None:
    page: list[Text] = [
        (65, 315, "Name"), (205, 315, "Duty"),
        (65, 340, "Guard"), (205, 335, "Walks around the"), (205, 348, "house at night"),
        (65, 375, "Cook|Baker"), (205, 375, "Cooks"),
    ]  # fmt: skip
    grid = b"\n1 w 0 0 0 RG " + b" ".join(
        [b"60 %d m 340 %d l S" % (y, y) for y in (500, 480, 445, 410)]
        + [b"%d 500 m %d 410 l S" % (x, x) for x in (60, 200, 340)]
    )
    document = load(write_pdf(tmp_path / "a.pdf", [page], extra=grid))
    assert texts(document) == [
        "| Name | Duty |\n| --- | --- |\n| Guard | Walks around the house at night |\n| Cook\\|Baker | Cooks |"
    ]


def test_a_frame_around_prose_makes_no_table(tmp_path: Path) -> None:
    frame = b"\n1 w 50 620 500 120 re S"
    document = load(write_pdf(tmp_path / "a.pdf", [lines(60, 100, PROSE)], extra=frame))
    assert texts(document) == [" ".join(PROSE)]


def test_headers_and_page_numbers_are_dropped(tmp_path: Path) -> None:
    pages = [
        [(60, 30, "Handbook of the Zephyr works"), *lines(60, 100, PROSE), (60, 200, f"Only on {word}."),
         (300, 780, f"- {number} -")]
        for number, word in enumerate(("one", "two", "three", "four", "five"), start=1)
    ]  # fmt: skip
    document = load(write_pdf(tmp_path / "a.pdf", pages))
    assert document.text.count("Handbook of the Zephyr works") == 1
    assert document.blocks[0].page == 1
    assert "- 3 -" not in document.text
    assert all(f"Only on {word}." in document.text for word in ("one", "three", "five"))


def test_a_header_whose_words_are_in_the_text_is_dropped(tmp_path: Path) -> None:
    pages = [[(60, 30, "the committee met"), *lines(60, 150, PROSE)] for _ in range(4)]
    assert "the committee met" not in load(write_pdf(tmp_path / "a.pdf", pages)).text


def test_text_drawn_twice_is_taken_once(tmp_path: Path) -> None:
    page = [(60.4 if text[0] == 60 else text[0], text[1] + 0.3, text[2]) for text in lines(60, 100, PROSE)]
    document = load(write_pdf(tmp_path / "a.pdf", [[*lines(60, 100, PROSE), *page]]))
    assert document.text == " ".join(PROSE)


def test_invisible_text_is_text(tmp_path: Path) -> None:
    path = write_pdf(tmp_path / "a.pdf", [b"BT 3 Tr /F1 12 Tf 60 700 Td (Recognised by a scanner) Tj ET"])
    assert load(path).text == "Recognised by a scanner"


@pytest.mark.parametrize("rotate", [0, 90, 180, 270])
def test_turned_pages_are_read_rightly(tmp_path: Path, rotate: int) -> None:
    matrix = {0: b"1 0 0 1 60 700", 90: b"0 1 -1 0 100 60", 180: b"-1 0 0 -1 540 100", 270: b"0 -1 1 0 500 740"}
    shown = b" T* ".join(b"(%s) Tj" % line.encode() for line in PROSE)
    stream = b"BT /F1 11 Tf 14 TL %s Tm %s ET" % (matrix[rotate], shown)
    assert load(write_pdf(tmp_path / "a.pdf", [stream], rotate=rotate)).text == " ".join(PROSE)


def test_text_off_the_page_is_ignored(tmp_path: Path) -> None:
    path = write_pdf(tmp_path / "a.pdf", [[(60, 100, "On the page"), (60, 900, "Below it"), (900, 100, "Beside it")]])
    assert load(path).text == "On the page"


# Statuses


def test_blank_pages_are_no_fault(tmp_path: Path) -> None:
    document = load(write_pdf(tmp_path / "a.pdf", [lines(60, 100, PROSE), [], lines(60, 100, PROSE)]), NO_OCR)
    assert document.pages == 3
    assert document.notes == ()
    assert not document.incomplete


def test_blank_pages_hold_no_text(tmp_path: Path) -> None:
    with pytest.raises(NoTextError, match=r"^a\.pdf: none of its 2 pages"):
        load(write_pdf(tmp_path / "a.pdf", [[], []]), NO_OCR)


def picture_of(words: Sequence[str]) -> bytes:
    picture = Image.new("RGB", (1200, 500), "white")
    for number, line in enumerate(words):
        ImageDraw.Draw(picture).text((60, 60 + 100 * number), line, "black", ImageFont.load_default(52))
    stream = io.BytesIO()
    picture.save(stream, "JPEG")
    return stream.getvalue()


SCAN = b"q 600 0 0 250 0 500 cm /Im Do Q"


def test_pictures_alone_need_ocr(tmp_path: Path) -> None:
    path = write_pdf(tmp_path / "a.pdf", [SCAN, []], picture=picture_of(["Delivery note"]))
    with pytest.raises(OcrRequiredError, match=r"^a\.pdf: .*scan; ") as caught:
        load(path, NO_OCR)
    assert caught.value.status == "needs_ocr"


def test_pages_that_are_pictures_are_named(tmp_path: Path) -> None:
    path = write_pdf(tmp_path / "a.pdf", [lines(60, 100, PROSE), SCAN, SCAN], picture=picture_of(["Delivery note"]))
    document = load(path, NO_OCR)
    assert document.notes == ("no text on page 2-3",)
    assert document.incomplete
    assert document.lacks_ocr


@pytest.mark.skipif(find_spec("rapidocr_onnxruntime") is None, reason="OCR is not installed")
def test_pages_that_are_pictures_are_read_by_ocr(tmp_path: Path) -> None:
    picture = picture_of(["Delivery note", "Forty crates of apples"])
    document = load(write_pdf(tmp_path / "a.pdf", [lines(60, 100, PROSE), SCAN], picture=picture))
    assert document.notes == ("page 2 read by OCR",)
    assert not document.incomplete
    read = " ".join(document.text[block.start : block.end] for block in document.blocks if block.page == 2)
    assert read == "Delivery note Forty crates of apples"


def test_a_garbled_text_layer_is_ignored(tmp_path: Path) -> None:
    shifted = ["".join(chr(ord(letter) - 29) if letter > " " else " " for letter in line) for line in PROSE]
    hidden = b"\n".join(
        b"BT /F1 11 Tf 60 %d Td <%s> Tj ET" % (700 - 14 * number, line.encode("latin-1").hex().encode())
        for number, line in enumerate(shifted * 2)
    )
    path = write_pdf(tmp_path / "a.pdf", [hidden])
    with pytest.raises(GarbledError, match=r"^a\.pdf: ") as caught:
        load(path, NO_OCR)
    assert caught.value.status == "garbled"


@pytest.mark.parametrize(
    "text",
    [
        " ".join(PROSE),
        "∑_{i=1}^n x_i² ≤ ∫ f(x) dx, ∀ε>0 ∃δ: |α−β|<δ ⇒ ‖A·B‖ ≈ ½±¼",
        "for (int i=0;i<n;++i){ cfg->tbl[i]=hx(0xFF&~m); str_cpy(dst,src); }",
        "12,345.00 (7.2%) 98 -1,204 3.14159 2,718 1,414 n/a 0.00 17 42 99",
        "东北电气发展股份有限公司二〇一八年第一季度报告全文，囍饕餮魑魅魍魉等字不常见",
        "코로나-19 관련 보험약관상 재해보험금 지급문제 및 개선과제에 대하여 살펴본다",
        "تحسين الإنتاجية وحل المشكلات من خالل البرمجة بلغة",
        "日本語の文章にはひらがなとカタカナと漢字が混ざっている。働峠込辻",
        "Wprowadzenie: żółć, źdźbło, chrząszcz brzmi w trzcinie w Szczebrzeszynie przez dni",
        "«POAH «3E*»CM tanntxim. inc. /^ . ^ toi n»Bfl. iseorty ttsrootj saifii, GROTE, nut , s*r;tiiR» and",
        "\uf0b7 First point \uf0b7 Second point \uf0b7 Third point",
    ],
)
def test_uncommon_text_is_not_garbled(text: str) -> None:
    assert not is_garbled(text)


@pytest.mark.parametrize(
    "text",
    [
        "\x02\x03 \x04\x05\x06\x07\x05\x08\t\x03\x06 Highlights \x0b\x0c\r\x0e\x0c\x0f\x07",
        "\ue001\ue002\ue003 \ue010\ue011\ue012\ue013 \ue020 abc \ue031\ue032",
        "묾푷 캏맞믎훟 쭖쩣펞컪픦 칺몮팢읊퓒 컿펺헏픊젊픚쿮",
        " ".join(["Ã©tÃ¤re dÂ¬o mÃ¼e qÃ¨s pÂ±r vÂ»w"] * 3),
    ],
)
def test_mojibake_is_garbled(text: str) -> None:
    assert is_garbled(text)


# Passwords and bounds


def encrypted(path: Path, *, user: str, owner: str) -> Path:
    pypdf = pytest.importorskip("pypdf", reason="pypdf, which encrypts the example, is not installed")
    plain = write_pdf(path.with_name("plain.pdf"), [lines(60, 100, PROSE)])
    writer = pypdf.PdfWriter(clone_from=plain)
    writer.encrypt(user, owner, algorithm="RC4-128")
    writer.write(path)
    return path


@pytest.mark.parametrize("password", ["open sesame", "pässwörd"])
def test_one_of_the_passwords_opens_it(tmp_path: Path, password: str) -> None:
    path = encrypted(tmp_path / "a.pdf", user=password, owner="other")
    assert load(path, LoadOptions(passwords=("wrong", password))).text == " ".join(PROSE)
    for passwords in ((), ("wrong",)):
        with pytest.raises(PasswordRequiredError, match=r"^a\.pdf: it is encrypted; .*--password"):
            load(path, LoadOptions(passwords=passwords))


def test_an_owner_password_alone_does_not_matter(tmp_path: Path) -> None:
    assert load(encrypted(tmp_path / "a.pdf", user="", owner="secret")).text == " ".join(PROSE)


def test_limits_are_enforced(tmp_path: Path) -> None:
    path = write_pdf(tmp_path / "a.pdf", [lines(60, 150, PROSE)] * 30)
    with pytest.raises(TooLargeError, match=r"^a\.pdf: it has 30 pages, more than 29; "):
        load(path, LoadOptions(limits=replace(Limits(), pages=29)))
    with pytest.raises(TooLargeError, match=r"^a\.pdf: its first 3 pages hold more than 500 characters; "):
        load(path, LoadOptions(limits=replace(Limits(), characters=500)))


def test_each_page_is_reported_as_done(tmp_path: Path) -> None:
    done: list[None] = []
    pages = [[*lines(60, 100, PROSE), (60.0, 300.0, f"Page {number}")] for number in range(40)]
    document = load(write_pdf(tmp_path / "a.pdf", pages), LoadOptions(page_done=lambda: done.append(None)))
    assert len(done) == 40
    assert [f"Page {number}" in document.text for number in range(40)] == [True] * 40


def test_an_invalid_pdf_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.pdf").write_bytes(b"%PDF-1.7\nnothing else")
    with pytest.raises(UnreadableError, match=r"^a\.pdf: not a PDF, or broken"):
        load(tmp_path / "a.pdf")
