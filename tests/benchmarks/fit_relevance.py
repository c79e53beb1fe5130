"""Fits the coefficients of the judgement whether passages are about a question, and says how well it does.

Of each set every other article is indexed, once the even and once the odd ones, and all
questions are asked. Usage: fit_relevance.py CACHE-FOLDER
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
from fit_data import SETS, asked, fold_of, set_weights, write_model
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from kb_assistant.answering.relevance.judge import relevance_features

FOLDS = 5
REFUSED = 0.03
"""Share of the answerable questions that may be refused."""


def fit(table: np.ndarray, held: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, float]:
    """Return coefficients and intercept of the logistic regression, on the features as they are."""
    mean, scale = table.mean(0), table.std(0) + 1e-9
    model = LogisticRegression(max_iter=2000).fit((table - mean) / scale, held, sample_weight=weights)
    coefficients: np.ndarray = model.coef_[0] / scale
    return coefficients, float(model.intercept_[0] - coefficients @ mean)


def figures(scores: np.ndarray, held: np.ndarray) -> dict[str, float]:
    """Return the AUROC, and which share of the others falls below where 3 % of the answerable ones do."""
    threshold = np.quantile(scores[held], REFUSED)
    return {
        "auroc": round(float(roc_auc_score(held, scores)), 4),
        "caught at 3 %": round(float((scores[~held] < threshold).mean()), 3),
        "threshold": round(float(1 / (1 + np.exp(-threshold))), 3),
    }


def main() -> None:
    """Fit, write the coefficients, and print the figures."""
    cache = Path(sys.argv[1])
    rows = [
        (name, SETS[name][0], one.article, one.indexed, relevance_features(one.question, one.weights, one.passages))
        for name in SETS
        for part in ("even", "odd")
        for one in asked(name, part, cache)
        if one.weights and one.passages
    ]
    names = list(rows[0][4])
    table = np.array([[features[key] for key in names] for *_, features in rows])
    sets, languages = np.array([row[0] for row in rows]), np.array([row[1] for row in rows])
    held = np.array([row[3] for row in rows])
    folds = np.array([fold_of(row[2], FOLDS) for row in rows])
    by_set = set_weights(sets.tolist())
    weights = np.array([by_set[name] for name in sets])
    coefficients, intercept = fit(table, held, weights)
    fitted = table @ coefficients + intercept
    validated = np.zeros(len(rows))
    for fold in range(FOLDS):
        learned, constant = fit(table[folds != fold], held[folds != fold], weights[folds != fold])
        validated[folds == fold] = table[folds == fold] @ learned + constant
    groups = {**{name: sets == name for name in SETS}, **{one: languages == one for one in ("en", "zh")}}
    groups["all"] = np.ones(len(rows), dtype=bool)
    report: dict[str, dict[str, Any]] = {
        name: {
            "questions": int(group.sum()),
            "fitted": figures(fitted[group], held[group]),
            "cross-validated": figures(validated[group], held[group]),
        }
        for name, group in groups.items()
    }
    write_model(
        "relevance",
        "How likely a collection answers a question, by its nearest passages; logistic regression, "
        "tests/benchmarks/fit_relevance.py. Half of the articles indexed:",
        report,
        dict(zip(names, coefficients, strict=True)),
        intercept,
    )
    for name, row in report.items():
        print(f"{name:<10} {row}")


if __name__ == "__main__":
    main()
