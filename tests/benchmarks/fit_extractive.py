"""Fits the coefficients by which the extractive engine ranks sentences, and says how well they do.

A conditional logit: of a question's sentences, those that hold the answer are chosen with a
probability proportional to exp(score) (McFadden, 1974). Usage: fit_extractive.py CACHE-FOLDER
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from fit_data import SETS, Asked, asked, fold_of, plain, set_weights, write_model
from scipy.optimize import minimize

from kb_assistant.answering.extractive.engine import Sentence, best_sentences, features, sentences

RIDGE = 1e-3
FOLDS = 5


@dataclass(frozen=True)
class Case:
    """A question's sentences: features (sentences x names), and which of them hold the answer.

    Attributes:
        gold: which of them do so in the right document.
        holds: which of them do so anywhere.
        joined: which of them do so together with the next one, where that follows at once.
    """

    name: str
    article: str
    features: np.ndarray
    gold: np.ndarray
    holds: np.ndarray
    joined: np.ndarray


def cases(cache: Path) -> tuple[list[Case], list[str], dict[str, list[Asked]]]:
    """Return all sets' questions as features, and the features' names."""
    questions = {name: asked(name, "all", cache) for name in SETS}
    tables = []
    for name, ones in questions.items():
        for one in ones:
            found = sentences(one.read)
            answers = [plain(answer) for answer in one.answers]
            holds = np.array([_holds(s.text, answers) for s in found], dtype=bool)
            joined = np.array([_hold_together(found[at : at + 2], answers) for at in range(len(found))], dtype=bool)
            right = np.array([s.passage.source == one.document for s in found], dtype=bool)
            rows = features(one.question, one.weights, found, one.section)
            tables.append((name, one.article, rows, (holds & right, holds, joined)))
    names = sorted({key for _, _, rows, _ in tables for row in rows for key in row})
    made = [
        Case(name, article, np.array([[row.get(key, 0.0) for key in names] for row in rows]), *held)
        for name, article, rows, held in tables
        if rows
    ]
    return made, names, questions


def _holds(text: str, answers: list[str]) -> bool:
    return any(answer in plain(text) for answer in answers)


def _hold_together(pair: list[Sentence], answers: list[str]) -> bool:
    if len(pair) < 2 or pair[0].passage is not pair[1].passage or pair[1].place != pair[0].place + 1:
        return False
    return _holds(pair[0].text + pair[1].text, answers)


def fit(chosen: list[Case]) -> np.ndarray:
    """Return the coefficients that make the right sentences likeliest; each set weighs by the root of its size."""
    weighing = set_weights([one.name for one in chosen])
    usable = [one for one in chosen if one.gold.any()]
    table = np.concatenate([one.features for one in usable])
    scale = table.std(0) + 1e-9
    table = table / scale
    gold = np.concatenate([one.gold for one in usable])
    sizes = np.array([len(one.gold) for one in usable])
    starts = np.concatenate([[0], np.cumsum(sizes)[:-1]])
    weights = np.array([weighing[one.name] for one in usable])
    weights /= weights.sum()

    def loss(coefficients: np.ndarray) -> tuple[float, np.ndarray]:
        scores = table @ coefficients
        odds = np.exp(scores - np.repeat(np.maximum.reduceat(scores, starts), sizes))
        total, right = np.add.reduceat(odds, starts), np.add.reduceat(odds * gold, starts) + 1e-30
        pull = odds * gold / np.repeat(right, sizes) - odds / np.repeat(total, sizes)
        gradient = table.T @ (pull * np.repeat(weights, sizes))
        value = -(weights * np.log(right / total)).sum() + RIDGE * coefficients @ coefficients
        return value, 2 * RIDGE * coefficients - gradient

    found = minimize(loss, np.zeros(table.shape[1]), jac=True, method="L-BFGS-B", options={"maxiter": 300})
    coefficients: np.ndarray = found.x / scale
    return coefficients


def figures(chosen: list[Case], coefficients: np.ndarray) -> dict[str, list[tuple[bool, bool]]]:
    """Return for each question of each set whether the answer is in the best sentence, and in the best two.

    Two that follow each other hold what begins in one and ends in the other.
    """
    found: dict[str, list[tuple[bool, bool]]] = {}
    for one in chosen:
        order = np.argsort(-(one.features @ coefficients), kind="stable")
        best = sorted(order[:2])
        together = len(best) == 2 and best[1] == best[0] + 1 and one.joined[best[0]]
        held = one.holds[order]
        found.setdefault(one.name, []).append((bool(held[0]), bool(held[:2].any() or together)))
    return found


def given(questions: dict[str, list[Asked]]) -> dict[str, list[tuple[bool, bool, bool]]]:
    """As `figures`, of what the engine gives with the coefficients in the repo: a second sentence only at times."""
    found: dict[str, list[tuple[bool, bool, bool]]] = {}
    for name, ones in questions.items():
        for one in ones:
            answers = [plain(answer) for answer in one.answers]
            chosen = best_sentences(one.question, one.weights, one.read, one.section)
            held = [_holds(s.text, answers) for s in chosen]
            together = _hold_together(sorted(chosen, key=lambda s: s.place), answers)
            found.setdefault(name, []).append((any(held[:1]), any(held) or together, len(chosen) > 1))
    return found


def main() -> None:
    """Fit each language, write its coefficients, and print the figures."""
    everything, names, questions = cases(Path(sys.argv[1]))
    for language in ("en", "zh"):
        chosen = [one for one in everything if SETS[one.name][0] == language]
        coefficients = fit(chosen)
        report = _report(chosen, coefficients)
        write_model(
            f"extractive_{language}",
            "Ranks sentences by how likely they hold the answer; conditional logit, "
            "tests/benchmarks/fit_extractive.py. Shares of questions whose answer is in the sentences:",
            report,
            {name: value for name, value in zip(names, coefficients, strict=True) if round(float(value), 4)},
        )
        for name, row in report.items():
            print(f"{name:<10} {row}")
    for name, ones in given(questions).items():
        first, both, second = np.mean(ones, axis=0)
        print(f"{name:<10} as given: first {first:.3f}, all {both:.3f}, with a second sentence {second:.3f}")


def _report(chosen: list[Case], coefficients: np.ndarray) -> dict[str, dict[str, float]]:
    """Return the figures of each set, with the coefficients and cross-validated by article."""
    fitted = {name: np.mean(ones, axis=0) for name, ones in figures(chosen, coefficients).items()}
    validated: dict[str, list[tuple[bool, bool]]] = {name: [] for name in fitted}
    for fold in range(FOLDS):
        learned = fit([one for one in chosen if fold_of(one.article, FOLDS) != fold])
        for name, ones in figures([one for one in chosen if fold_of(one.article, FOLDS) == fold], learned).items():
            validated[name] += ones
    return {
        name: {
            "questions": len(ones),
            "first": round(float(fitted[name][0]), 3),
            "first two": round(float(fitted[name][1]), 3),
            "first, cross-validated": round(float(np.mean(ones, axis=0)[0]), 3),
            "first two, cross-validated": round(float(np.mean(ones, axis=0)[1]), 3),
        }
        for name, ones in validated.items()
    }


if __name__ == "__main__":
    main()
