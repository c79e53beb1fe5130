"""Detects PDF text layers that differ from what the page shows.

Fonts without a Unicode mapping yield control characters, private characters, or letters in
impossible combinations. Three measures, each far from the values of formulas, code, numbers,
old typescripts and other scripts:

1. the share of characters without meaning, or so rare that no national standard of their
   script has them (Han outside GB 2312, Big5 and JIS; Hangul outside KS X 1001);
2. the share of words with signs such as ¤ or ƒ between Latin letters;
3. Latin words without vowels, the mark of a shifted alphabet.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Mapping
from functools import lru_cache

__all__ = ["is_garbled", "may_be_garbled"]

_UNSEEN = "\ufffe\u00ad\u200b\ufeff"
_MOST_BAD = 0.08
_FEWEST = 12
"""Characters; too few to judge below this."""
_LATIN_WORD = re.compile(r"[A-Za-z]{4,}")
_VOWEL = re.compile(r"[aeiouy]", re.IGNORECASE)
_SIGN_IN_WORD = re.compile("[A-Za-z\u00c0-\u024f][¤¦§¨©ª«¬®¯±´¶¸»¼½¾¿×÷ƒ†‡‰€™œŒ][A-Za-z\u00c0-\u024f]")
_WORD = re.compile(r"\S{2,}")
_STANDARDS = ("gb2312", "big5", "euc_jp", "euc_kr")


def is_garbled(text: str) -> bool:
    """Return whether a page or line, as pdfium gives it, is gibberish."""
    counts = Counter(text)
    shown = {letter: count for letter, count in counts.items() if not letter.isspace() and letter not in _UNSEEN}
    total = sum(shown.values())
    bad = sum(count for letter, count in shown.items() if _is_meaningless(letter))
    if total < _FEWEST:
        return bad == total > 0
    if bad > _MOST_BAD * total:
        return True
    return _has_rare_letters(shown) or _has_signs_in_words(text) or _has_no_vowels(text)


def may_be_garbled(text: str) -> bool:
    """Return whether the text has any character typical of gibberish; only then are its lines worth judging."""
    return any(
        _is_meaningless(letter) or (letter >= "\u3400" and _is_rare(letter))
        for letter in set(text)
        if not letter.isspace() and letter not in _UNSEEN
    )


@lru_cache(maxsize=4096)
def _is_meaningless(letter: str) -> bool:
    # Wingdings and Symbol put their bullets at U+F0xx.
    return letter == "\ufffd" or (
        unicodedata.category(letter) in ("Cc", "Cn", "Co", "Cs") and not "\uf020" <= letter <= "\uf0ff"
    )


def _has_rare_letters(shown: Mapping[str, int]) -> bool:
    """Return whether a quarter of the Han characters, or a tenth of the Hangul, are very rare."""
    for first, last, share in (("\u3400", "\u9fff", 0.25), ("\uac00", "\ud7a3", 0.1)):
        letters = {letter: count for letter, count in shown.items() if first <= letter <= last}
        total = sum(letters.values())
        if total >= 8 and sum(count for letter, count in letters.items() if _is_rare(letter)) > share * total:
            return True
    return False


@lru_cache(maxsize=65536)
def _is_rare(letter: str) -> bool:
    for standard in _STANDARDS:
        try:
            # EUC-KR spells out, in eight bytes, syllables that KS X 1001 does not have.
            if len(letter.encode(standard)) <= 3:
                return False
        except UnicodeEncodeError:
            continue
    return True


def _has_signs_in_words(text: str) -> bool:
    words = _WORD.findall(text)
    return len(words) >= 10 and sum(bool(_SIGN_IN_WORD.search(word)) for word in words) > 0.3 * len(words)


def _has_no_vowels(text: str) -> bool:
    words = _LATIN_WORD.findall(text)
    if len(words) < 20:
        return False
    letters = "".join(words)
    without = sum(not _VOWEL.search(word) for word in words)
    return without > 0.25 * len(words) and len(_VOWEL.findall(letters)) < 0.22 * len(letters)
