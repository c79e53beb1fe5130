"""Turns text as it was typeset back into text as it was typed.

For formats whose text comes from glyphs and boxes: PDF, OCR, slides. Other formats hold text as
it was typed, and keep it, so that quotations are found in the file word for word.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

__all__ = ["clean_line", "gap", "join_lines"]

# Radicals, compatibility ideographs and ligatures stand for ordinary characters, which people search
# for. The rest of NFKC would do harm: it turns 10² into 102 and ① into 1.
_COMPATIBLE = re.compile("[\u2e80-\u2fdf\uf900-\ufaff\ufb00-\ufb06\U0002f800-\U0002fa1f]")
# Radicals that NFKC leaves alone, and one that it turns into a traditional character.
_RADICALS = str.maketrans(
    dict(
        zip(
            "⺠⺟⺩⺮⺼⻁⻄⻅⻆⻉⻋⻑⻓⻔⻗⻘⻙⻚⻛⻜⻝⻢⻣⻤⻥⻦⻧⻨⻩⻪⻬⻮⻰⻱⻳⼾",
            "民母王竹月虎西见角贝车長长门雨青韦页风飞食马骨鬼鱼鸟卤麦黄黾齐齿龙龜龟户",
            strict=True,
        )
    )
)
# Soft hyphens, zero-width characters, direction marks and controls; pdfium marks a hyphen at a line's end with U+FFFE.
_INVISIBLE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2064\u2066-\u206f\ufeff\ufffe\uffff]"
)
# Scripts without spaces between words. Korean has spaces.
_UNSPACED = "\u2e80-\u303f\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\uff00-\uffef\U00020000-\U0003134f"
_ENDS_UNSPACED = re.compile(f"[{_UNSPACED}]$")
_STARTS_UNSPACED = re.compile(f"^[{_UNSPACED}]")
# "state-of-the-" keeps its hyphen, because it has several.
_BROKEN_WORD = re.compile(r"(?:^|[^\w\u2010-])[^\W\d_]+[-\u2010]$")
_SOFT_END = re.compile("[\u00ad\ufffe]\\s*$")


def clean_line(line: str) -> str:
    """Return a line in ordinary characters, with runs of white space as one space.

    A hyphen that breaks a word at the end of the line becomes U+00AD, for `join_lines`.
    """
    broken = _SOFT_END.search(line) is not None
    line = _COMPATIBLE.sub(lambda match: unicodedata.normalize("NFKC", match[0]), line.translate(_RADICALS))
    line = " ".join(_INVISIBLE.sub("", unicodedata.normalize("NFC", line)).split())
    return f"{line}\u00ad" if broken and line else line


def join_lines(lines: Sequence[str]) -> tuple[str, list[int]]:
    """Return the lines of a paragraph as one text, and the offset at which each line begins.

    No space is put between characters of scripts without spaces, and words broken at the end
    of a line are joined.
    """
    text = ""
    offsets: list[int] = []
    for line in lines:
        text = _prepare_join(text, line)
        offsets.append(len(text))
        text += line
    return text.rstrip("\u00ad"), offsets


def _prepare_join(text: str, line: str) -> str:
    """Return `text` so that `line` can be appended."""
    if not text:
        return text
    if text.endswith("\u00ad"):
        return text[:-1]
    if _BROKEN_WORD.search(text) and line[:1].islower():
        return text[:-1]
    return text + gap(text, line)


def gap(before: str, after: str) -> str:
    """Return what separates two joined lines: nothing if both sides are in scripts without spaces, else a space."""
    return "" if _ENDS_UNSPACED.search(before) and _STARTS_UNSPACED.search(after) else " "
