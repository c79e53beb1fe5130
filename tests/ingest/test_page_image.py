import io
from pathlib import Path

import pytest
from pdfs import write_pdf
from PIL import Image

from ingest.errors import UnreadableError
from ingest.page_image import Box, render_page


def inside(box: Box, left: float, top: float, right: float, bottom: float) -> bool:
    return left <= box.left and box.left + box.width <= right and top <= box.top and box.top + box.height <= bottom


def test_words_are_found_on_the_page(tmp_path: Path) -> None:
    first = [(60, 100, "Nothing of interest."), (60, 400, "The zebra quota is 42")]
    path = write_pdf(tmp_path / "a.pdf", [[(60, 60, "Another page")], first])
    drawn = render_page(path, 2, ["zebra quota"])
    assert Image.open(io.BytesIO(drawn.png)).size == (1050, 1400)
    (box,) = drawn.boxes
    assert inside(box, 0.1, 0.48, 0.5, 0.51)  # 400 of 800 points from the top
    assert box.left > 0.12  # "The" is outside


def test_nothing_is_imported_from_the_current_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_pdf(tmp_path / "a.pdf", [[(60, 100, "The zebra quota is 42")]])
    (tmp_path / "base64.py").write_text("raise SystemExit('a module in the current folder has run')\n")
    monkeypatch.chdir(tmp_path)
    assert render_page(path, 1, ["zebra quota"]).boxes


def test_chinese_words_over_two_lines_are_found(tmp_path: Path) -> None:
    lines = [(60, 100, "一类城市的住宿标准", "F4", 12.0), (60, 120, "为每晚五百八十元", "F4", 12.0)]
    drawn = render_page(write_pdf(tmp_path / "差旅.pdf", [lines]), 1, ["住宿标准为每晚 五百八十元"])
    assert len(drawn.boxes) == 2
    assert drawn.boxes[0].top < drawn.boxes[1].top


def test_boxes_follow_a_rotated_page(tmp_path: Path) -> None:
    path = write_pdf(tmp_path / "a.pdf", [[(60, 100, "The zebra quota is 42")]], rotate=90)
    drawn = render_page(path, 1, ["zebra quota"])
    (box,) = drawn.boxes
    assert box.height > box.width  # text runs downwards on a page turned to the right
    assert box.left > 0.8  # the top is now at the right


def test_words_that_differ_from_the_page_are_boxed_in_parts(tmp_path: Path) -> None:
    path = write_pdf(tmp_path / "a.pdf", [[(60, 100, "The zebra quota is 42 animals a year.")]])
    assert render_page(path, 1, ["The zebra quota was 42 animals a year."]).boxes
    assert render_page(path, 1, ["Nothing like this is on the page"]).boxes == ()


def test_a_page_that_cannot_be_drawn_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "broken.pdf").write_bytes(b"%PDF-1.7\nnothing")
    path = write_pdf(tmp_path / "a.pdf", [[(60, 100, "One page")]])
    for broken, page in ((tmp_path / "broken.pdf", 1), (tmp_path / "gone.pdf", 1), (path, 2)):
        with pytest.raises(UnreadableError, match="cannot be drawn"):
            render_page(broken, page)
