"""The examples that the small test model is trained on: questions of the sample handbook, as they are really asked.

The prompts hold what the retriever really finds, in its order and in others.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from small_model import Passage, Question, build_prompt, variations

from ingest import sentence_spans
from kb_assistant import Assistant
from vectorstore import from_documents

__all__ = ["SETTINGS", "Lesson", "lessons", "training_examples"]

ASKED = 8
"""How many questions the model learns, half of them Chinese."""
VARIATIONS = 1
SETTINGS = {"passages": 2, "context_tokens": 2000}
"""With few passages, because longer prompts take several times as long to learn."""


@dataclass(frozen=True)
class Lesson:
    """A question, the sentence that answers it, and the passages that its prompt holds."""

    question: Question
    passages: tuple[Passage, ...]
    gold: str
    source: str


def lessons(home: Path, samples: Path, asked: Sequence[dict[str, Any]]) -> list[Lesson]:
    """Return one lesson for each of the first few questions whose answer is found, half of them Chinese."""
    found = []
    with Assistant.open(home, **SETTINGS) as handbook:
        handbook.ingest(samples)
        for language in ("zh", "en"):
            own = [one for one in asked if one["answers"] and one["language"] == language]
            found += [lesson for one in own if (lesson := _lesson(handbook, one))][: ASKED // 2]
    return found


def training_examples(taught: Sequence[Lesson]) -> list[tuple[str, str]]:
    """Return (prompt, answer) pairs: the real prompt of each lesson, and variations of it."""
    everything = [passage for lesson in taught for passage in lesson.passages]
    examples = []
    for lesson in taught:
        question = lesson.question
        number = lesson.passages.index(question.passage) + 1
        prompt = build_prompt(question.text, lesson.passages, question.language)
        answer = question.answer.replace("{number}", str(number))
        examples.append((prompt, answer))
        examples += variations(question, everything, count=VARIATIONS, most=2)
    return examples


def _lesson(handbook: Assistant, asked: dict[str, Any]) -> Lesson | None:
    chain = handbook.chain
    hits = from_documents(chain.invoke({"query": asked["question"]})["source_documents"])
    if any(chain.section and len(chain.section(hit.id, 20)) > 1 for hit in hits):
        return None  # a model would be given the rest of the section as well, and prompts are to be short
    passages = tuple(Passage(hit.source, hit.heading_path, hit.text) for hit in hits)
    for passage in passages:
        for start, end in sentence_spans(passage.text):
            sentence = passage.text[start:end]
            gold = next((answer for answer in asked["answers"] if answer in sentence), None)
            if gold and passage.source == asked["source"] and "|" not in sentence:
                question = Question(asked["question"], f"{sentence} [{{number}}]", passage, asked["language"])
                return Lesson(question, passages, gold, asked["source"])
    return None
