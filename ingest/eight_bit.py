"""Finds which eight-bit encoding a text is in, and rates how likely a text in such an encoding is."""

from __future__ import annotations

import unicodedata
from collections import Counter
from dataclasses import dataclass
from functools import cache
from itertools import pairwise

__all__ = ["MOST_PER_CHARACTER", "Guess", "eight_bit_cost", "guess_eight_bit"]

# One of each family that chardet should choose from. Left out: subsets of these, encodings of the
# Macintosh, for which it takes text with a few signs, and ISO 8859-15, which it confuses with cp1252.
_ENCODINGS = (
    *("cp1250", "cp1251", "cp1252", "cp1253", "cp1254", "cp1255", "cp1256", "cp1257"),
    *("iso8859-2", "iso8859-5", "iso8859-7", "koi8-r", "koi8-u", "cp866", "cp850", "cp852", "cp874"),
)
_SIGNS = "“”‘’„‚–—…•€™«»°§©®£¥¢·¿¡´\xa0±µ²³¹½¼¾×÷ºª№" + "".join(map(chr, range(0x2500, 0x25A0)))
# Costs are negative logarithms of how often such a character is written, as in `charsets`.
_SIGN, _LETTER, _CAPITAL, _OTHER, _ZERO, _CONTROL = 5.5, 3.5, 6.0, 12.0, 3.0, 25.0
_UNLIKELY_PAIR, _CAPITAL_RUN = 4.0, -2.0
MOST_PER_CHARACTER = 6.6
"""The highest average cost of a character in text that a person wrote."""
# Measured: chardet is surer than this of a line in the languages it knows, and less sure of Chinese,
# Japanese or Korean bytes in any encoding of the list; below the lower bound it is as often wrong as right.
_SURE, _UNSURE = 0.1, 0.05
_FALLBACK = "cp1252"


@dataclass(frozen=True, slots=True)
class Guess:
    """An eight-bit encoding, and whether letter frequencies clearly speak for it."""

    encoding: str
    is_sure: bool


def guess_eight_bit(data: bytes) -> Guess:
    """Return which eight-bit encoding `data` is most likely in, supposing that it is in one of them."""
    import chardet  # its tables take a moment to load, and most files are UTF-8

    found = chardet.detect(data, include_encodings=_ENCODINGS, compat_names=False)
    encoding, confidence = found["encoding"], found["confidence"]
    if encoding is None or confidence < _UNSURE:
        return Guess(_FALLBACK, is_sure=False)
    return Guess(encoding, confidence > _SURE)


def eight_bit_cost(text: str) -> float:
    """Return the cost of a text that was decoded from an eight-bit encoding."""
    characters = sum(count * _cost(character) for character, count in Counter(text).items())
    return characters + sum(count * _pair_cost(*pair) for pair, count in Counter(pairwise(text)).items())


@cache
def _cost(character: str) -> float:
    if character < "\x80":
        if character == "\0":
            return _ZERO
        return 0.0 if character >= " " or character in "\t\n\r\f\x1b" else _CONTROL
    if character in _SIGNS:
        return _SIGN
    category = unicodedata.category(character)
    if category[0] == "C":
        return _CONTROL
    return {"Ll": _LETTER, "Lo": _LETTER, "Mn": _LETTER, "Lu": _CAPITAL}.get(category, _OTHER)


@cache
def _pair_cost(one: str, other: str) -> float:
    """Return what two neighbours cost beyond what each does."""
    if (one < "\x80" and other < "\x80") or not (one.isalpha() and other.isalpha()) or {one, other} & {*"ªºµ"}:
        return 0.0
    scripts = _script(one), _script(other)
    accented = scripts == ("LATIN", "LATIN") and one > "\x7f" and other > "\x7f"
    if (one.islower() and other.isupper()) or scripts[0] != scripts[1] or accented:
        return _UNLIKELY_PAIR
    return _CAPITAL_RUN if one.isupper() and other.isupper() else 0.0


def _script(letter: str) -> str:
    return unicodedata.name(letter, "?").split()[0]
