"""Tells Chinese from English, so that prompts and messages match the question."""

from __future__ import annotations

import re

__all__ = ["language_of"]

_HAN = re.compile(r"[\u3400-\u9fff\U00020000-\U000323af]")
_FULL_WIDTH = re.compile(r"[？。！，；：、]")
_LATIN_WORD = re.compile(r"[^\W\d_\u3400-\u9fff\U00020000-\U000323af]+")


def language_of(text: str) -> str:
    """Return "zh" or "en", whichever makes up more of the text.

    A Chinese word counts as a character and a half: "GPU 呢？" is Chinese, "Who is 王伟?" is English.
    """
    chinese = (len(_HAN.findall(text)) + len(_FULL_WIDTH.findall(text))) / 1.5
    return "zh" if chinese and chinese >= len(_LATIN_WORD.findall(text)) else "en"
