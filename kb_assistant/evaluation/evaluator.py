"""How good retrieval, answers and refusals are on a question set: the figures of `kb eval`."""

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
    """Milliseconds: half of the questions take less than `p50`, 95 % less than `p95`."""

    p50: float
    p95: float
    search_p50: float
    search_p95: float


@dataclass(frozen=True, slots=True)
class Evaluation:
    """The figures of one setting on one question set.

    Attributes:
        n: how many questions were asked.
        answerable: how many of them the documents answer; ranks and answers are over these.
        articles: how many articles they are about; 0 where that is not known.
        documents: how many documents were searched; 0 for a collection that was there.
        means: each metric's mean over the answerable questions; empty where there are none.
        intervals: its 95 % confidence interval.
        refusal: how well refusal works.
        out_of_corpus: whether `refusal` is of a second run, with every other article indexed.
        scores: each metric's value for each answerable question.
        alone: the same, rank metrics only, of other ways to find passages.
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
    """One setting's figures, and where asked for another's on the same questions.

    Attributes:
        changes: the settings that differ in `other`.
        differences: of each metric, `other` less `base`.
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
    """Measure a knowledge base on the questions in a file, and with `compare` a second one beside it.

    Documents that the file brings go into a home that is thrown away.

    Args:
        kb: whose settings, and for questions without documents whose store, are measured.
        path: the file; see `questions`.
        collection: what the questions are about, where the file brings no documents.
        limit: most questions asked, drawn with a fixed seed; None for all.
        compare: settings of the second one, by name.
        progress: called for each question.

    Raises:
        UsageError: the file or a setting cannot be used.
    """
    asked = read_questions(path).sampled(limit)
    changes = dict(compare or {})
    changed_settings(kb, changes)  # what is wrong with them is told before anything is measured
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
    """Return the figures of a knowledge base with these changes on a question set.

    Args:
        kb: as for `evaluate`.
        asked: the questions, and their documents.
        collection: what questions without documents are about.
        changes: settings that differ from its own.
        progress: called for each question.
        methods: of `running.METHODS`, those whose rank metrics are wanted beside, in `alone`.
    """
    with _ready(kb, asked, changes) as ready:
        if asked.documents:
            index_documents(ready, asked.documents, collection)
        _ = ready.active_engine.engine  # loaded before the first question is timed
        results = ask_all(ready, asked.questions, collection, progress, "asking")
        alone = {method: _alone(method, ready, asked.questions, collection) for method in methods}
        refusals, held = results, [one.question.answerable for one in results]
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
    """Give what is asked: over the set's own documents, or over the store as it is."""
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
    answerable = [one for one in results if one.question.answerable]
    scores = {**rank_scores([(one.question, one.ranks) for one in answerable]), **_answer_scores(answerable)}
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
        refusal=refusal_figures([one.relevance for one in refusals], [one.answer.refused for one in refusals], held),
        out_of_corpus=out_of_corpus,
        latency_ms=Latency(
            *milliseconds(one.answer_ms for one in results), *milliseconds(one.search_ms for one in results)
        ),
        scores=scores,
        alone=alone,
    )


def _alone(
    method: str, kb: KnowledgeBase, questions: Sequence[Question], collection: str
) -> dict[str, tuple[float, ...]]:
    answerable = [question for question in questions if question.answerable]
    found = [(one, ranks_of(rank_by(method, kb, one.text, collection), one)) for one in answerable]
    return rank_scores(found)


def rank_scores(found: Sequence[tuple[Question, Sequence[int]]]) -> dict[str, tuple[float, ...]]:
    """Return each of `RANK_METRICS` for each (question, ranks of its places that were found)."""
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
    given = [(one.said, one.question) for one in results]
    columns = (
        tuple(contains(said, question.answers) for said, question in given),
        tuple(exact_match(said, question.answers, question.text) for said, question in given),
        tuple(f1(said, question.answers, question.text) for said, question in given),
        tuple(contains(one.first_quote, one.question.answers) for one in results),
    )
    return dict(zip(ANSWER_METRICS, columns, strict=True))
