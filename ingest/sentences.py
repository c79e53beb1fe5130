"""Where sentences begin and end, in Chinese and in English."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import groupby, pairwise

__all__ = ["sentence_spans"]

# A line that stands for itself whatever its punctuation: list item, table row, heading,
# quotation, or where code begins and ends.
_STANDALONE = re.compile(
    r"\s*(?:```|[-*+•·●▪◦>|#]|\d{1,3}[.)、）]|[（(][\d一二三四五六七八九十]+[)）]|[一二三四五六七八九十]+、)"
)
_CLOSING = "”’」』）)\"'】》*_`"
_HAN_END = re.compile(rf"[。！？；…]+[{_CLOSING}]*")
_LATIN_END = re.compile(rf"[.!?;][{_CLOSING}]*(?=\s)")
_ABBREVIATION = re.compile(
    r"(?:\b(?:Mr|Mrs|Ms|Dr|Prof|St|No|Nos|Fig|Figs|vs|etc|approx|Inc|Ltd|Co|Corp|Jr|Sr|e\.g|i\.e|cf|pp?)"
    r"|\b[A-Z](?:\.[A-Z])*)\.$"
)
_TERMINATED = re.compile(rf"[。！？；….!?;:：][{_CLOSING}]*\s*$")
_WIDE = re.compile(r"[\u2e80-\u9fff\uf900-\ufaff\uff00-\uff60]")
# Columns of a page or window at the least: narrower lines are those of a list, unless there are no others.
_MARGIN = 50


def sentence_spans(text: str) -> Iterator[tuple[int, int]]:
    """Yield the (start, end) of each sentence in `text`, without the white space around it.

    A sentence may run over a line's end, as in text taken from a PDF; list items, table
    rows and lines parted by a blank one are sentences of their own.
    """
    for start, end in _runs(text):
        position = start
        for mark in _marks(text, start, end):
            yield from _stripped(text, position, mark)
            position = mark
        yield from _stripped(text, position, end)


def _runs(text: str) -> Iterator[tuple[int, int]]:
    """Spans of lines that can share a sentence."""
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
    # A line that ends well short of the margin ends what it says, as in a list without marks.
    return _width(previous) < 0.6 * margin or bool(_TERMINATED.search(previous))


def _width(line: str) -> int:
    """Columns that a line takes: two for each Han character."""
    return len(line.rstrip()) + len(_WIDE.findall(line))


def _marks(text: str, start: int, end: int) -> Iterator[int]:
    """Positions after the marks that end a sentence inside a run."""
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
        if match[0][0] != "." or not _ABBREVIATION.search(text[max(start, position - 12) : match.start() + 1]):
            yield position


def _stripped(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    words = text[start:end].strip()
    if words:
        first = text.index(words, start)
        yield first, first + len(words)
