from __future__ import annotations

import struct
import zlib
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import pytest
from PIL import Image, ImageDraw, ImageFont

from ingest.errors import NoTextError, OcrRequiredError, TooLargeError, UnreadableError
from ingest.loaders import load
from ingest.options import Limits, LoadOptions

needs_ocr = pytest.mark.skipif(find_spec("rapidocr_onnxruntime") is None, reason="OCR is not installed")


def picture_of(words: str) -> Image.Image:
    picture = Image.new("RGB", (700, 160), "white")
    ImageDraw.Draw(picture).text((40, 50), words, "black", ImageFont.load_default(44))
    return picture


@needs_ocr
@pytest.mark.parametrize("suffix", [".png", ".jpg", ".bmp", ".webp"])
def test_the_text_of_a_picture_is_read(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"note{suffix}"
    picture_of("Forty crates of apples").save(path)
    document = load(path)
    assert document.text == "Forty crates of apples"
    assert document.notes == ("read by OCR",)
    assert document.blocks[0].page == 1


@needs_ocr
def test_each_frame_of_a_tiff_is_a_page(tmp_path: Path) -> None:
    path = tmp_path / "fax.tiff"
    frames = [picture_of("First sheet"), picture_of("Second sheet")]
    frames[0].save(path, save_all=True, append_images=frames[1:])
    done: list[None] = []
    document = load(path, LoadOptions(page_done=lambda: done.append(None)))
    assert document.pages == len(done) == 2
    assert [(block.page, document.text[block.start : block.end]) for block in document.blocks] == [
        (1, "First sheet"),
        (2, "Second sheet"),
    ]
    with pytest.raises(TooLargeError, match=r"^fax\.tiff: it has more than 1 frames"):
        load(path, LoadOptions(limits=replace(Limits(), pages=1)))


@needs_ocr
def test_the_camera_says_which_way_is_up(tmp_path: Path) -> None:
    path = tmp_path / "photo.jpg"
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by a quarter clockwise
    picture_of("Forty crates of apples").rotate(90, expand=True).save(path, exif=exif)
    assert load(path).text == "Forty crates of apples"


@needs_ocr
def test_a_picture_without_text_holds_no_text(tmp_path: Path) -> None:
    path = tmp_path / "sky.png"
    Image.new("RGB", (400, 300), (90, 140, 220)).save(path)
    with pytest.raises(NoTextError, match=r"^sky\.png: "):
        load(path)


def test_without_ocr_it_needs_ocr(tmp_path: Path) -> None:
    path = tmp_path / "note.png"
    picture_of("Forty crates of apples").save(path)
    with pytest.raises(OcrRequiredError, match=r"^note\.png: ") as caught:
        load(path, LoadOptions(ocr=False))
    assert caught.value.status == "needs_ocr"


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


@pytest.mark.parametrize("side", [12_000, 60_000])
def test_a_bomb_is_not_decoded(tmp_path: Path, side: int) -> None:
    path = tmp_path / "bomb.png"
    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", b"") + chunk(b"IEND", b""))
    with pytest.raises(TooLargeError, match=r"^bomb\.png: more than 120 million pixels"):
        load(path)


@pytest.mark.parametrize("content", [b"", b"\x89PNG\r\n\x1a\n" + bytes(100), b"no picture at all"])
def test_an_invalid_picture_is_unreadable(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "broken.png"
    path.write_bytes(content)
    with pytest.raises(UnreadableError, match=r"^broken\.png: not a picture, or broken"):
        load(path)
