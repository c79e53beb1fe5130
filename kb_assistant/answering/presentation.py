"""An answer as text and as JSON, the same for every face."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from kb_assistant.answering.types import Answer, Citation
from kb_assistant.language import language_of

__all__ = ["CHECKED", "answer_json", "citations_text"]

_QUOTED_CHARACTERS = 160
_WORDS = {
    "zh": {"nearest": "最接近的段落：", "page": "第 {page} 页 "},
    "en": {"nearest": "The nearest passages:", "page": "p. {page} "},
}
CHECKED = {"zh": "（对照文档核对后：）", "en": "(checked against the documents:)"}
"""Introduces the final text of an answer when it differs from what was streamed."""


def answer_json(answer: Answer) -> dict[str, Any]:
    """Return an answer in the form that `kb ask --json` prints."""
    values = asdict(answer)
    text = values.pop("text")
    for extra in ("searched", "highlights"):  # no part of the contract
        values.pop(extra)
    return {"question": values.pop("question"), "answer": text, **values}


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
