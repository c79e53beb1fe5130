from __future__ import annotations

import pytest

pytest.importorskip("rapidocr_onnxruntime", reason="OCR is not installed")

from PIL import Image, ImageDraw, ImageFont

from ingest.ocr import OcrLine, as_rows, ocr_available, read_picture


@pytest.fixture(scope="module")
def note() -> Image.Image:
    picture = Image.new("RGB", (1000, 400), "white")
    draw = ImageDraw.Draw(picture)
    font = ImageFont.load_default(48)
    draw.text((60, 60), "Delivery note", "black", font)
    draw.text((640, 62), "No. 4711", "black", font)
    draw.text((60, 220), "Forty crates of apples", "black", font)
    return picture


def test_text_is_read_row_by_row(note: Image.Image, capfd: pytest.CaptureFixture[str]) -> None:
    lines = read_picture(note)
    assert [line.text for line in lines] == ["Delivery note", "No. 4711", "Forty crates of apples"]
    assert all(line.confidence > 0.6 for line in lines)
    left, top, right, bottom = lines[0].box
    assert left < right
    assert top < bottom
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("angle", [90, 180])
def test_a_picture_that_is_turned_is_read_upright(note: Image.Image, angle: int) -> None:
    words = [line.text for line in read_picture(note.rotate(angle, expand=True))]
    assert words == ["Delivery note", "No. 4711", "Forty crates of apples"]


def test_an_empty_picture_holds_no_text() -> None:
    assert read_picture(Image.new("RGB", (300, 200), "white")) == []
    assert read_picture(Image.new("L", (3, 2))) == []


def test_transparent_pictures_are_read_on_white(note: Image.Image) -> None:
    ink = note.convert("L").point(lambda value: 255 - value)
    clear = Image.new("RGBA", note.size, (0, 0, 0, 0))
    clear.putalpha(ink)
    assert "Delivery note" in [line.text for line in read_picture(clear)]


def test_rows_go_from_the_top_and_from_the_left() -> None:
    def piece(text: str, x: float, y: float) -> OcrLine:
        return OcrLine(text, (x, y, x + 50, y + 20), 0.9)

    pieces = [piece("d", 200, 64), piece("b", 200, 4), piece("c", 10, 60), piece("a", 10, 0)]
    assert [[line.text for line in row] for row in as_rows(pieces)] == [["a", "b"], ["c", "d"]]


def test_it_is_available() -> None:
    assert ocr_available()
