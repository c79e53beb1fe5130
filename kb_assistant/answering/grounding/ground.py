"""Ties each claim of an answer to the words in the documents that support it.

Citations are made from where passages stand, never from what a model wrote: a number that it
names counts only if that passage holds what the claim says.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from kb_assistant.answering.grounding.cite import without_marks
from kb_assistant.answering.grounding.claims import CITATION_MARK, Part, PartKind, split_answer
from kb_assistant.answering.grounding.support import Evidence, says_something
from kb_assistant.answering.relevance.cross_lingual import CrossLingualSimilarity
from kb_assistant.answering.types import Citation
from vectorstore import Hit

__all__ = ["Grounded", "ground"]

_MARKS_OR_CODE = re.compile(rf"`[^`\n]+`|(?:\s*{CITATION_MARK})+")
_CONTEXT = 6
"""How many characters before a bracketed number tell whether it is the document's own."""
_TABLE_RULE = re.compile(r"[\s|:+=*_-]*")
_CELL_BORDER = re.compile(r"(?<!\\)\|")


@dataclass(frozen=True, slots=True)
class Grounded:
    """An answer with its [numbers] put right.

    Attributes:
        citations: what the numbers stand for; none at all where nothing is supported.
        unsupported: the spans of characters in `text` that no passage supports.
    """

    text: str
    citations: tuple[Citation, ...]
    unsupported: tuple[tuple[int, int], ...] = ()


def ground(text: str, passages: Sequence[Hit], similarity: CrossLingualSimilarity | None = None) -> Grounded:
    """Cite what supports each claim of `text`, and find the claims that nothing supports.

    Tables and code are cited below them; a table counts as unsupported as a whole. Bracketed numbers that are
    the documents' own are shown as `without_marks` does.

    Args:
        text: what a model wrote.
        passages: what it was shown.
        similarity: compares texts of different languages; without it, nothing in another language supports a claim.
    """
    writer = _Writer(text, passages, Evidence(passages, similarity))
    for part in split_answer(text):
        writer.add(part)
    return writer.finish()


class _Writer:
    """Writes the grounded answer, part by part."""

    def __init__(self, text: str, passages: Sequence[Hit], evidence: Evidence) -> None:
        self._text = text
        self._evidence = evidence
        self._passages = ["".join(passage.text.split()) for passage in passages]
        self._position = 0
        self._written = ""
        self._citations: dict[tuple[int, str], Citation] = {}
        self._unsupported: list[tuple[int, int]] = []

    def add(self, part: Part) -> None:
        """Write a part with its citations, and what stands before it."""
        self._written += self._text[self._position : part.start]
        self._position = part.marks_end
        start = len(self._written)
        named = _numbers(self._text[part.end : part.marks_end])
        if part.kind is PartKind.CODE:
            self._written += self._text[part.start : part.end]
        else:
            shown, more = self._take_marks(self._text[part.start : part.end])
            named |= more
            self._written += shown.lstrip() if shown != self._text[part.start : part.end] else shown
        citations, doubted = self._judge(part, named)
        if doubted:
            self._unsupported.append((start, len(self._written)))
        self._citations.update({(citation.number, citation.quote): citation for citation in citations})
        numbers = " ".join(f"[{number}]" for number in sorted({citation.number for citation in citations}))
        if numbers and part.kind in (PartKind.TABLE, PartKind.CODE):
            indent = re.match(r"[ \t]*", self._text[part.start : part.end])
            self._written += f"\n\n{indent[0] if indent else ''}{numbers}"
        elif numbers:
            self._written += f" {numbers}"

    def finish(self) -> Grounded:
        """Write what is left, and return the answer."""
        self._written += self._text[self._position :]
        citations = sorted(self._citations.values(), key=lambda citation: citation.number)
        return Grounded(self._written, tuple(citations), tuple(self._unsupported))

    def _judge(self, part: Part, named: set[int]) -> tuple[list[Citation], bool]:
        """Return the citations of a part, and whether it is unsupported."""
        known = f"{part.items}" if part.items else ""  # "three steps", before three of them
        if part.kind is PartKind.HEADING:
            return [], False
        if part.kind is PartKind.LEAD_IN:
            missing = self._evidence.missing(self._take_marks(part.words)[0], known)
            return [], any(re.search(r"\d", words) for words in missing)
        if part.kind is PartKind.CLAIM:
            words = self._take_marks(part.words)[0]
            citations = self._evidence.support(words, named, known)
            return citations, not citations and says_something(words)
        pieces = _rows(part.words) if part.kind is PartKind.TABLE else part.words.splitlines()[1:]
        pieces = [words for words in (self._take_marks(piece)[0] for piece in pieces) if says_something(words)]
        found = [self._evidence.support(words, named) for words in pieces]
        citations = [citation for support in found for citation in support]
        if part.kind is PartKind.CODE or not pieces:
            return citations, False
        doubted = [words for words, support in zip(pieces, found, strict=True) if not support]
        return citations, not citations or any(map(self._evidence.missing, doubted))

    def _take_marks(self, words: str) -> tuple[str, set[int]]:
        """Return words without the citation marks that a model set, and the numbers in them."""
        named: set[int] = set()

        def replaced(match: re.Match[str]) -> str:
            if match[0].startswith("`"):
                return match[0]
            before = "".join(words[: match.start()].split())[-_CONTEXT:]
            if before and any(before + "".join(match[0].split()) in passage for passage in self._passages):
                return without_marks(match[0])
            named.update(_numbers(match[0]))
            return ""

        return _MARKS_OR_CODE.sub(replaced, words), named


def _numbers(marks: str) -> set[int]:
    return {int(number) for number in re.findall(r"\d+", marks)}


def _rows(table: str) -> Iterator[str]:
    """Yield what each row of a table says, without its header and the numbers that count the rows."""
    lines = [line for line in table.splitlines()[1:] if not _TABLE_RULE.fullmatch(line)]
    for place, line in enumerate(lines, start=1):
        first, *others = [cell.strip() for cell in _CELL_BORDER.split(line.strip().strip("|"))]
        cells = others if re.fullmatch(rf"{place}[.、]?", first) else [first, *others]
        yield ", ".join(filter(None, cells))
