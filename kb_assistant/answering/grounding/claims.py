"""Splits a model's answer into its claims and what is none: headings, lead-ins, tables, code.

A claim is a sentence of a paragraph or of a list item, without the item's marker: the "2."
of a list is never taken for a number that a document must hold.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from enum import Enum, auto
from functools import cache
from itertools import groupby, takewhile

from markdown_it import MarkdownIt

from ingest import sentence_spans

__all__ = ["CITATION_MARK", "Part", "PartKind", "split_answer"]

CITATION_MARK = r"\\?[\[【［]\s*(\d{1,3}(?:\s*[-–,，、]\s*\d{1,3})*)\s*\\?[\]】］]"
"""A pattern of bracketed numbers, as models write citations: [1], [1, 2], 【3】."""
_LEADING_MARKS = re.compile(rf"{CITATION_MARK}(?:\s*{CITATION_MARK})*")
_ONLY_MARKS = re.compile(
    r"[\s(（*_]*(?:(?:sources?|references?|citations?|passages?|来源|出处|资料来源|参考(?:资料|文献|来源)?|引用)\s*[:：]?)?"
    rf"[\s*_]*(?:{CITATION_MARK}[\s,，、;；.。)）*_]*)+",
    re.IGNORECASE,
)
"""Citations by themselves, perhaps after "Sources:"."""

_HAN_NUMBER = "[一二三四五六七八九十]{1,3}"
_BULLET = r"(?:(?:[-*+–]\s+|[•·●▪◦]\s*)(?:\[[ xX]\]\s+)?|\[[ xX]\]\s+)"
_ITEM_NUMBER = (
    rf"(?:\d{{1,2}}[.．](?=[\s*A-Z\u3400-\u9fff“《])|\d{{1,2}}[)）、]|[(（](?:\d{{1,2}}|{_HAN_NUMBER}|[a-z])[)）]"
    rf"|{_HAN_NUMBER}、|[a-zA-Z][)）](?=\s)|[a-z]\.(?=\s)|[①-⑳])[*\s]*"
)
_STEP = (
    r"(?:(?i:step|option|method|phase)\s+(?:\d{1,2}|(?i:one|two|three|four|five|six|seven|eight|nine|ten))"
    rf"|(?:步骤|方法|方式|选项)\s*(?:\d{{1,2}}|{_HAN_NUMBER})|第\s*(?:\d{{1,2}}|{_HAN_NUMBER})\s*[步点])"
    r"\s*\*{0,2}\s*[:：.、，,)）-][*\s]*"
)
_MARKER = re.compile(
    rf"[ \t]*(?=(?:{_BULLET}|\*{{0,2}}(?:{_ITEM_NUMBER}|{_STEP})))"
    rf"(?:{_BULLET})?(?:\*{{0,2}}{_ITEM_NUMBER})?(?:\*{{0,2}}{_STEP})?"
)
"""What stands before a list item's words: a bullet, a number or letter, "Step 2:"."""
_ENDS_NUMBER = re.compile(rf"(?:\d|{_HAN_NUMBER})[.．、)）]?[\s*]*$")
_SECTION_NUMBER = re.compile(r"^[ \t]*\*{0,2}(\d{1,2}(?:\.\d{1,2}){1,3}\.?)(?=[\s*]+\S)", re.MULTILINE)
"""A number of two levels or more, "1.2"; a marker where several lines begin with such a number."""
_INLINE_NUMBER = re.compile(
    r"(?:(?:^[ \t]*|(?<=[:：;；,，。.!?])|(?<=[:;,.!?] )|(?<=\band )|(?<=[和及]))(\d{1,2})[.．、)）](?!\d)"
    r"|[(（](\d{1,2})[)）])"
)
"""The number of an item of a list that runs on in its line: "bring: 1. a form; 2. a photo"."""
_CIRCLED_NUMBER = re.compile("[①-⑳]")
_TABLE_LINE = re.compile(r"\s*\|.*\|\s*")
_TITLE = re.compile(r"(?:\*\*|__)?[^*_\d.。!！?？;；]{1,60}(?:\*\*|__)?\s*[:：]?")
_BOLD = re.compile(r"(?:\*\*|__)\s*[:：]?$")
_LEADS_IN = re.compile(r"[:：][\s*_]*$")
_LINE = re.compile(r"([^\r\n]*)(?:\r\n?|\n|$)")


class PartKind(Enum):
    """What a part of an answer is."""

    CLAIM = auto()
    LEAD_IN = auto()
    HEADING = auto()
    TABLE = auto()
    CODE = auto()


@dataclass(frozen=True, slots=True)
class Part:
    """A part of an answer, `text[start:end]`; for a list item without its marker.

    Attributes:
        marks_end: where the citation marks behind it end; `end` where there are none.
        words: its text with the numbers of lists inside it blanked out, of the same length.
        depth: how deep the list is of which it begins an item; 0 where it begins none.
        numbered: whether it begins an item with a number.
        items: how many items the list has that follows it.
    """

    kind: PartKind
    start: int
    end: int
    marks_end: int
    words: str
    depth: int = 0
    numbered: bool = False
    items: int = 0


def split_answer(text: str) -> list[Part]:
    """Return the parts of an answer in order; between them are markers, rules and white space.

    Headings are claims where there is nothing else.
    """
    words = _blank_list_numbers(text)
    parts: list[Part] = []
    for block in _blocks(text):
        for part in _parts_of(block, text, words):
            if parts and part.kind is PartKind.CLAIM and _ONLY_MARKS.fullmatch(part.words):
                parts[-1] = replace(parts[-1], marks_end=part.end)
            else:
                parts.append(part)
    parts = [_told_by_neighbours(part, parts[:place], parts[place + 1 :]) for place, part in enumerate(parts)]
    if all(part.kind is PartKind.HEADING for part in parts):
        return [replace(part, kind=PartKind.CLAIM) for part in parts]
    return parts


@dataclass(frozen=True, slots=True)
class _Block:
    """A table, code or heading with its whole lines, or a paragraph without the marker of its list item."""

    kind: PartKind
    start: int
    end: int
    depth: int = 0


def _parts_of(block: _Block, text: str, words: str) -> Iterator[Part]:
    if block.kind is not PartKind.CLAIM:
        yield Part(block.kind, block.start, block.end, block.end, words[block.start : block.end])
        return
    position, depth = block.start, block.depth
    for first, last in sentence_spans(words[block.start : block.end]):
        start, end = block.start + first, block.start + last
        marks = _LEADING_MARKS.match(text, start, end)
        if marks and start > block.start and "\n" not in text[position:start]:  # they belong to the sentence before
            yield Part(PartKind.CLAIM, start, marks.end(), marks.end(), words[start : marks.end()])
            start = end - len(text[marks.end() : end].lstrip())
        if start < end:
            numbered = bool(depth) and bool(_ENDS_NUMBER.search(text, max(0, start - 12), start))
            yield Part(PartKind.CLAIM, start, end, end, words[start:end], depth, numbered)
        position, depth = end, 0


def _told_by_neighbours(part: Part, before: Sequence[Part], following: Sequence[Part]) -> Part:
    """A claim, or what it is instead before a list, a table or more text: a heading or a lead-in."""
    if part.kind is not PartKind.CLAIM or not following:
        return part
    part = replace(part, items=_items_of_list(following))
    said = re.sub(CITATION_MARK, "", part.words).strip()
    has_subitems = bool(part.depth) and following[0].depth > part.depth
    is_chapter = part.numbered and not following[0].depth and not (before and before[-1].depth)
    if _TITLE.fullmatch(said) and (has_subitems or is_chapter or _BOLD.search(said)):
        return replace(part, kind=PartKind.HEADING)
    return replace(part, kind=PartKind.LEAD_IN) if _LEADS_IN.search(said) else part


def _items_of_list(following: Sequence[Part]) -> int:
    """How many items the list has that begins here; 0 where something else does."""
    depth = following[0].depth
    in_list = takewhile(lambda part: not 0 < part.depth < depth, following)
    return sum(part.depth == depth for part in in_list) if depth else 0


@cache
def _parser() -> MarkdownIt:
    parser = MarkdownIt("commonmark", {"maxNesting": 200}).enable("table")
    # Models indent text that is no code, draw lines below paragraphs, and write "[1]: " before a source.
    parser.disable(["code", "html_block", "lheading", "reference"])
    parser.core.ruler.enableOnly(["normalize", "block"])
    return parser


def _blocks(text: str) -> Iterator[_Block]:
    """Yield the blocks of Markdown; of a list item its paragraphs, the first one with the item's depth."""
    lines = [match.span(1) for match in _LINE.finditer(text)]
    level, depth, table_end = 0, 0, 0
    tokens = _parser().parse(text)
    for place, token in enumerate(tokens):
        if token.type in ("list_item_open", "list_item_close"):
            level += token.nesting
            depth = level if token.nesting > 0 and len(token.info) < 3 else 0  # "2024. " begins a sentence
        if token.map is None or token.map[0] < table_end:
            continue
        own = lines[token.map[0] : token.map[1]]
        if token.type == "paragraph_open":
            number = tokens[place - 1].info if tokens[place - 1].type == "list_item_open" else ""
            own[0] = (_first_word(text, own[0], tokens[place + 1].content, number), own[0][1])
            yield from _paragraph_blocks(text, own, depth, level)
            depth = 0
        elif token.type == "table_open":
            table_end = token.map[1]
            rows = next((row for row, line in enumerate(own) if "|" not in text[slice(*line)]), len(own))
            yield _Block(PartKind.TABLE, own[0][0], own[rows - 1][1])
            yield from _paragraph_blocks(text, own[rows:], 0, level)
        elif token.type in ("heading_open", "fence"):
            kind = PartKind.CODE if token.type == "fence" else PartKind.HEADING
            yield _Block(kind, own[0][0], own[-1][1])


def _first_word(text: str, line: tuple[int, int], paragraph: str, number: str) -> int:
    """Where a paragraph begins in its first line, behind the marker of its list item if that has no long number."""
    shown = text[slice(*line)].rstrip()
    first = paragraph.split("\n", 1)[0].rstrip()
    begin = shown.find(number) if len(number) > 2 else len(shown) - len(first)
    return line[0] + max(0, begin)


def _paragraph_blocks(text: str, lines: Sequence[tuple[int, int]], depth: int, level: int) -> Iterator[_Block]:
    """Yield the list items, tables and paragraphs in lines that Markdown takes for a single paragraph: "1、", "•".

    Args:
        text: the answer.
        lines: where its lines begin and end.
        depth: how deep the list is whose item the first line begins; 0 where it begins none.
        level: how deep the list is in which they stand.
    """
    for is_table, group in groupby(lines, key=lambda line: bool(_TABLE_LINE.fullmatch(text[slice(*line)]))):
        run = list(group)
        if is_table and len(run) > 1:
            yield _Block(PartKind.TABLE, run[0][0], run[-1][1])
            continue
        start, begun = run[0][0], depth
        for place, (first, last) in enumerate(run):
            marker = _MARKER.match(text, first, last)
            if marker is None:
                continue
            if place:
                yield _Block(PartKind.CLAIM, start, run[place - 1][1], begun)
            start, begun = marker.end(), begun if depth and not place else level + 1
        yield _Block(PartKind.CLAIM, start, run[-1][1], begun)
        depth = 0


def _blank_list_numbers(text: str) -> str:
    """The text, of the same length, without the numbers of lists that run on in a line and those of several levels."""
    numbers = [match.span() for match in _CIRCLED_NUMBER.finditer(text)]
    sections = [match.span(1) for match in _SECTION_NUMBER.finditer(text)]
    numbers += sections if len(sections) > 1 else []
    for line in _LINE.finditer(text):
        run: list[tuple[int, int]] = []
        for match in _INLINE_NUMBER.finditer(text, *line.span(1)):
            if int(match[1] or match[2]) == len(run) + 1:
                run.append(match.span())
        numbers += run if len(run) > 1 else []
    characters = list(text)
    for start, end in numbers:
        characters[start:end] = " " * (end - start)
    return "".join(characters)
