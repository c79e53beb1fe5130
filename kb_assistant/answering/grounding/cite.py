"""Cites a passage: where its words stand, never what a model says of it."""

from __future__ import annotations

import re

from ingest import sentence_spans
from kb_assistant.answering.grounding.claims import CITATION_MARK
from kb_assistant.answering.types import Citation
from vectorstore import Hit

__all__ = ["cite", "statements", "without_marks"]

_HEADING_MARK = re.compile(r"^#+\s+")
_MARK = re.compile(CITATION_MARK)


def cite(passage: Hit, start: int, end: int) -> Citation:
    """Return the citation of `text[start:end]` of a passage."""
    return Citation(
        number=passage.rank,
        source=passage.source,
        page=passage.page,
        line_start=passage.line_at(start),
        line_end=passage.line_at(max(start, end - 1)),
        heading=passage.heading_path,
        quote=passage.text[start:end],
        score=passage.score,
    )


def statements(passage: Hit) -> list[tuple[int, int]]:
    """Return the spans of a passage's sentences, without the headings that it begins with if there is more."""
    spans = list(sentence_spans(passage.text))
    said = [span for span in spans if _HEADING_MARK.sub("", passage.text[slice(*span)]) not in passage.heading]
    return said or spans


def without_marks(text: str) -> str:
    """Return a document's words with its own bracketed numbers in round brackets, "[7]" as "(7)".

    In an answer, square brackets are citations.
    """
    return _MARK.sub(r"(\1)", text)
