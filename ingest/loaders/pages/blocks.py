"""Groups the lines of PDF pages into blocks: paragraphs, list items, code, and headings by size and weight.

Anything not clearly something else is a paragraph.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median

from ingest.cleaning import clean_line
from ingest.loaders.pages.layout import Flow, PageLayout
from ingest.loaders.pages.tables import Table, markdown_rows
from ingest.loaders.pages.words import Line
from ingest.parsed import BlockKind

__all__ = ["Draft", "Style", "drafts_of"]

_BULLET = re.compile(r"(?:[•‣▪▫●○◦■□◆◇▶►➢➤✓✔❖※]|[-–—*·](?=\s)|[\ue000-\uf8ff](?=\s|$))\s*")
_ENUMERATED = re.compile(
    r"(?:\(?\d{1,3}[.)](?![\d.])|[（(]\d{1,2}[）)]|\d{1,2}[、．]|[（(][一二三四五六七八九十]+[）)]|[①-⑳]|\(?[a-z][.)](?=\s))\s*\S"
)
_ENDS_SENTENCE = re.compile(r"[.!?。！？；;:：…][\"'”’)）」』]*\d{0,2}$")
_NOT_HEADING_END = re.compile(r"[.。;；,，、:：]$")
_LETTER = re.compile(r"[^\W\d_]")
_LARGER = 1.09
_LONGEST_HEADING = 160
_LARGEST_SHARE = 0.35
"""Share of the text: if more looks like headings, size and weight tell nothing."""


@dataclass(slots=True)
class Draft:
    """A block whose heading level is still open; it depends on the document's other headings."""

    kind: BlockKind
    lines: list[str]
    numbers: list[int]
    size: float = 0.0
    bold: bool = False


@dataclass(slots=True)
class Style:
    """Size and font of most of a document's text."""

    size: float = 0.0
    bold: bool = False
    mono: bool = False

    @classmethod
    def of(cls, layouts: Iterable[PageLayout]) -> Style:
        """Return the style that most characters have."""
        counts: Counter[tuple[float, bool, bool]] = Counter()
        for layout in layouts:
            for line in layout.lines():
                counts[(line.size, line.bold, line.mono)] += len(line.text)
        if not counts:
            return cls()
        sizes: Counter[float] = Counter()
        for (size, _, _), count in counts.items():
            sizes[size] += count
        total = counts.total()
        return cls(
            size=sizes.most_common(1)[0][0],
            bold=sum(count for (_, bold, _), count in counts.items() if bold) > 0.5 * total,
            mono=sum(count for (_, _, mono), count in counts.items() if mono) > 0.5 * total,
        )

    def levels(self, headings: Iterable[tuple[float, bool, int]], characters: int) -> dict[tuple[float, bool], int]:
        """Return the level of each (size, bold) among possible headings (size, bold, length); empty if unclear."""
        found = list(headings)
        if sum(length for _, _, length in found) > _LARGEST_SHARE * characters:
            found = [heading for heading in found if heading[0] >= 1.5 * self.size]
            if sum(length for _, _, length in found) > _LARGEST_SHARE * characters:
                return {}
        ranks: dict[tuple[float, bool], int] = {}
        counts = Counter(size for size, _, _ in found)
        rank, last = 0, 0.0
        for size, bold in sorted({(size, bold) for size, bold, _ in found}, key=lambda style: (-style[0], -style[1])):
            # A size used once, on a cover, is no level.
            if rank == 0 or (size < 0.95 * last and (counts[size] > 1 or rank < 2)):
                rank, last = rank + 1, size
            ranks[(size, bold)] = min(rank, 6)
        return ranks


def drafts_of(layout: PageLayout, style: Style) -> list[Draft]:
    """Return the blocks of a page; heading levels are still open."""
    drafts: list[Draft] = []
    for flow in layout.flows:
        for part in _parts(flow, style):
            if isinstance(part, Table):
                drafts.append(_table(part))
            elif (draft := _draft(part, style)) is not None:
                drafts.append(draft)
    return drafts


def _table(table: Table) -> Draft:
    rows = markdown_rows(table.rows)
    numbers = list(range(table.number, table.number + len(rows)))
    rows.insert(1, "|" + " --- |" * (len(re.findall(r"(?<!\\)\|", rows[0])) - 1))
    return Draft(BlockKind.TABLE, rows, [numbers[0], *numbers])


def _draft(lines: list[Line], style: Style) -> Draft | None:
    cleaned = [(clean_line(line.text), line.number) for line in lines]
    texts = [text for text, _ in cleaned if text]
    if not texts:
        return None
    numbers = [number for text, number in cleaned if text]
    if _is_code(lines, style):
        return Draft(BlockKind.CODE, texts, numbers)
    if _may_be_heading(lines, texts, style):
        return Draft(BlockKind.HEADING, texts, numbers, max(line.size for line in lines), lines[0].bold)
    if _BULLET.match(texts[0]) or _ENUMERATED.match(texts[0]):
        if _BULLET.fullmatch(texts[0][:1]) and "\ue000" <= texts[0][0] <= "\uf8ff":
            texts[0] = "•" + texts[0][1:]
        return Draft(BlockKind.LIST_ITEM, texts, numbers)
    return Draft(BlockKind.PARAGRAPH, texts, numbers)


def _is_code(lines: list[Line], style: Style) -> bool:
    return not style.mono and len(lines) > 1 and all(line.mono for line in lines)


def _may_be_heading(lines: list[Line], texts: list[str], style: Style) -> bool:
    text = " ".join(texts)
    if len(lines) > 3 or len(text) > _LONGEST_HEADING or _NOT_HEADING_END.search(text) or not _LETTER.search(text):
        return False
    if any(len(line.cells) > 2 or line.turned for line in lines) or len(_LETTER.findall(text)) < 2:
        return False
    size = min(line.size for line in lines)
    if size >= _LARGER * style.size:
        return True
    bold = all(line.bold for line in lines) and not style.bold
    return bold and size >= 0.98 * style.size and len(lines) <= 2 and len(text) <= 100


# Paragraphs


def _parts(flow: Flow, style: Style) -> list[list[Line] | Table]:
    """Split a flow into tables and the lines of each paragraph."""
    lines = [item for item in flow if isinstance(item, Line)]
    leading = _leading(lines)
    parts: list[list[Line] | Table] = []
    current: list[Line] = []
    right: dict[int, float] = {
        id(line): max(other.x1 for other in lines[max(0, place - 3) : place + 4]) for place, line in enumerate(lines)
    }
    left: dict[int, float] = {
        id(line): min(other.x0 for other in lines[max(0, place - 3) : place + 4]) for place, line in enumerate(lines)
    }
    for item in flow:
        if isinstance(item, Table):
            if current:
                parts.append(current)
            parts.append(item)
            current = []
        elif current and not _begins(current, item, leading, left[id(item)], right[id(current[-1])], style):
            current.append(item)
        else:
            if current:
                parts.append(current)
            current = [item]
    if current:
        parts.append(current)
    return parts


def _leading(lines: Sequence[Line]) -> float:
    """Return the usual distance between lines, in font sizes."""
    steps = [
        (below.y - above.y) / max(above.size, 1.0)
        for above, below in pairwise(lines)
        if abs(above.size - below.size) < 0.1 * above.size and 0 < below.y - above.y < 2.5 * above.size
    ]
    return median(steps) if steps else 1.25


def _begins(current: list[Line], line: Line, leading: float, left: float, right: float, style: Style) -> bool:
    """Return whether `line` begins a new paragraph."""
    last = current[-1]
    size = max(last.size, line.size)
    step = (line.y - last.y) / size
    if step > 1.3 * max(leading, 1.0) or abs(last.size - line.size) > 0.12 * size:
        return True
    if last.mono and line.mono and not style.mono:
        return False  # code stays together
    if last.mono != line.mono and not style.mono and last.x1 < right - 4 * size:
        return True
    text = line.text.strip()
    if _BULLET.match(text):
        return True
    ended = bool(_ENDS_SENTENCE.search(last.text.strip()))
    if _ENUMERATED.match(text) and (ended or last.x1 < right - 3 * size or _ENUMERATED.match(current[0].text)):
        return True
    if last.size >= _LARGER * style.size and last.bold == line.bold and len(current) < 3 and not ended:
        return False  # a heading on several lines, perhaps centred
    if last.bold != line.bold and (last.bold or line.bold) and last.x1 < right - 2 * size:
        return True
    if len(line.cells) > 1 and len(last.cells) > 1:
        return True
    return _is_set_apart(current, line, left, right, ended=ended)


def _is_set_apart(current: list[Line], line: Line, left: float, right: float, *, ended: bool) -> bool:
    """Return whether `line` is indented, or its first word would have fitted on the line before."""
    last = current[-1]
    size = max(last.size, line.size)
    listed = _BULLET.match(current[0].text) or _ENUMERATED.match(current[0].text)
    if line.x0 > last.x0 + 0.8 * size and line.x0 < last.x0 + 6 * size and ended and not listed:
        return True
    if len(current) > 1 and line.x0 < last.x0 - 0.8 * size and ended:
        return True  # hanging lines end here
    words = line.text.split(maxsplit=1)
    width = (line.x1 - line.x0) / max(len(line.text), 1)
    first = min(len(words[0]) if words else 0, 12) * width
    if line.text[:1] >= "\u2e80":
        first = 2 * size
    if last.text.rstrip().endswith(("\ufffe", "-")) and line.text[:1].islower():
        return False
    slack = right - last.x1 - first
    if ended:
        return slack > 0.5 * size
    return slack > max(0.2 * (right - left), 2 * size)
