"""Finds where sentences begin and end, in Chinese and in English."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import groupby, pairwise

from ingest.abbreviations import is_abbreviation

__all__ = ["sentence_spans"]

# A line that is a sentence of its own whatever its punctuation: a list item, table row, heading,
# quotation or fence of code.
_STANDALONE = re.compile(
    r"\s*(?:```|[-*+•·●▪◦>|#]|\d{1,3}[.)、）]|[（(][\d一二三四五六七八九十]+[)）]|[一二三四五六七八九十]+、)"
)
_CLOSING = "”’」』）)\"'】》*_`"
_HAN_END = re.compile(rf"[。！？；…]+[{_CLOSING}]*")
_LATIN_END = re.compile(rf"[.!?;][{_CLOSING}]*(?=\s)")
_TERMINATED = re.compile(rf"[。！？；….!?;:：][{_CLOSING}]*\s*$")
_WIDE = re.compile(r"[\u2e80-\u9fff\uf900-\ufaff\uff00-\uff60]")
# The narrowest page: lines that stay below it are those of a list, unless there are no wider ones.
_MARGIN = 50
_LONGEST_ABBREVIATION = 16
_LOOKAHEAD = 40


def sentence_spans(text: str) -> Iterator[tuple[int, int]]:
    """Yield the (start, end) of each sentence in `text`, without the white space around it.

    A sentence may continue on the next line, as in text from a PDF. List items, table rows and
    lines separated by a blank line are sentences of their own.
    """
    for start, end in _runs(text):
        position = start
        for mark in _marks(text, start, end):
            yield from _stripped(text, position, mark)
            position = mark
        yield from _stripped(text, position, end)


def _runs(text: str) -> Iterator[tuple[int, int]]:
    """Yield the spans of lines that can share a sentence."""
    page = min(_MARGIN, max(map(_width, text.split("\n"))))
    for filled, paragraph in groupby(re.finditer(r"(?m)^.*$", text), key=lambda line: bool(line[0].strip())):
        if not filled:
            continue
        lines = list(paragraph)
        margin = max(page, *(_width(line[0]) for line in lines))
        start = lines[0].start()
        for previous, line in pairwise(lines):
            if _breaks(previous[0], line[0], margin):
                yield start, previous.end()
                start = line.start()
        yield start, lines[-1].end()


def _breaks(previous: str, line: str, margin: int) -> bool:
    if _STANDALONE.match(line) or previous.lstrip().startswith(("|", "#", "```")):
        return True
    # A line that ends well before the margin ends its sentence, as in a list without marks.
    return _width(previous) < 0.6 * margin or bool(_TERMINATED.search(previous))


def _width(line: str) -> int:
    """Return how many columns a line takes: two for each Han character."""
    return len(line.rstrip()) + len(_WIDE.findall(line))


def _marks(text: str, start: int, end: int) -> Iterator[int]:
    """Yield the positions behind the marks that end a sentence inside a run."""
    marker = _STANDALONE.match(text, start, end)  # the full stop of "1." ends nothing
    position = marker.end() if marker else start
    while position < end:
        matches = [
            match for match in (_HAN_END.search(text, position, end), _LATIN_END.search(text, position, end)) if match
        ]
        if not matches:
            return
        match = min(matches, key=lambda found: found.start())
        position = match.end()
        before = text[max(start, match.start() - _LONGEST_ABBREVIATION) : match.start()]
        if match[0][0] != "." or not is_abbreviation(before, text[position : min(end, position + _LOOKAHEAD)].lstrip()):
            yield position


def _stripped(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    words = text[start:end].strip()
    if words:
        first = text.index(words, start)
        yield first, first + len(words)
