"""Conversations as Markdown, and well-rated answers as questions for `kb eval`."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Any

from kb_assistant.answering.presentation import annotated
from kb_assistant.chats.store import Chat, KeptTurn
from kb_assistant.language import language_of
from kb_assistant.serialization import printable

__all__ = ["as_evaluation_lines", "as_markdown"]

_SPACE = re.compile(r"\s+")
_MARKDOWN = re.compile(r"((?=[\\`*_\[\]<>!#|~$&])|^(?=[-+=])|^\d+(?=[.)]))", re.MULTILINE)
"""Where a backslash goes; after a list item's number, since one before a digit would show."""
_INDENT = re.compile(r"^[ \t]+", re.MULTILINE)
_ADDRESS = re.compile(r"(?<=[A-Za-z])://|(?<=www)\.", re.IGNORECASE)
_WORDS = {
    "zh": {"interrupted": "（已停止）", "nearest": "最接近的段落：", "page": "第 {} 页"},
    "en": {"interrupted": "(stopped)", "nearest": "The nearest passages:", "page": "p. {}"},
}


def as_markdown(chat: Chat, turns: Iterable[KeptTurn]) -> str:
    """Return a conversation as Markdown in which no text of a document acts as markup."""
    return "\n\n".join([f"# {_escape(chat.title)}", *map(_turn, turns)]) + "\n"


def as_evaluation_lines(rated: Iterable[KeptTurn]) -> str:
    """Return the questions whose answers were rated good as JSON lines for `kb eval`.

    The expected answer is what was highlighted, else the first quotation. A refusal rated good is a question that
    the documents do not answer. An answer rated bad says nothing about the right one, and is left out.
    """
    good = [turn for turn in rated if turn.verdict > 0]
    lines = [_evaluation(turn) for turn in good if turn.state == "refused" or turn.citations]
    return "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)


def _escape(text: str) -> str:
    """Escape Markdown's markup, and the addresses that a viewer would turn into links."""
    escaped = _MARKDOWN.sub(r"\1\\", _INDENT.sub("", printable(text)))
    return _ADDRESS.sub(lambda found: "\\".join(("", *found[0])), escaped)


def _turn(turn: KeptTurn) -> str:
    words = _WORDS[language_of(turn.question)]
    quoted = "\n".join(f"> {line}" for line in _escape(turn.question).split("\n"))
    text = _escape(annotated(turn.text, turn.unsupported))
    parts = [quoted, f"{text} {words['interrupted']}".strip() if turn.state == "interrupted" else text]
    if turn.state == "refused" and turn.citations:
        parts.append(words["nearest"])
    cited = []
    for citation in turn.citations:
        page = words["page"].format(citation.page) if citation.page else ""
        where = _escape(", ".join(filter(None, [citation.source, page, citation.heading])))
        cited.append(f"- \\[{citation.number}\\] {where}: “{_escape(_SPACE.sub(' ', citation.quote))}”")
    return "\n\n".join([*parts, "\n".join(cited)] if cited else parts)


def _evaluation(turn: KeptTurn) -> dict[str, Any]:
    if turn.state == "refused":
        return {"question": turn.question, "answers": []}
    first = turn.citations[0]
    answers = [turn.text[start:end] for start, end in turn.highlights] or [first.quote]
    return {"question": turn.question, "answers": answers, "source": first.source, "page": first.page}
