"""An answer as text and as JSON, the same for every face."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any, Literal

from kb_assistant.answering.types import Answer, Citation
from kb_assistant.language import language_of

__all__ = ["CHECKED", "Emphasis", "annotated", "answer_json", "citations_text", "unsupported_text"]

Emphasis = Literal["plain", "highlight", "note"]
"""How a stretch of an answer is shown: as it is, as the answer proper, or as our note on it."""

_QUOTED_CHARACTERS = 160
_WORDS = {
    "zh": {"nearest": "最接近的段落：", "page": "第 {page} 页 ", "unsupported": "文档中没有依据："},
    "en": {"nearest": "The nearest passages:", "page": "p. {page} ", "unsupported": "Not in the documents:"},
}
_UNSUPPORTED_NOTE = {"zh": "（文档中没有依据）", "en": " (not in the documents)"}
CHECKED = {"zh": "（对照文档核对后：）", "en": "(checked against the documents:)"}
"""Introduces the final text of an answer when it differs from what was streamed."""


def answer_json(answer: Answer) -> dict[str, Any]:
    """Return an answer in the form that `kb ask --json` prints."""
    values = asdict(answer)
    text = values.pop("text")
    for extra in ("searched", "highlights"):  # no part of the contract
        values.pop(extra)
    return {"question": values.pop("question"), "answer": text, **values}


def annotated(
    text: str,
    unsupported: Sequence[tuple[int, int]],
    highlights: Sequence[tuple[int, int]] = (),
    style: Callable[[str, Emphasis], str] = lambda words, emphasis: words,
) -> str:
    """Return an answer's text with a note, in its own language, behind everything that no passage supports.

    Args:
        text: the answer.
        unsupported: the spans that get a note.
        highlights: the spans that are the answer proper.
        style: shows a stretch of the text, or a note, with its emphasis.
    """
    parts, position = [], 0
    for start, end, noted in sorted([(*span, False) for span in highlights] + [(*span, True) for span in unsupported]):
        words = text[start:end]
        parts += [style(text[position:start], "plain"), style(words, "plain" if noted else "highlight")]
        if noted:
            note = _UNSUPPORTED_NOTE[language_of(words)]
            parts.append(style(f"\n\n{note.strip()}" if words.endswith("|") else note, "note"))  # below a table
        position = end
    return "".join([*parts, style(text[position:], "plain")])


def unsupported_text(answer: Answer) -> str:
    """Return what no passage supports, as lines below an answer; empty if there is nothing of the kind."""
    if not answer.unsupported:
        return ""
    quoted = [f"- “{_shortened(answer.text[start:end])}”" for start, end in answer.unsupported]
    return "\n".join([_WORDS[language_of(answer.question)]["unsupported"], *quoted])


def citations_text(answer: Answer) -> str:
    """Return the citations under an answer, two lines each; a refusal offers them as the nearest passages."""
    words = _WORDS[language_of(answer.question)]
    lines = [words["nearest"]] if answer.refused and answer.citations else []
    for citation in answer.citations:
        lines.append(f"[{citation.number}] {_place(citation, words['page'])}")
        lines.append(f"    “{_shortened(citation.quote)}”")
    return "\n".join(lines)


def _place(citation: Citation, page: str) -> str:
    first, last = citation.line_start, citation.line_end
    heading = f"  {citation.heading}" if citation.heading else ""
    before = page.format(page=citation.page) if citation.page else ""
    return f"{before}{_shortened(citation.source)}:{first if first == last else f'{first}-{last}'}{heading}"


def _shortened(text: str) -> str:
    words = " ".join(text.split())
    return words if len(words) <= _QUOTED_CHARACTERS else words[:_QUOTED_CHARACTERS] + "…"
