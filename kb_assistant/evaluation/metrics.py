"""Metrics of a question: the rank of its passage, and how close the answer is to the gold answer.

EM and F1 after Rajpurkar et al., 2016, "SQuAD: 100,000+ Questions for Machine Comprehension of Text"; for Chinese after
Cui et al., 2019, "A Span-Extraction Dataset for Chinese Machine Reading Comprehension" (CMRC 2018): by character, and
the overlap is the longest common run of characters.
"""

from __future__ import annotations

import math
import re
import string
import unicodedata
from collections import Counter
from collections.abc import Sequence
from difflib import SequenceMatcher
from itertools import islice, product

from kb_assistant.language import language_of

__all__ = ["CUTOFF", "contains", "exact_match", "f1", "ndcg", "recall", "reciprocal_rank"]

CUTOFF = 10
"""How many passages the rank metrics look at."""
_MOST_WORDINGS = 64

_CHARACTERS = r"\u3040-\u30ff\u3400-\u9fff\uac00-\ud7a3\uf900-\ufaff\U00020000-\U0003134f"
_TOKEN = re.compile(rf"[{_CHARACTERS}]|[^\W_{_CHARACTERS}]+")
_ARTICLE = re.compile(r"\b(?:a|an|the)\b")
_CITED = re.compile(r"\s*\[\d{1,2}\]")
_PUNCTUATION = frozenset(string.punctuation)


def recall(found: Sequence[int], wanted: int, k: int) -> float:
    """Return the share of the wanted places that are among the first `k` ranks.

    Args:
        found: for each place that was found, the rank of its first passage, from 1.
        wanted: how many places there are.
        k: the last rank that counts.
    """
    return sum(rank <= k for rank in found) / wanted


def reciprocal_rank(found: Sequence[int]) -> float:
    """Return 1 / rank of the first right passage, or 0 if none is among the first ten."""
    best = min(found, default=CUTOFF + 1)
    return 1 / best if best <= CUTOFF else 0.0


def ndcg(found: Sequence[int], wanted: int) -> float:
    """Return nDCG@10; the first passage from each place has a gain of 1, all others of 0.

    Järvelin and Kekäläinen, 2002, "Cumulated Gain-Based Evaluation of IR Techniques". With a single place it is
    1 / log2(1 + rank).
    """
    ideal = sum(1 / math.log2(1 + rank) for rank in range(1, min(wanted, CUTOFF) + 1))
    return sum(1 / math.log2(1 + rank) for rank in found if rank <= CUTOFF) / ideal


def contains(text: str, answers: Sequence[Sequence[str]]) -> float:
    """Return 1.0 if `text` holds a wording of each part of the answer, else 0.0.

    Compares runs of whole words and numbers, or of Chinese characters; ignores case, punctuation and English articles.
    """
    held = _joined(text)
    return float(all(any(_joined(wording) in held for wording in part) for part in answers))


def exact_match(text: str, answers: Sequence[Sequence[str]], question: str) -> float:
    """Return 1.0 if `text` is one of the wordings of the answer, else 0.0."""
    tokens = _chinese if language_of(question) == "zh" else _english
    given = tokens(text)
    return float(any(tokens(wording) == given for wording in _wordings(answers)))


def f1(text: str, answers: Sequence[Sequence[str]], question: str) -> float:
    """Return the F1 of the tokens of `text` and of the closest wording of the answer, 0 to 1."""
    chinese = language_of(question) == "zh"
    tokens, common = (_chinese, _longest_run) if chinese else (_english, _shared)
    given = tokens(text)
    return max(_f1(given, tokens(wording), common(given, tokens(wording))) for wording in _wordings(answers))


def _f1(given: list[str], wanted: list[str], common: int) -> float:
    if not given or not wanted:
        return float(given == wanted)
    return 2 * common / (len(given) + len(wanted))


def _wordings(answers: Sequence[Sequence[str]]) -> list[str]:
    """Return the combinations of the parts' wordings, up to a bound."""
    return [" ".join(parts) for parts in islice(product(*answers), _MOST_WORDINGS)]


def _english(text: str) -> list[str]:
    """Split into words as SQuAD does: lower case, without punctuation and articles."""
    bare = "".join(character for character in _CITED.sub("", text).lower() if character not in _PUNCTUATION)
    return _ARTICLE.sub(" ", bare).split()


def _chinese(text: str) -> list[str]:
    """Split into characters, and the words and numbers of other scripts, without punctuation."""
    return _TOKEN.findall(_folded(text))


def _folded(text: str) -> str:
    return unicodedata.normalize("NFKC", _CITED.sub("", text)).casefold()


def _joined(text: str) -> str:
    """Join the tokens with spaces, so that a text contains another if it contains its tokens."""
    tokens = [token for token in _TOKEN.findall(_folded(text)) if token not in ("a", "an", "the")]
    return f" {' '.join(tokens or _folded(text).split())} "


def _shared(left: list[str], right: list[str]) -> int:
    return sum((Counter(left) & Counter(right)).values())


def _longest_run(left: list[str], right: list[str]) -> int:
    return SequenceMatcher(None, left, right, autojunk=False).find_longest_match().size
