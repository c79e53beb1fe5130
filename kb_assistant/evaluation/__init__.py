"""Measures retrieval, answers and refusals on question sets whose answers are known."""

from kb_assistant.evaluation.calibration import Calibration, calibrate
from kb_assistant.evaluation.evaluator import (
    ANSWER_METRICS,
    RANK_METRICS,
    Comparison,
    Evaluation,
    EvaluationOptions,
    Latency,
    evaluate,
    measure,
    rank_scores,
)
from kb_assistant.evaluation.questions import EvalDocument, Place, Question, QuestionSet, read_questions
from kb_assistant.evaluation.runner import QuestionOptions
from kb_assistant.evaluation.statistics import Difference, RefusalFigures

__all__ = [
    "ANSWER_METRICS",
    "RANK_METRICS",
    "Calibration",
    "Comparison",
    "Difference",
    "EvalDocument",
    "Evaluation",
    "EvaluationOptions",
    "Latency",
    "Place",
    "Question",
    "QuestionOptions",
    "QuestionSet",
    "RefusalFigures",
    "calibrate",
    "evaluate",
    "measure",
    "rank_scores",
    "read_questions",
]
