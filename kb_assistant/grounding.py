"""Ties each sentence of an answer to the words in the documents that support it.

Citations are made from where passages stand, never from what a model wrote: a number
it names counts only if that passage holds what the sentence says.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from langchain_core.documents import Document

from ingest import sentence_spans
from kb_assistant.answer import Citation
from vectorstore import line_at, terms

__all__ = ["Grounded", "cite", "ground", "statements"]

_HEADING_MARK = re.compile(r"^#+\s+")
_MARKER = re.compile(r"\s*[\[【](\d{1,2})[\]】]")
_SUPPORTED = 0.6
"""Share of a sentence's terms that its passage must hold for the passage to support it."""


@dataclass(frozen=True, slots=True)
class Grounded:
    """An answer's text with its [numbers] put right, and the citations they stand for."""

    text: str
    citations: tuple[Citation, ...]


def ground(text: str, passages: Sequence[Document]) -> Grounded:
    """Cite what supports each sentence of `text`; no citation at all means that nothing does."""
    found: dict[tuple[int, str], Citation] = {}
    parts: list[str] = []
    position = 0
    for start, end in _sentences(text):
        named = [int(number) for number in _MARKER.findall(text[start:end])]
        words = _MARKER.sub("", text[start:end])
        citation = _support(words, named, passages)
        parts.append(text[position:start] + words)
        if citation:
            found.setdefault((citation.number, citation.quote), citation)
            parts.append(f" [{citation.number}]")
        position = end
    parts.append(text[position:])
    return Grounded("".join(parts), tuple(sorted(found.values(), key=lambda citation: citation.number)))


def cite(passage: Document, start: int, end: int) -> Citation:
    """Return the citation of `page_content[start:end]` of a passage."""
    text = passage.page_content
    lines = passage.metadata["lines"]
    return Citation(
        number=passage.metadata["number"],
        source=passage.metadata["source"],
        page=passage.metadata["page"],
        line_start=line_at(lines, start),
        line_end=line_at(lines, max(start, end - 1)),
        heading=passage.metadata["heading"],
        quote=text[start:end],
        score=passage.metadata["score"],
    )


def statements(passage: Document) -> list[tuple[int, int]]:
    """Return the spans of a passage's sentences, without the headings that it begins with if there is more."""
    headings = set(passage.metadata["heading"].split(" › "))
    spans = list(sentence_spans(passage.page_content))
    said = [span for span in spans if _HEADING_MARK.sub("", passage.page_content[slice(*span)]) not in headings]
    return said or spans


def _sentences(text: str) -> list[tuple[int, int]]:
    """Sentence spans, each with the markers that follow it."""
    spans: list[tuple[int, int]] = []
    for start, end in sentence_spans(text):
        leading = re.match(rf"(?:{_MARKER.pattern})+", text[start:end])
        if leading and spans:
            spans[-1] = (spans[-1][0], start + leading.end())
            start += leading.end()
        if text[start:end].strip():
            spans.append((start, end))
    return spans


def _support(sentence: str, named: list[int], passages: Sequence[Document]) -> Citation | None:
    """Return the citation for a sentence: of a passage it names if that agrees, else of the best one."""
    wanted = set(terms(sentence))
    if not wanted:
        return None

    def agreement(passage: Document) -> tuple[bool, float]:
        share = _share(wanted, passage.page_content)
        return share >= _SUPPORTED and passage.metadata["number"] in named, share

    passage = max(passages, key=agreement, default=None)
    if passage is None or _share(wanted, passage.page_content) < _SUPPORTED:
        return None
    best = max(statements(passage), key=lambda span: _share(wanted, passage.page_content[span[0] : span[1]]))
    return cite(passage, *best)


def _share(wanted: set[str], text: str) -> float:
    return len(wanted & set(terms(text))) / len(wanted)
