"""Fits the refusal threshold to the user's own collection and questions: `kb eval --calibrate`.

Unanswerable questions are those that the file marks as such; if there are too few, its other questions are asked again
with the passages that hold their answer left out of the search. Only the threshold is fitted: changing the intercept of
the relevance would have the same effect, and change what a relevance means.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from kb_assistant.answering.knowledge_base import KnowledgeBase
from kb_assistant.errors import UsageError
from kb_assistant.evaluation.metrics import contains
from kb_assistant.evaluation.questions import Question, read_questions
from kb_assistant.evaluation.report import percent
from kb_assistant.evaluation.runner import Progress, ignore
from kb_assistant.evaluation.statistics import refusal_figures
from kb_assistant.settings import save_settings

__all__ = ["Calibration", "Figures", "calibrate", "calibration_json", "calibration_text", "fitted_threshold"]

FEWEST = 30
"""The fewest questions of each kind: if none of 30 is refused, up to a tenth of all may be (the rule of three)."""
REFUSED = 0.03
"""The share of answerable questions that may be refused."""
_FOLDS = 5
_DEEP = 100
"""How many passages to search for those that do not hold the answer."""


@dataclass(frozen=True, slots=True)
class Figures:
    """A threshold, and the shares of answerable and of unanswerable questions that it refuses, 0 to 1."""

    threshold: float
    answerable_refused: float
    others_refused: float

    @property
    def told_apart(self) -> float:
        """The share of unanswerable questions refused minus that of answerable ones (Youden's index)."""
        return self.others_refused - self.answerable_refused


@dataclass(frozen=True, slots=True)
class Calibration:
    """The thresholds before and after fitting, and how well they separate questions.

    Attributes:
        answerable: how many questions the documents answer.
        others: how many they do not answer, including questions asked with their answer left out.
        left_out: how many were asked with their answer left out.
        auroc: the chance that an answerable question has a higher relevance than an unanswerable one.
        before: the threshold that is set.
        after: the fitted threshold; its shares are cross-validated in five folds.
        written: the file that now sets it; None if the former threshold is as good.
    """

    answerable: int
    others: int
    left_out: int
    auroc: float
    before: Figures
    after: Figures
    written: Path | None


def calibrate(
    kb: KnowledgeBase, path: Path, *, collection: str, limit: int | None = None, progress: Progress = ignore
) -> Calibration:
    """Fit `refuse_below` to a collection, and write it to the home's kb.toml if it separates questions better.

    Args:
        kb: the knowledge base.
        path: the questions: JSON lines about the collection.
        collection: the collection that they are about.
        limit: the most questions to ask, drawn with a fixed seed; None for all.
        progress: called for each question.

    Raises:
        UsageError: the file cannot be used, or holds too few questions; then nothing is written.
    """
    asked = read_questions(path).sampled(limit)
    if asked.documents:
        raise UsageError(
            f"{path} brings documents of its own; to calibrate takes questions about your collection, a JSON line "
            'each: {"question": "…", "answers": ["…"], "source": "…"}'
        )
    marked = [question for question in asked.questions if not question.answerable]
    held = [question for question in asked.questions if question.answerable]
    again = held if len(marked) < FEWEST else []
    total = len(asked.questions) + len(again)
    inside: list[float] = []
    outside: list[float] = []
    for number, question in enumerate(asked.questions, start=1):
        score = _relevance(kb, question, collection, left_out=False)
        (inside if question.answerable else outside).append(score or 0.0)
        progress(number, total, "asking")
    for number, question in enumerate(again, start=len(asked.questions) + 1):
        score = _relevance(kb, question, collection, left_out=True)
        outside += [] if score is None else [score]
        progress(number, total, "asking without their documents")
    if min(len(inside), len(outside)) < FEWEST:
        raise UsageError(
            f"{path} is too little to calibrate on: {len(inside)} questions that {collection!r} answers, and "
            f"{len(outside)} that it does not; it takes {FEWEST} of each. Nothing was written"
        )
    before = _figures(kb.settings.refuse_below, inside, outside)
    after = _validated(inside, outside)
    better = after.threshold != before.threshold and after.told_apart > before.told_apart
    scores, kinds = [*inside, *outside], [True] * len(inside) + [False] * len(outside)
    return Calibration(
        answerable=len(inside),
        others=len(outside),
        left_out=len(outside) - len(marked),
        auroc=refusal_figures(scores, [False] * len(scores), kinds).auroc or 0.0,
        before=before,
        after=after,
        written=save_settings(kb.home, refuse_below=after.threshold) if better else None,
    )


def _relevance(kb: KnowledgeBase, question: Question, collection: str, *, left_out: bool) -> float | None:
    """Return a question's relevance; with its answer left out, or None if too few passages then remain to judge."""
    judged = kb.settings.passages
    hits = kb.pipeline.search(question.text, _DEEP if left_out else judged, collection)
    if left_out:
        sources = {name for place in question.places for name in place.sources}
        hits = [
            hit
            for hit in hits
            if not contains(hit.text, question.answers)
            and not any(hit.source == name or hit.source.endswith(f"/{name}") for name in sources)
        ]
        if len(hits) < judged:
            return None
    return kb.pipeline.relevance(question.text, hits[:judged], collection)


def fitted_threshold(inside: Sequence[float], outside: Sequence[float]) -> float:
    """Return the threshold that refuses at most 3 % of the answerable questions and as many others as possible.

    In log-odds, it lies halfway between the two questions that it separates.

    Args:
        inside: relevance of the answerable questions, 0 to 1.
        outside: of the others.
    """
    kept = sorted(inside)[int(REFUSED * len(inside))]
    refused = max((score for score in (*inside, *outside) if score < kept), default=0.0)
    middle = (_log_odds(kept) + _log_odds(refused)) / 2
    threshold = round(1 / (1 + math.exp(-middle)), 4)
    return threshold if refused < threshold <= kept else kept


def _log_odds(share: float) -> float:
    within = min(max(share, 0.001), 0.999)
    return math.log(within / (1 - within))


def _figures(threshold: float, inside: Sequence[float], outside: Sequence[float]) -> Figures:
    refused = (float(np.mean(np.asarray(scores) < threshold)) for scores in (inside, outside))
    return Figures(threshold, *refused)


def _validated(inside: Sequence[float], outside: Sequence[float]) -> Figures:
    """Return the threshold fitted on all questions, with the shares refused in cross-validation."""
    refused = [0, 0]
    for fold in range(_FOLDS):
        learned = [[score for i, score in enumerate(scores) if i % _FOLDS != fold] for scores in (inside, outside)]
        threshold = fitted_threshold(*learned)
        for kind, scores in enumerate((inside, outside)):
            refused[kind] += sum(score < threshold for score in scores[fold::_FOLDS])
    return Figures(fitted_threshold(inside, outside), refused[0] / len(inside), refused[1] / len(outside))


def calibration_json(found: Calibration) -> dict[str, Any]:
    """Return the figures in the form that `kb eval --calibrate --json` prints."""
    return {
        "answerable": found.answerable,
        "unanswerable": found.others,
        "left_out": found.left_out,
        "auroc": round(found.auroc, 4),
        **{
            name: {
                "refuse_below": figures.threshold,
                "answerable_refused": round(figures.answerable_refused, 4),
                "recall": round(figures.others_refused, 4),
            }
            for name, figures in (("before", found.before), ("after", found.after))
        },
        "written": str(found.written) if found.written else None,
    }


def calibration_text(found: Calibration) -> str:
    """Return the figures as text for a terminal."""
    left_out = f", {found.left_out} of them with their answer left out of the search" if found.left_out else ""
    lines = [
        f"{found.answerable} questions that the collection answers, {found.others} that it does not{left_out}; "
        f"AUROC {percent(found.auroc)}",
        "",
    ]
    for name, figures in (("before", found.before), ("after, cross-validated", found.after)):
        lines.append(
            f"{name}: refuse_below {figures.threshold:g} refuses {percent(figures.answerable_refused)} % of the "
            f"answerable and {percent(figures.others_refused)} % of the others"
        )
    if found.written:
        lines += ["", f"written to {found.written}: refuse_below = {found.after.threshold:g}, in force from now on"]
    else:
        lines += ["", "what is set tells them apart as well; nothing was written"]
    return "\n".join(lines)
