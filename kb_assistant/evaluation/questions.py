"""Reads question sets: SQuAD JSON, JSON lines, and RGB's lines, recognised by their content.

- SQuAD 1.1 and 2.0, XQuAD, CMRC 2018, DRCD: each paragraph is a document; its article is its group.
- JSON lines `{question, answers, source, page}`: about an existing collection.
- RGB (Chen et al., 2024, "Benchmarking Large Language Models in Retrieval-Augmented Generation"):
  JSON lines `{query, answer, positive, negative}`. The passages of all lines form a single collection, so the
  passages of other questions are noise too.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from kb_assistant.errors import UsageError

__all__ = ["EvalDocument", "Place", "Question", "QuestionSet", "read_questions"]

_SEED = 20240229
_KINDS = (
    "SQuAD JSON; JSON lines with question, answers and perhaps source and page; "
    "or RGB's lines with query, answer, positive and negative"
)


@dataclass(frozen=True, slots=True)
class Place:
    """Where an answer stands: in any of these sources, on that page.

    Attributes:
        sources: names of sources, any of which will do; empty where any passage with an answer will do.
        page: from 1; None where the file gives none.
    """

    sources: frozenset[str] = frozenset()
    page: int | None = None


@dataclass(frozen=True, slots=True)
class Question:
    """A question and its expected answer.

    Attributes:
        answers: the parts of the answer, each with its alternative wordings; none where the documents do not answer
            the question.
        places: the place of each part; all of them have to be found.
        group: the article that the question is about.
    """

    text: str
    answers: tuple[tuple[str, ...], ...]
    places: tuple[Place, ...]
    group: str = ""

    @property
    def answerable(self) -> bool:
        """Whether the documents hold an answer."""
        return bool(self.answers)


@dataclass(frozen=True, slots=True)
class EvalDocument:
    """A document that questions are about."""

    name: str
    text: str
    group: str


@dataclass(frozen=True, slots=True)
class QuestionSet:
    """The questions and documents of a file; without documents, the questions are about an existing collection."""

    questions: tuple[Question, ...]
    documents: tuple[EvalDocument, ...] = ()

    @property
    def groups(self) -> tuple[str, ...]:
        """The articles, in the file's order."""
        return tuple(dict.fromkeys(document.group for document in self.documents))

    def sampled(self, limit: int | None) -> QuestionSet:
        """Return the set with at most `limit` of its questions, drawn with a fixed seed; all documents stay."""
        if limit is None or limit >= len(self.questions):
            return self
        # The same sample every time; no secrets depend on it.
        chosen = sorted(random.Random(_SEED).sample(range(len(self.questions)), limit))  # noqa: S311
        return replace(self, questions=tuple(self.questions[i] for i in chosen))

    def every_other_group(self) -> tuple[EvalDocument, ...]:
        """Return the documents of every other article, beginning with the first."""
        kept = set(self.groups[::2])
        return tuple(document for document in self.documents if document.group in kept)


def read_questions(path: Path) -> QuestionSet:
    """Return the questions in a file.

    Raises:
        UsageError: the file cannot be read, is of no known kind, or holds no question.
    """
    try:
        values = _json_values(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError) as error:
        raise UsageError(f"cannot read questions from {path}: {error}; it takes {_KINDS}") from error
    try:
        found = _from_values(values)
    except (KeyError, TypeError, ValueError) as error:
        raise UsageError(
            f"cannot read questions from {path}: {type(error).__name__}: {error}; it takes {_KINDS}"
        ) from error
    # Some published sets have empty questions.
    found = replace(found, questions=tuple(question for question in found.questions if question.text))
    if not found.questions:
        raise UsageError(f"{path} holds no questions; it takes {_KINDS}")
    return found


def _json_values(text: str) -> list[Any]:
    """Parse the text as a JSON document, or else as a document on each line."""
    try:
        return [json.loads(text)]
    except json.JSONDecodeError:
        # Not splitlines, which also splits at U+2028 and others inside a text.
        lines = [line for line in text.split("\n") if line.strip()]
        if len(lines) < 2:
            raise
        return [json.loads(line) for line in lines]


def _from_values(values: list[Any]) -> QuestionSet:
    first = values[0] if values else None
    if not isinstance(first, dict):
        raise TypeError("it does not begin with a JSON object")
    if len(values) == 1 and "data" in first:
        return _squad(first["data"])
    if "query" in first and "positive" in first:
        return _rgb(values)
    if "question" in first:
        return QuestionSet(tuple(_line_question(value) for value in values))
    raise ValueError("it has none of the expected keys")


def _squad(articles: Sequence[dict[str, Any]]) -> QuestionSet:
    names: dict[str, str] = {}
    documents: list[EvalDocument] = []
    questions: list[Question] = []
    for number, article in enumerate(articles):
        group = f"{number:05d} {article.get('title', '')}".strip()
        for paragraph in article["paragraphs"]:
            text = paragraph["context"]
            if text not in names:  # equal paragraphs are the same document
                # A name that occurs in no question, since names are searched too.
                names[text] = f"p{len(names):06d}"
                documents.append(EvalDocument(names[text], text, group))
            for asked in paragraph["qas"]:
                texts = [answer["text"] for answer in asked["answers"] if answer["text"].strip()]
                held = bool(texts) and not asked.get("is_impossible", False)
                answers = (tuple(dict.fromkeys(texts)),) if held else ()
                places = (Place(frozenset({names[text]})),) if held else ()
                questions.append(Question(asked["question"].strip(), answers, places, group))
    return QuestionSet(tuple(questions), tuple(documents))


def _rgb(lines: Sequence[dict[str, Any]]) -> QuestionSet:
    names: dict[str, str] = {}
    documents: list[EvalDocument] = []
    questions: list[Question] = []

    def place(texts: Sequence[str], group: str) -> Place:
        for text in texts:
            if text not in names:
                names[text] = f"p{len(names):06d}"
                documents.append(EvalDocument(names[text], text, group))
        return Place(frozenset(names[text] for text in texts))

    for number, line in enumerate(lines):
        group = f"{number:05d}"
        parts = line["positive"] if isinstance(line["positive"][0], list) else [line["positive"]]
        places = tuple(place([text for text in part if text.strip()], group) for part in parts)
        place([text for text in line["negative"] if text.strip()], group)
        answer = line["answer"] if isinstance(line["answer"], list) else [line["answer"]]
        answers = tuple(tuple(part) if isinstance(part, list) else (part,) for part in answer)
        questions.append(Question(line["query"].strip(), answers, places, group))
    return QuestionSet(tuple(questions), tuple(documents))


def _line_question(line: dict[str, Any]) -> Question:
    answers = tuple(_strings(line.get("answers") or ()))
    if not answers:
        return Question(line["question"].strip(), (), ())
    page = line.get("page")
    if page is not None and (not isinstance(page, int) or page < 1):
        raise ValueError(f"page {page!r} is not a whole number from 1")
    source = line.get("source")
    place = Place(frozenset({source} if source else ()), page)
    return Question(line["question"].strip(), (answers,), (place,))


def _strings(values: Any) -> Iterator[str]:
    for value in [values] if isinstance(values, str) else values:
        if not isinstance(value, str):
            raise TypeError(f"answer {value!r} is not a text")
        if value.strip():
            yield value
