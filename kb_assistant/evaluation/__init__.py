"""Measures retrieval, answers and refusals on question sets whose answers are known."""

from kb_assistant.evaluation.evaluator import (
    ANSWER_METRICS,
    RANK_METRICS,
    Comparison,
    Evaluation,
    Latency,
    evaluate,
    measure,
    rank_scores,
)
from kb_assistant.evaluation.questions import EvalDocument, Place, Question, QuestionSet, read_questions
from kb_assistant.evaluation.statistics import Difference, RefusalFigures

__all__ = [
    "ANSWER_METRICS",
    "RANK_METRICS",
    "Comparison",
    "Difference",
    "EvalDocument",
    "Evaluation",
    "Latency",
    "Place",
    "Question",
    "QuestionSet",
    "RefusalFigures",
    "evaluate",
    "measure",
    "rank_scores",
    "read_questions",
]
