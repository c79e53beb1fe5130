"""Turns text into index terms: stems of words, and Han characters alone and in pairs, always in simplified form.

The full-text index, the built-in vectors and the coverage of a question by a passage all use the same terms.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from functools import lru_cache

import Stemmer

__all__ = ["ANALYSIS_VERSION", "query_terms", "terms"]

ANALYSIS_VERSION = 2
"""To be raised whenever the same text yields other terms: the next ingest then renews what is stored."""

# Scripts written without spaces, or (Hangul) with endings attached to words, are indexed by characters.
_UNSPACED = r"\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7a3\uf900-\ufaff\U00020000-\U0003134f"
_RUN = re.compile(rf"([{_UNSPACED}]+)|([^\W_{_UNSPACED}]+)")
_HAN = ((0x3400, 0xA000), (0xF900, 0xFB00))
_COMBINING = re.compile(r"[\u0300-\u036f]")
# Soft hyphens and zero-width characters, which nobody types into a question; and line breaks between characters of
# scripts written without spaces, which separate no words.
_NOTHING = re.compile(rf"[\u00ad\u200b-\u200d\u2060\ufeff]|(?<=[{_UNSPACED}])[ \t]*\n[ \t]*(?=[{_UNSPACED}])")

# Words that mark a question without saying what it is about. They are cut out before characters are paired, so that
# no pair spans the gap.
_ZH_FUNCTION = re.compile(
    "请问|什么时候|什么|怎么样|怎么办|怎么|怎样|如何|为什么|为何|哪一[个年天次种]|哪些|哪个|哪里|哪儿|哪种|哪|"
    "多少|多[大长远高久]|几[个天年次种]?|是不是|是否|有没有|能不能|可不可以|可以|能否|应该|需要|"
    "吗|呢|吧|啊|的|了|是|在|和|与|及|或|由|被|把|对|为|于|以|之|其|这|那|个|我们|我|你|您|他|她|它"
)
_EN_QUANTITY = re.compile(r"\bhow (?:many|much|long|often|far|old|tall|big|large|high|fast)\b")
_EN_FUNCTION = frozenset(
    (  # noqa: SIM905 - a list of 75 strings takes 75 lines
        "a about am an and any are as at be been but by can could did do does for from had has have he her "
        "his how i if in into is it its may me my of on or our shall she should so some than that the their "
        "them then there these they this those to us was we were what when where which who whom whose why "
        "will with would you your"
    ).split()
)


def terms(text: str) -> Iterator[str]:
    """Yield the index terms of `text` in order: word stems, Han characters and pairs of them."""
    for characters, word in _RUN.findall(_normalised(text)):
        if characters:
            yield from characters
            yield from (characters[i : i + 2] for i in range(len(characters) - 1))
        else:
            yield _stem(word)


def query_terms(question: str) -> list[str]:
    """Return the distinct terms that say what a question is about.

    If it consists of function words alone, it is about those words.
    """
    asked = _EN_QUANTITY.sub(" ", _ZH_FUNCTION.sub(" ", _normalised(question)))
    found = [
        term
        for characters, word in _RUN.findall(asked)
        if word not in _EN_FUNCTION
        for term in (terms(characters) if characters else (_stem(word),))
    ]
    return list(dict.fromkeys(found or terms(question)))


def _normalised(text: str) -> str:
    text = unicodedata.normalize("NFKC", text).casefold()
    if text.isascii():
        return text
    text = _NOTHING.sub("", text).translate(_simplified())
    # é becomes e; the marks of other scripts belong to their letters and stay.
    return unicodedata.normalize("NFC", _COMBINING.sub("", unicodedata.normalize("NFD", text)))


@lru_cache(maxsize=1)
def _simplified() -> dict[int, str]:
    """Map each traditional character to its simplified form, one to one, so that either form finds both."""
    import opencc

    characters = [chr(code) for first, last in _HAN for code in range(first, last)]
    converted = opencc.OpenCC("t2s").convert("\n".join(characters)).split("\n")
    return {ord(old): new for old, new in zip(characters, converted, strict=True) if old != new and len(new) == 1}


@lru_cache(maxsize=100_000)
def _stem(word: str) -> str:
    return _stemmer().stemWord(word) if word.isascii() and word.isalpha() else word


@lru_cache(maxsize=1)
def _stemmer() -> Stemmer.Stemmer:
    return Stemmer.Stemmer("english")
