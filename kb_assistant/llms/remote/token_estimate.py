"""Estimates how many tokens a text has, for servers that do not count them beforehand."""

from __future__ import annotations

import re

__all__ = ["estimate_tokens"]

_TOKEN = re.compile(r"[ \t]?[A-Za-z]{1,5}|[ \t]{1,4}(?=[ \t\r\n]|$)|[ \t]?[\r\n]+|[ \t]?\S|.", re.DOTALL)


def estimate_tokens(text: str) -> int:
    """Return about how many tokens a model makes of `text`, rather too many than too few.

    One per Chinese character, digit and sign, one per five letters of a word, and four, its bytes, per character beyond
    the Basic Multilingual Plane, such as most emoji.

    >>> estimate_tokens("年假有几天？"), estimate_tokens("annual leave")
    (6, 3)
    """
    return sum(4 if piece.lstrip() > "\uffff" else 1 for piece in _TOKEN.findall(text))
