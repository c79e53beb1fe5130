"""Draws a page of a PDF as a picture, and finds words on it.

Documents are hostile, and pdfium is native code that is not thread-safe, so each picture is
drawn by a process of its own, `python -m ingest.page_image`, with limits on time and memory.
"""

from __future__ import annotations

import base64
import ctypes
import io
import json
import subprocess
import sys
import unicodedata
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ingest.errors import UnreadableError

__all__ = ["Box", "PageImage", "render_page"]

_SIDE_PIXELS = 1400
_MOST_SECONDS = 20
_MOST_BYTES = 2_000_000_000
_SHORTEST_PART = 6
"""Characters; where words are not found as a whole, halves of them are looked for, down to this length."""

Rectangle = tuple[float, float, float, float]
"""Left, bottom, right and top in the page's own coordinates."""


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle in parts (0 to 1) of the picture's width and height, from its top left."""

    left: float
    top: float
    width: float
    height: float


@dataclass(frozen=True, slots=True)
class PageImage:
    """A page as PNG, and the boxes of the words looked for; none if they were not found."""

    png: bytes
    boxes: tuple[Box, ...]


def render_page(path: Path, page: int, words: Sequence[str] = ()) -> PageImage:
    """Draw a page of a PDF, 1,400 pixels along its longer side.

    Args:
        path: the PDF.
        page: from 1.
        words: texts to look for on the page; spaces, line ends and hyphens do not matter.

    Raises:
        UnreadableError: the file is gone, encrypted or broken, or takes too much time or memory.
    """
    asked = json.dumps([str(path), page, list(words)]).encode()
    command = [sys.executable, "-P", "-m", "ingest.page_image"]  # -P: nothing is imported from the current folder
    try:
        done = subprocess.run(command, input=asked, capture_output=True, timeout=_MOST_SECONDS, check=True)  # noqa: S603 - our own interpreter and module
        drawn = json.loads(done.stdout)
    except (OSError, ValueError, subprocess.SubprocessError) as error:
        raise UnreadableError(f"{path.name}: page {page} cannot be drawn; open the file itself") from error
    return PageImage(base64.b64decode(drawn["png"]), tuple(Box(**box) for box in drawn["boxes"]))


def _main() -> None:
    with suppress(ImportError):  # Windows lacks it
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (_MOST_BYTES, _MOST_BYTES))
    path, page, words = json.load(sys.stdin.buffer)
    drawn = _draw(Path(path), page, words)
    png = base64.b64encode(drawn.png).decode("ascii")
    sys.stdout.write(json.dumps({"png": png, "boxes": [asdict(box) for box in drawn.boxes]}))


def _draw(path: Path, number: int, words: Sequence[str]) -> PageImage:
    import pypdfium2 as pdfium

    document = pdfium.PdfDocument(path)
    page = document[number - 1]
    image = page.render(scale=_SIDE_PIXELS / max(*page.get_size(), 1)).to_pil()
    png = io.BytesIO()
    image.save(png, format="PNG", optimize=True)
    text = page.get_textpage()
    letters = _letters(text, pdfium.raw)
    spans = [span for text_part in words for span in _find(letters, _fold(text_part))]
    boxes = [_box(page, rectangle, pdfium.raw) for span in spans for rectangle in _rectangles(text, *span)]
    return PageImage(png.getvalue(), tuple(boxes))


def _letters(text: Any, raw: Any) -> list[tuple[str, int]]:
    """Return the page's letters, folded, each with the index of the character it comes from."""
    found = []
    for place in range(text.count_chars()):
        code = raw.FPDFText_GetUnicode(text, place)
        if 0 < code < 0x110000 and not 0xD800 <= code < 0xE000:
            found += [(letter, place) for letter in _fold(chr(code))]
    return found


def _fold(words: str) -> str:
    """Return letters and digits alone, for comparison: reading cleans pages and joins hyphenated words."""
    return "".join(letter for letter in unicodedata.normalize("NFKC", words).casefold() if letter.isalnum())


def _find(letters: Sequence[tuple[str, int]], words: str) -> Iterator[tuple[int, int]]:
    """Yield the spans of the page's characters that hold the words, or else the halves of them found there."""
    if not words:
        return
    at = "".join(letter for letter, _ in letters).find(words)
    if at >= 0:
        yield letters[at][1], letters[at + len(words) - 1][1] + 1
    elif len(words) >= 2 * _SHORTEST_PART:
        middle = len(words) // 2
        yield from _find(letters, words[:middle])
        yield from _find(letters, words[middle:])


def _rectangles(text: Any, start: int, end: int) -> list[Rectangle]:
    """Return the rectangles around characters, one for neighbours on a line."""
    merged: list[Rectangle] = []
    for place in range(text.count_rects(start, end - start)):
        left, bottom, right, top = text.get_rect(place)
        if merged:
            before = merged[-1]
            height = max(top - bottom, before[3] - before[1])
            apart = max(left - before[2], before[0] - right)
            if min(top, before[3]) - max(bottom, before[1]) > 0 and apart < height / 2:
                left, bottom = min(left, before[0]), min(bottom, before[1])
                right, top = max(right, before[2]), max(top, before[3])
                merged.pop()
        merged.append((left, bottom, right, top))
    return merged


def _box(page: Any, rectangle: Rectangle, raw: Any) -> Box:
    """Convert a rectangle to the coordinates of the picture, which may be cropped and turned."""
    fine = 10_000
    left, bottom, right, top = rectangle
    corners = []
    for across, up in ((left, top), (right, bottom)):
        x, y = ctypes.c_int(), ctypes.c_int()
        raw.FPDF_PageToDevice(page, 0, 0, fine, fine, 0, across, up, x, y)
        corners.append((x.value / fine, y.value / fine))
    (x0, y0), (x1, y1) = corners
    return Box(min(x0, x1), min(y0, y1), abs(x1 - x0), abs(y1 - y0))


if __name__ == "__main__":
    _main()
