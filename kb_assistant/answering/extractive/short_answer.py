"""Finds the words of a sentence that answer a question for a time or a number.

By patterns, for English and for simplified and traditional Chinese. Wrong words are worse than none:
other types of questions get none, and so does a sentence with several times or numbers to choose from.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from kb_assistant.answering.extractive.expected_types import counted_noun, expected_type

__all__ = ["short_answer"]

_MONTH = (
    r"(?:January|February|March|April|May|June|July|August|September|October|November|December"
    r"|Jan|Feb|Mar|Apr|Jun|Jul|Aug|Sept?|Oct|Nov|Dec)\b\.?"
)
_DAY = r"\d{1,2}(?:st|nd|rd|th)?"
_YEAR = r"(?:1\d{3}|20\d\d)"
_SMALL = r"(?:\d{1,2}|[〇零一二三四五六七八九十]{1,3})\s?"
_ERA = r"(?:公元|西元|民[国國]|[\u4e00-\u9fff]{2}(?=[元〇零一二三四五六七八九十]{1,3}年))前?"
_TIME = re.compile(
    rf"(?:{_ERA}\s?(?:\d{{1,4}}|[元〇零一二三四五六七八九十]{{1,4}})\s?年|\d{{3,4}}\s?年|[〇零一二三四五六七八九]{{3,4}}年)"
    rf"(?:代|(?:\s?{_SMALL}月)?(?:\s?{_SMALL}[日号號])?(?:[春夏秋冬初末底]|晚上|早上|上午|下午)?)"
    rf"|{_SMALL}月(?:份|\s?{_SMALL}[日号號])?(?:晚上|早上|上午|下午)?"
    rf"|(?:公元|西元)?前?{_SMALL}世[纪紀](?:\s?\d{{2}}\s?年代)?(?:[初末]期?|中[叶葉期]|早期|[后後]期|晚期)?"
    rf"|(?:早上|上午|下午|晚上)?{_SMALL}[点點时時](?:\s?\d{{1,2}}\s?分|半|整)?"
    rf"|\b(?:{_DAY} (?:of )?{_MONTH}|{_MONTH} {_DAY}(?!\d)|{_MONTH})(?:,? {_YEAR}\b)?(?!\w)"
    rf"|\b{_YEAR}-\d\d?-\d\d?\b"
    r"|\b(?:(?:spring|summer|autumn|fall|winter|early|late|mid)(?: of| in)?[- ])?(?:the )?"
    rf"{_YEAR}s?\b(?:[-–]\d{{2,4}}\b)?"
    r"|\b(?:(?:early|mid|late)[- ])?(?:the )?\w+(?:-\w+)? centur(?:y|ies)\b"
    r"|\b\d{1,2}(?::\d\d)? ?(?:a\.m\.|p\.m\.|am|pm)(?!\w)|\b\d{1,2}[:：]\d\d\b"
    r"|\b(?:Mon|Tues|Wednes|Thurs|Fri|Satur|Sun)days?\b|\b\d{1,4} (?:BC|AD|BCE|CE)\b"
)
_HOLDS_YEAR = re.compile(rf"年|\b{_YEAR}|centur|世|\b(?:BC|AD|BCE|CE)\b")
_ASKS_YEAR = re.compile(r"\byear\b|哪一?年|何年|几几年")

_ABOUT = "more than|over|about|around|approximately|nearly|almost|up to|at least|at most|less than|under|some"
_ENGLISH = (
    "two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|thirteen|fourteen|fifteen|sixteen|seventeen|eighteen"
    "|nineteen|twenty|thirty|forty|fifty|sixty|seventy|eighty|ninety|twice|half|dozens"
)
_HAN_NUMBER = "[〇零一二两兩三四五六七八九十百千万萬亿億]"
_NUMBER = re.compile(
    rf"(?:\b(?:{_ABOUT}) )?(?:[$€£¥]\s?)?(?<![\w.,-])"
    rf"(?:\d[\d,.]*\d|\d|(?i:{_ENGLISH})\b(?:[- ](?:{_ENGLISH}|one)\b)?)"
    r"(?:[- ](?:hundred|thousand|million|billion|dozen)s?\b)*"
    r"(?:\s?(?:%|percent\b|per cent\b)"
    rf"|[- ](?!(?:of|in|and|or|to|the|was|is|are|were|by|on|at|for|with|from|as|{_ABOUT})\b)[a-z]+\b)"
    rf"|百分之(?:\d[\d.]*|{_HAN_NUMBER}+)"
    rf"|(?:超过|超過|大约|大約|约|約|近|至少|最多|不到|逾|第)?\s?(?:\d[\d,.，]*\d|\d|(?!一){_HAN_NUMBER}+)"
    r"\s?[万萬亿億]*[余餘多]?\s?"
    r"(?:%|％|平方公里|平方千米|平方米|立方米|公里|千米|公尺|公顷|公頃|英里|毫米|厘米|公分|小时|小時|分钟|分鐘|个月|個月"
    r"|美元|日元|欧元|歐元|港元|人民币|km²?|kg|分\s?\d{1,2}\s?秒|(?![是的和与與及在为為了到至])[\u4e00-\u9fff])"
)
_PATTERNS = {"time": _TIME, "number": _NUMBER}


def short_answer(question: str, text: str) -> tuple[int, int] | None:
    """Return the span of the words in a sentence `text` that answer the question.

    None if the question asks for neither a time nor a number, or the sentence has no such words or several.
    """
    kind = expected_type(question)
    found = list(_candidates(kind, question, text)) if kind in _PATTERNS else []
    counted = counted_noun(question)
    if len(found) > 1 and counted:
        found = [(start, end) for start, end in found if counted in text[start : end + 12].casefold()]
    return found[0] if len(found) == 1 else None


def _candidates(kind: str, question: str, text: str) -> Iterator[tuple[int, int]]:
    """Yield the spans of times or numbers, except those that the question already contains."""
    asked = "".join(question.casefold().split())
    times = [match.span() for match in _TIME.finditer(text)] if kind == "number" else []
    for match in _PATTERNS[kind].finditer(text):
        words = match[0].strip()
        start = match.start() + match[0].index(words)
        if "".join(words.casefold().split()) in asked:
            continue
        if kind == "time" and _ASKS_YEAR.search(question) and not _HOLDS_YEAR.search(words):
            continue
        if any(first < match.end() and match.start() < last for first, last in times):
            continue
        yield start, start + len(words)
