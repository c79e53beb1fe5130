"""An evaluation as a table for a terminal, and as dictionaries for JSON."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from kb_assistant.evaluation.evaluator import ANSWER_METRICS, RANK_METRICS, Comparison, Evaluation
from kb_assistant.evaluation.statistics import Interval

__all__ = ["comparison_json", "comparison_text", "evaluation_json", "percent"]

_NAMES = {
    "contains": "contains the gold answer",
    "em": "exact match",
    "f1": "F1",
    "first_quote_contains": "first quote contains it",
}


def comparison_json(comparison: Comparison) -> dict[str, Any]:
    """Return what `kb eval --json` prints: the figures, and under `compare` the other setting's."""
    values = evaluation_json(comparison.base)
    if comparison.other is not None:
        differences = {
            name: {"difference": round(found.value, 4), "ci95": _rounded(found.interval), "p": round(found.p, 4)}
            for name, found in comparison.differences.items()
        }
        values["compare"] = {
            "settings": dict(comparison.changes),
            **evaluation_json(comparison.other),
            "differences": differences,
        }
    return values


def evaluation_json(evaluation: Evaluation) -> dict[str, Any]:
    """Return the figures of a setting; a figure is null where no question counts for it."""
    means, refusal, latency = evaluation.means, evaluation.refusal, evaluation.latency_ms
    return {
        "n": evaluation.n,
        **{name: _rounded(means.get(name)) for name in RANK_METRICS},
        "answer": {name: _rounded(means.get(name)) for name in ANSWER_METRICS},
        "refusal": {
            "auroc": _rounded(refusal.auroc),
            "precision": _rounded(refusal.precision),
            "recall": _rounded(refusal.recall),
            "answerable_refused": _rounded(refusal.answerable_refused),
            "caught_at_3_percent": _rounded(refusal.caught_at_3),
            "answerable": refusal.answerable,
            "unanswerable": refusal.unanswerable,
            "out_of_corpus": evaluation.out_of_corpus,
        },
        "latency_ms": {name: round(getattr(latency, name), 2) for name in latency.__dataclass_fields__},
        "answerable": evaluation.answerable,
        "articles": evaluation.articles,
        "documents": evaluation.documents,
        "engine": evaluation.engine,
        "embedding": evaluation.embedding,
        "ci95": {
            **{name: _rounded(interval) for name, interval in evaluation.intervals.items()},
            "auroc": _rounded(refusal.auroc_interval),
        },
    }


def comparison_text(comparison: Comparison) -> str:
    """Return the figures as a table, a line for each metric, with those of a second setting and the paired test."""
    base, other = comparison.base, comparison.other
    header = ["", "as set"]
    if other is not None:
        changed = " ".join(f"{name}={value}" for name, value in comparison.changes.items())
        header += [changed, "difference", "p"]
    rows = [header]
    for name in base.means:
        row = [_NAMES.get(name, name), _figure(base.means[name], base.intervals[name])]
        if other is not None:
            found = comparison.differences[name]
            row += [_figure(other.means[name], other.intervals[name]), _signed(found.value, found.interval)]
            row.append(f"{found.p:.3f}")
        rows.append(row)
    shown = [base] if other is None else [base, other]
    rows += [[name, *cells] for name, cells in _other_rows(shown).items()]
    return "\n".join([*_about(base), *_aligned(rows)])


def percent(value: float | None, digits: int = 1) -> str:
    """Return a share in percent, or a dash for None."""
    return "–" if value is None else f"{100 * value:.{digits}f}"


def _about(base: Evaluation) -> list[str]:
    searched = f"{base.documents} documents" if base.documents else "the collection"
    articles = f" of {base.articles} articles" if base.articles else ""
    return [
        f"{base.n} questions{articles}, {base.answerable} of them answered by {searched}; "
        f"engine {base.engine}, embeddings {base.embedding}",
        "in percent, with 95 % confidence intervals",
        "",
    ]


def _other_rows(shown: Sequence[Evaluation]) -> Mapping[str, list[str]]:
    refusals = [evaluation.refusal for evaluation in shown]
    kind = " (half of the articles)" if shown[0].out_of_corpus else ""
    latencies = [evaluation.latency_ms for evaluation in shown]
    return {
        f"refusal AUROC{kind}": [_figure(refusal.auroc, refusal.auroc_interval) for refusal in refusals],
        "refusal precision": [percent(refusal.precision) for refusal in refusals],
        "refusal recall": [percent(refusal.recall) for refusal in refusals],
        "answerable questions refused": [percent(refusal.answerable_refused) for refusal in refusals],
        "recall at 3 % of them refused": [percent(refusal.caught_at_3) for refusal in refusals],
        "search, ms, p50 / p95": [f"{latency.search_p50:.1f} / {latency.search_p95:.1f}" for latency in latencies],
        "answer, ms, p50 / p95": [f"{latency.p50:.1f} / {latency.p95:.1f}" for latency in latencies],
    }


def _figure(value: float | None, interval: Interval | None) -> str:
    within = f" ({percent(interval[0])}–{percent(interval[1])})" if interval else ""
    return f"{percent(value)}{within}"


def _signed(value: float, interval: Interval | None) -> str:
    within = f" ({100 * interval[0]:+.1f} to {100 * interval[1]:+.1f})" if interval else ""
    return f"{100 * value:+.1f}{within}"


def _aligned(rows: Iterable[Sequence[str]]) -> list[str]:
    table = list(rows)
    widths = [max(len(row[i]) for row in table if i < len(row)) for i in range(len(table[0]))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=False)).rstrip() for row in table]


def _rounded(value: Any) -> Any:
    if value is None:
        return None
    return [round(bound, 4) for bound in value] if isinstance(value, tuple) else round(value, 4)
