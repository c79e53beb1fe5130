"""Measures retrieval, answers and refusals on a question set: the figures of `kb eval`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from kb_assistant.answering.knowledge_base import KnowledgeBase
from kb_assistant.evaluation.corpus import changed_settings, index_documents, throw_away
from kb_assistant.evaluation.metrics import contains, exact_match, f1, ndcg, recall, reciprocal_rank
from kb_assistant.evaluation.questions import Question, QuestionSet, read_questions
from kb_assistant.evaluation.runner import (
    Asked,
    Progress,
    QuestionOptions,
    ask_all,
    ignore,
    milliseconds,
    rank_by,
    ranks_of,
)
from kb_assistant.evaluation.statistics import (
    Difference,
    Interval,
    RefusalFigures,
    intervals,
    paired_difference,
    refusal_figures,
)

__all__ = [
    "ANSWER_METRICS",
    "RANK_METRICS",
    "Comparison",
    "Evaluation",
    "EvaluationOptions",
    "Latency",
    "evaluate",
    "measure",
    "rank_scores",
]

RANK_METRICS = ("recall@1", "recall@5", "recall@10", "mrr@10", "ndcg@10")
ANSWER_METRICS = ("contains", "em", "f1", "first_quote_contains")


@dataclass(frozen=True, slots=True)
class Latency:
    """Milliseconds per question: medians and 95th percentiles, of whole answers and of searches alone."""

    p50: float
    p95: float
    search_p50: float
    search_p95: float


@dataclass(frozen=True, slots=True)
class Evaluation:
    """The figures of a setting on a question set.

    Attributes:
        n: how many questions were asked.
        answerable: how many of them the documents answer; ranks and answers count only these.
        articles: how many articles they are about; 0 if unknown.
        documents: how many documents were searched; 0 for an existing collection.
        means: each metric's mean over the answerable questions; empty where there are none.
        intervals: its 95 % confidence interval.
        refusal: how well refusal separates questions.
        out_of_corpus: whether `refusal` comes from a second run, with every other article indexed.
        scores: each metric's value for each answerable question.
        alone: the rank metrics of single retrieval methods, by method.
    """

    n: int
    answerable: int
    articles: int
    documents: int
    engine: str
    embedding: str
    means: Mapping[str, float]
    intervals: Mapping[str, Interval | None]
    refusal: RefusalFigures
    out_of_corpus: bool
    latency_ms: Latency
    scores: Mapping[str, tuple[float, ...]]
    alone: Mapping[str, Mapping[str, tuple[float, ...]]]


@dataclass(frozen=True, slots=True)
class Comparison:
    """The figures of a setting, and if wanted those of another setting on the same questions.

    Attributes:
        changes: the settings that differ in `other`.
        differences: `other` minus `base`, for each metric.
    """

    base: Evaluation
    changes: Mapping[str, str]
    other: Evaluation | None
    differences: Mapping[str, Difference]


class EvaluationOptions(QuestionOptions, total=False):
    """Options of `Assistant.evaluate`.

    Attributes:
        compare: settings of a second run on the same questions, by name.
    """

    compare: Mapping[str, str]


def evaluate(
    kb: KnowledgeBase,
    path: Path,
    *,
    collection: str,
    limit: int | None = None,
    compare: Mapping[str, str] | None = None,
    progress: Progress = ignore,
) -> Comparison:
    """Measure a knowledge base on the questions in a file, and with `compare` again with other settings.

    Documents that the file brings go into a temporary home.

    Args:
        kb: gives the settings, and the store for questions without documents.
        path: the file; see `questions`.
        collection: the collection that the questions are about, if the file brings no documents.
        limit: the most questions to ask, drawn with a fixed seed; None for all.
        compare: settings of the second run, by name.
        progress: called for each question.

    Raises:
        UsageError: the file or a setting cannot be used.
    """
    asked = read_questions(path).sampled(limit)
    changes = dict(compare or {})
    changed_settings(kb, changes)  # wrong settings are reported before anything is measured
    base = measure(kb, asked, collection, {}, progress)
    if not changes:
        return Comparison(base, {}, None, {})
    other = measure(kb, asked, collection, changes, progress)
    differences = {name: paired_difference(other.scores[name], base.scores[name]) for name in base.scores}
    return Comparison(base, changes, other, differences)


def measure(
    kb: KnowledgeBase,
    asked: QuestionSet,
    collection: str,
    changes: Mapping[str, Any],
    progress: Progress,
    methods: Sequence[str] = (),
) -> Evaluation:
    """Return the figures on a question set of a knowledge base with these changes.

    Args:
        kb: as for `evaluate`.
        asked: the questions, and their documents.
        collection: the collection that questions without documents are about.
        changes: settings that differ from its own.
        progress: called for each question.
        methods: the methods of `runner.METHODS` to measure alone as well.
    """
    with _ready(kb, asked, changes) as ready:
        if asked.documents:
            index_documents(ready, asked.documents, collection)
        _ = ready.active_engine.engine  # loaded before the first question is timed
        results = ask_all(ready, asked.questions, collection, progress, "asking")
        alone = {method: _alone(method, ready, asked.questions, collection) for method in methods}
        refusals, held = results, [result.question.answerable for result in results]
        outside = bool(asked.documents) and all(held) and len(asked.groups) > 1
        if outside:
            kept = asked.every_other_group()
            half = f"{collection}, every other article"
            index_documents(ready, kept, half)
            inside = {document.name for document in kept}
            refusals = ask_all(ready, asked.questions, half, progress, "asking with every other article")
            held = [_held(question, inside) for question in asked.questions]
        return _evaluation(ready, asked, results, refusals, held, alone, out_of_corpus=outside)


@contextmanager
def _ready(kb: KnowledgeBase, asked: QuestionSet, changes: Mapping[str, str]) -> Iterator[KnowledgeBase]:
    """Give the knowledge base to ask: over the set's own documents, or over the store as it is."""
    if asked.documents:
        with throw_away(kb, changes) as made:
            yield made
    elif changes:
        with closing(KnowledgeBase.open(kb.home, **changed_settings(kb, changes))) as other:
            yield other
    else:
        yield kb


def _held(question: Question, inside: set[str]) -> bool:
    return all(place.sources & inside for place in question.places)


def _evaluation(
    kb: KnowledgeBase,
    asked: QuestionSet,
    results: Sequence[Asked],
    refusals: Sequence[Asked],
    held: Sequence[bool],
    alone: Mapping[str, Mapping[str, tuple[float, ...]]],
    *,
    out_of_corpus: bool,
) -> Evaluation:
    answerable = [result for result in results if result.question.answerable]
    scores = {**rank_scores([(result.question, result.ranks) for result in answerable]), **_answer_scores(answerable)}
    values = np.array([scores[name] for name in scores])
    return Evaluation(
        n=len(results),
        answerable=len(answerable),
        articles=len({question.group for question in asked.questions if question.group}),
        documents=len(asked.documents),
        engine=kb.active_engine.name,
        embedding=kb.store.embedder.model_id,
        means=dict(zip(scores, values.mean(axis=1).tolist(), strict=True)) if answerable else {},
        intervals=dict(zip(scores, intervals(values), strict=True)) if answerable else {},
        refusal=refusal_figures(
            [result.relevance for result in refusals], [result.answer.refused for result in refusals], held
        ),
        out_of_corpus=out_of_corpus,
        latency_ms=Latency(
            *milliseconds(result.answer_ms for result in results),
            *milliseconds(result.search_ms for result in results),
        ),
        scores=scores,
        alone=alone,
    )


def _alone(
    method: str, kb: KnowledgeBase, questions: Sequence[Question], collection: str
) -> dict[str, tuple[float, ...]]:
    answerable = [question for question in questions if question.answerable]
    found = [(asked, ranks_of(rank_by(method, kb, asked.text, collection), asked)) for asked in answerable]
    return rank_scores(found)


def rank_scores(found: Sequence[tuple[Question, Sequence[int]]]) -> dict[str, tuple[float, ...]]:
    """Return each of `RANK_METRICS`, for questions with the ranks of their places that were found."""
    pairs = [(ranks, len(question.places)) for question, ranks in found]
    columns = (
        tuple(recall(ranks, wanted, 1) for ranks, wanted in pairs),
        tuple(recall(ranks, wanted, 5) for ranks, wanted in pairs),
        tuple(recall(ranks, wanted, 10) for ranks, wanted in pairs),
        tuple(reciprocal_rank(ranks) for ranks, _ in pairs),
        tuple(ndcg(ranks, wanted) for ranks, wanted in pairs),
    )
    return dict(zip(RANK_METRICS, columns, strict=True))


def _answer_scores(results: Sequence[Asked]) -> dict[str, tuple[float, ...]]:
    given = [(result.said, result.question) for result in results]
    columns = (
        tuple(contains(said, question.answers) for said, question in given),
        tuple(exact_match(said, question.answers, question.text) for said, question in given),
        tuple(f1(said, question.answers, question.text) for said, question in given),
        tuple(contains(result.first_quote, result.question.answers) for result in results),
    )
    return dict(zip(ANSWER_METRICS, columns, strict=True))
