"""The citations under an answer, and the words before an answer that was corrected, as plain text."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kb_assistant.cli.output import shortened
from kb_assistant.language import language_of

if TYPE_CHECKING:
    from kb_assistant.answering.types import Answer, Citation

__all__ = ["CHECKED", "citations_text"]

_WORDS = {
    "zh": {"nearest": "最接近的段落：", "page": "第 {page} 页 "},
    "en": {"nearest": "The nearest passages:", "page": "p. {page} "},
}
CHECKED = {"zh": "（对照文档核对后：）", "en": "(checked against the documents:)"}
"""What stands before an answer that reads otherwise than it was streamed."""


def citations_text(answer: Answer) -> str:
    """Return the citations under an answer, two lines each; a refusal offers them as the nearest passages."""
    words = _WORDS[language_of(answer.question)]
    lines = [words["nearest"]] if answer.refused and answer.citations else []
    for citation in answer.citations:
        lines.append(f"[{citation.number}] {_place(citation, words['page'])}")
        lines.append(f"    “{shortened(citation.quote)}”")
    return "\n".join(lines)


def _place(citation: Citation, page: str) -> str:
    first, last = citation.line_start, citation.line_end
    heading = f"  {citation.heading}" if citation.heading else ""
    before = page.format(page=citation.page) if citation.page else ""
    return f"{before}{shortened(citation.source)}:{first if first == last else f'{first}-{last}'}{heading}"
