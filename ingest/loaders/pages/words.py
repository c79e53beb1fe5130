"""Words of a PDF page with their positions, and the lines they form.

Positions are in points from the upper left corner, with the page turned so that most of its
text is upright.
"""

from __future__ import annotations

import ctypes
import math
import re
from collections import Counter
from dataclasses import dataclass

import pypdfium2 as pdfium
import pypdfium2.raw as raw

__all__ = ["Cell", "Line", "Word", "read_words", "to_lines"]

# pdfium gives a hyphen at a line's end as U+FFFE, followed directly by the rest of the word.
_WORD = re.compile("[^\\s\ufffe]+\ufffe?|\ufffe")
_BOLD = re.compile(r"bold|black|heavy|demi|simhei|heiti|-hei|黑体|-medi\b|cmbx", re.IGNORECASE)
_MONO = re.compile(r"courier|consol|mono|typewriter|menlo|cmtt", re.IGNORECASE)
_FIXED_PITCH = 1
_RIGHT_TO_LEFT = re.compile("[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc]")
_HALF = re.compile("[\ud800-\udfff]")
_WIDE = "\u2e80-\u303f\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\uff00-\uffef"
_ENDS_WIDE = re.compile(f"[{_WIDE}]$")
_STARTS_WIDE = re.compile(f"^[{_WIDE}]")

_MOST_EQUALS = 500
"""How many equal words to compare with a new word; bounds the time on pages that repeat a word."""
_CELL_GAP = 1.2
"""Font sizes; a wider gap separates cells, not words."""


@dataclass(slots=True)
class Word:
    """A run of letters without a gap.

    Attributes:
        text: its letters.
        x0: its left end.
        x1: its right end.
        y: its baseline.
        top: the ascent of its font.
        bottom: the descent of its font.
        index: pdfium's index of its first letter.
        after: the white space that pdfium puts before it.
        is_torn: whether its letters are not side by side.
    """

    text: str
    x0: float
    x1: float
    y: float
    top: float
    bottom: float
    index: int
    after: str
    is_torn: bool = False


@dataclass(slots=True)
class Cell:
    """Part of a line between wide gaps."""

    text: str
    x0: float
    x1: float


@dataclass(slots=True)
class Line:
    """Words on a common baseline, in drawing order.

    Attributes:
        text: the words, separated by spaces.
        cells: its parts between wide gaps.
        y: the baseline.
        size: font size in points.
        bold: whether it is set in bold.
        mono: whether its font is monospaced.
        turned: whether it is not upright on the page.
        number: line number in reading order, from 1.
    """

    text: str
    cells: list[Cell]
    x0: float
    x1: float
    y: float
    top: float
    bottom: float
    size: float
    bold: bool = False
    mono: bool = False
    turned: bool = False
    number: int = 0


@dataclass(slots=True)
class Words:
    """All words of a page, in drawing order.

    Attributes:
        words: the upright words.
        turned: other words by direction, placed as if they were upright.
        width: of the turned page.
        height: of the turned page.
        turn: quarter turns clockwise.
        raw_text: the characters as pdfium gives them.
    """

    words: list[Word]
    turned: dict[int, list[Word]]
    width: float
    height: float
    turn: int
    raw_text: str


def read_words(page: pdfium.PdfPage, textpage: pdfium.PdfTextPage) -> Words:
    """Return the words of a page; text drawn twice counts once, text off the page is dropped."""
    text = _characters(textpage)
    left, bottom, right, top = page.get_bbox()
    turns = Counter(_turn(textpage, match.start()) for match in _sampled(text))
    turn = turns.most_common(1)[0][0] if turns else 0
    placers = {kind: _Placer(textpage, kind, (left, bottom, right, top)) for kind in range(4)}
    found = Words([], {}, placers[turn].width, placers[turn].height, turn, _paired(text))
    seen: dict[str, list[Word]] = {}
    end = 0
    for match in _WORD.finditer(text):
        after, end = text[end : match.start()], match.end()
        kind, word = turn, placers[turn].word(match[0], match.start(), after)
        # Sampling may miss a few turned words; their shape gives them away.
        if len(turns) > 1 or word.is_torn:
            kind = _turn(textpage, match.start())
            word = word if kind == turn else placers[kind].word(match[0], match.start(), after)
        placer = placers[kind]
        if word.x1 < 0 or word.x0 > placer.width or word.bottom < 0 or word.top > placer.height:
            continue
        if not _is_second_print(word, seen):
            held = found.words if kind == turn else found.turned.setdefault(kind, [])
            held += placer.letters(word) if word.is_torn else [word]
    return found


def _characters(textpage: pdfium.PdfTextPage) -> str:
    """Return a character for each of pdfium's indices; beyond U+FFFF these are surrogates."""
    count = textpage.count_chars()
    if count <= 0:
        return ""
    buffer = (ctypes.c_ushort * (count + 1))()
    if raw.FPDFText_GetText(textpage, 0, count, buffer) == count + 1:
        return "".join(map(chr, buffer[:count]))
    codes = (raw.FPDFText_GetUnicode(textpage, index) for index in range(count))
    return "".join(chr(code) if code < 0x110000 else "\ufffd" for code in codes)


def _paired(text: str) -> str:
    """Join surrogate pairs; a lone surrogate becomes U+FFFD."""
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def _sampled(text: str) -> list[re.Match[str]]:
    """Return words from throughout a text."""
    step = max(1, len(text) // 24)
    return [match for start in range(0, len(text), step) if (match := _WORD.search(text, start))]


def _turn(textpage: pdfium.PdfTextPage, index: int) -> int:
    """Return how many quarter turns clockwise make this character upright."""
    angle = raw.FPDFText_GetCharAngle(textpage, index)
    return -round(math.degrees(angle) / 90) % 4 if angle >= 0 else 0


def _is_second_print(word: Word, seen: dict[str, list[Word]]) -> bool:
    """Return whether the word was already drawn at nearly the same place, for a shadow or to look bold."""
    near = 0.25 * (word.bottom - word.top)
    others = seen.setdefault(word.text, [])
    if any(abs(other.x0 - word.x0) < near and abs(other.y - word.y) < near for other in others[-_MOST_EQUALS:]):
        return True
    others.append(word)
    return False


class _Placer:
    """Finds the positions of words on the page."""

    def __init__(self, textpage: pdfium.PdfTextPage, turn: int, box: tuple[float, float, float, float]) -> None:
        self._page = textpage.raw
        self._turn = turn
        self._box = box
        self._rect = raw.FS_RECTF()
        self._x, self._y = ctypes.c_double(), ctypes.c_double()
        self.width, self.height = box[2] - box[0], box[3] - box[1]
        if turn % 2:
            self.width, self.height = self.height, self.width

    def word(self, text: str, index: int, after: str) -> Word:
        first = self._place(index)
        last = self._place(index + len(text) - 1) if len(text) > 1 else first
        height = max(first[3] - first[2], 1.0)
        torn = len(text) > 1 and (
            abs(first[4] - last[4]) > 0.7 * height or abs(last[1] - first[0]) > 1.2 * height * len(text)
        )
        if len(text) >= 4 and text[::2] == text[1::2] and abs(self._place(index + 1)[0] - first[0]) < 0.25 * height:
            text = text[::2]
        x0, x1 = min(first[0], last[0]), max(first[1], last[1])
        return Word(text, x0, x1, first[4], min(first[2], last[2]), max(first[3], last[3]), index, after, torn)

    def letters(self, word: Word) -> list[Word]:
        """Split a word whose letters are apart: vertical writing, formulas, cells that pdfium joined."""
        letters: list[Word] = []
        for offset, letter in enumerate(word.text):
            x0, x1, top, bottom, y = self._place(word.index + offset)
            after = word.after
            if letters:
                apart = abs(x0 - letters[-1].x1) + abs(y - letters[-1].y) > 0.3 * (bottom - top)
                after = " " if apart else ""
            letters.append(Word(letter, x0, x1, y, top, bottom, word.index + offset, after))
        return letters

    def _place(self, index: int) -> tuple[float, float, float, float, float]:
        """Return left, right, top, bottom and baseline of a character."""
        rect = self._rect
        raw.FPDFText_GetLooseCharBox(self._page, index, rect)
        raw.FPDFText_GetCharOrigin(self._page, index, self._x, self._y)
        left, bottom, right, top = self._box
        if self._turn == 0:
            return rect.left - left, rect.right - left, top - rect.top, top - rect.bottom, top - self._y.value
        if self._turn == 1:
            return rect.bottom - bottom, rect.top - bottom, rect.left - left, rect.right - left, self._x.value - left
        if self._turn == 2:
            return (
                right - rect.right, right - rect.left, rect.bottom - bottom, rect.top - bottom, self._y.value - bottom,
            )  # fmt: skip
        return top - rect.top, top - rect.bottom, right - rect.right, right - rect.left, right - self._x.value


def to_lines(words: list[Word], textpage: pdfium.PdfTextPage) -> list[Line]:
    """Join words drawn in succession on a common baseline."""
    lines: list[Line] = []
    run: list[Word] = []
    for word in words:
        if run and not _continues(run, word):
            lines.append(_line(run, textpage))
            run = []
        run.append(word)
    if run:
        lines.append(_line(run, textpage))
    return lines


def _continues(run: list[Word], word: Word) -> bool:
    last = run[-1]
    if last.text.endswith("\ufffe"):
        return False
    if abs(word.y - last.y) < 0.5 and word.x0 >= last.x1:
        return True
    # A smaller word may be raised or lowered; compare with the line's main baseline.
    base = max(run[-8:], key=lambda other: other.bottom - other.top)
    height = max(base.bottom - base.top, word.bottom - word.top)
    overlap = min(base.bottom, word.bottom) - max(base.top, word.top)
    if overlap < 0.4 * min(base.bottom - base.top, word.bottom - word.top) or abs(word.y - base.y) > 0.6 * height:
        return False
    if _RIGHT_TO_LEFT.search(word.text) or _RIGHT_TO_LEFT.search(last.text):
        return True
    return word.x0 > min(last.x1, base.x1) - 0.6 * height and word.x0 > run[0].x0 - 1


def _line(run: list[Word], textpage: pdfium.PdfTextPage) -> Line:
    widest = max(run, key=lambda word: (word.x1 - word.x0) * (word.bottom - word.top))
    size, bold, mono = _font(textpage, widest)
    bold = bold and all(_font(textpage, word)[1] for word in (run[0], run[-1]))
    cells: list[Cell] = []
    flowing = _RIGHT_TO_LEFT.search("".join([word.text for word in run])) is not None
    last: Word | None = None
    for word in run:
        gap = word.x0 - last.x1 if last else 0.0
        if last is None or (not flowing and gap > _CELL_GAP * size):
            cells.append(Cell(word.text, word.x0, word.x1))
        else:
            cell = cells[-1]
            cell.text += _between(last, word, gap, size) + word.text
            cell.x0, cell.x1 = min(cell.x0, word.x0), max(cell.x1, word.x1)
        last = word
    for cell in cells:
        if _HALF.search(cell.text):
            cell.text = _paired(cell.text)
    return Line(
        text=" ".join(cell.text for cell in cells),
        cells=cells,
        x0=min(cell.x0 for cell in cells),
        x1=max(cell.x1 for cell in cells),
        y=widest.y,
        top=min(word.top for word in run),
        bottom=max(word.bottom for word in run),
        size=size,
        bold=bold,
        mono=mono,
    )


def _between(last: Word, word: Word, gap: float, size: float) -> str:
    if not word.after:
        return ""
    if gap < size and _ENDS_WIDE.search(last.text) and _STARTS_WIDE.search(word.text):
        return ""
    # pdfium breaks the line where the baseline moves slightly, as for an index or exponent.
    return "" if "\n" in word.after and abs(gap) < 0.1 * size else " "


def _font(textpage: pdfium.PdfTextPage, word: Word) -> tuple[float, bool, bool]:
    matrix = raw.FS_MATRIX()
    scale = math.hypot(matrix.c, matrix.d) if raw.FPDFText_GetMatrix(textpage, word.index, matrix) else 1.0
    size = raw.FPDFText_GetFontSize(textpage, word.index) * scale
    height = word.bottom - word.top
    if not 0.4 * height < size < 2.5 * height:
        size = max(height, 1.0)
    buffer, flags = ctypes.create_string_buffer(128), ctypes.c_int()
    length = raw.FPDFText_GetFontInfo(textpage, word.index, buffer, 128, flags)
    name = buffer.value.decode("utf-8", errors="replace") if 0 < length <= 128 else ""
    return round(size, 1), bool(_BOLD.search(name)), bool(flags.value & _FIXED_PITCH) or bool(_MONO.search(name))
