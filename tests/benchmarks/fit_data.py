"""Questions with the passages that the store finds for them: what the fitted models are fitted on.

Each paragraph of a SQuAD file becomes a document, ingested as a user's would be, with the
built-in vectors. Built once into a cache folder, since it takes minutes.
"""

from __future__ import annotations

import json
import os
import re
import unicodedata
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from kb_assistant import Assistant
from kb_assistant.answering.context import fit_to_budget
from kb_assistant.answering.extractive.engine import REACH, SECTION_REACH
from vectorstore import Hit, Passage

ROOT = Path(__file__).parents[2]
EVAL = Path(os.environ.get("KB_SHARED", ROOT.parent / "shared")) / "data" / "eval"
SETS = {
    "XQuAD en": ("en", EVAL / "squad_xquad" / "xquad_en_13articles_SHARE.json", 1),
    "XQuAD zh": ("zh", EVAL / "squad_xquad" / "xquad_zh_13articles_SHARE.json", 1),
    "SQuAD": ("en", EVAL / "squad_xquad" / "squad1.1_13articles_SHARE.json", 3),
    "CMRC": ("zh", EVAL / "cmrc2018" / "cmrc2018_trial.json", 1),
    "DRCD": ("zh", EVAL / "drcd" / "DRCD_dev.json", 3),
}
"""Language, file, and every how many of its questions are asked."""
PASSAGES = 5


@dataclass(frozen=True)
class Asked:
    """One question put to a store.

    Attributes:
        article: which article of its file it is about; those of XQuAD in both languages and of SQuAD are the same.
        document: the file that holds the answer.
        indexed: whether that file is in the store.
        weights: the question's terms, each with its inverse document frequency.
        sections: for each of the passages those around it in its section, in order.
    """

    article: str
    question: str
    answers: tuple[str, ...]
    document: str
    indexed: bool
    weights: dict[str, float]
    passages: tuple[Hit, ...]
    sections: tuple[tuple[Passage, ...], ...]

    def section(self, passage_id: int, reach: int) -> Sequence[Passage]:
        """Return the passages around a hit, as `Store.section` does."""
        around = next(near for hit, near in zip(self.passages, self.sections, strict=True) if hit.id == passage_id)
        at = [passage.id for passage in around].index(passage_id)
        return around[max(0, at - reach) : at + reach + 1]

    @property
    def read(self) -> list[Hit]:
        """The passages and their neighbours, as the extractive engine is given them."""
        return fit_to_budget(self.passages, 0, lambda hit: 0, self.section, REACH)


def asked(name: str, part: str, cache: Path) -> list[Asked]:
    """Return a set's questions, put to a store of all its articles, or of every other one.

    Args:
        name: a key of `SETS`.
        part: "all", "even" or "odd": which articles are indexed.
        cache: the folder for what is built.
    """
    path = cache / f"{name.replace(' ', '-')}-{part}.json"
    if not path.exists():
        found = [_written(one) for one in _ask(name, part, cache)]
        path.write_text(json.dumps(found, ensure_ascii=False), encoding="utf-8")
    return [_read(row) for row in json.loads(path.read_text(encoding="utf-8"))]


def _written(one: Asked) -> dict[str, Any]:
    def plain(passages: Sequence[Passage]) -> list[dict[str, Any]]:
        return [{**asdict(passage), "text_hash": passage.text_hash.hex()} for passage in passages]

    return {**vars(one), "passages": plain(one.passages), "sections": [plain(section) for section in one.sections]}


def _read(row: dict[str, Any]) -> Asked:
    def fields(one: dict[str, Any]) -> dict[str, Any]:
        lines = tuple((offset, line) for offset, line in one["lines"])
        return {**one, "heading": tuple(one["heading"]), "lines": lines, "text_hash": bytes.fromhex(one["text_hash"])}

    hits = tuple(Hit(**fields(one)) for one in row["passages"])
    sections = tuple(tuple(Passage(**fields(one)) for one in section) for section in row["sections"])
    return Asked(**{**row, "answers": tuple(row["answers"]), "passages": hits, "sections": sections})


def _ask(name: str, part: str, cache: Path) -> Iterator[Asked]:
    _, path, every = SETS[name]
    articles = json.loads(path.read_text(encoding="utf-8"))["data"]
    indexed: dict[str, Callable[[int], bool]] = {
        "all": lambda number: True,
        "even": lambda number: number % 2 == 0,
        "odd": lambda number: number % 2 == 1,
    }
    folder = cache / f"{name.replace(' ', '-')}-{part}"
    (folder / "docs").mkdir(parents=True, exist_ok=True)
    questions = []
    for number, article in enumerate(articles):
        for place, paragraph in enumerate(article["paragraphs"]):
            document = f"{number:04d}-{place:03d}.txt"
            if indexed[part](number):
                (folder / "docs" / document).write_text(paragraph["context"], encoding="utf-8")
            questions += [(number, document, one) for one in paragraph["qas"] if one["question"].strip()]
    with Assistant.open(folder / "home", passages=PASSAGES) as kb:
        kb.ingest(folder / "docs")
        for number, document, one in questions[::every]:
            question = one["question"].strip()
            passages = tuple(kb.search(question, limit=PASSAGES))
            yield Asked(
                article=articles[number]["title"] if "QuAD" in name else f"{name} {number}",
                question=question,
                answers=tuple(dict.fromkeys(answer["text"] for answer in one["answers"])),
                document=document,
                indexed=indexed[part](number),
                weights=kb.knowledge_base.store.term_weights("default", question),
                passages=passages,
                sections=tuple(
                    tuple(kb.knowledge_base.store.section("default", hit.id, SECTION_REACH)) for hit in passages
                ),
            )


def plain(text: str) -> str:
    """Return `text` as answers are compared: normalised, without white space."""
    return re.sub(r"\s+", "", unicodedata.normalize("NFKC", text).casefold())


def fold_of(article: str, folds: int) -> int:
    """Return the fold that an article is held out in."""
    return zlib.crc32(article.encode()) % folds


def set_weights(names: Sequence[str]) -> dict[str, float]:
    """Return how much a question of each set counts: the set as a whole by the root of its size."""
    return {name: count**-0.5 for name, count in Counter(names).items()}


def write_model(
    name: str, what: str, figures: dict[str, Any], coefficients: dict[str, float], intercept: float = 0.0
) -> None:
    """Write coefficients where kb_assistant reads them."""
    found = {
        "what": what,
        "fitted_on": figures,
        "intercept": round(intercept, 4),
        "coefficients": {key: round(float(value), 4) for key, value in sorted(coefficients.items())},
    }
    path = ROOT / "kb_assistant" / "answering" / "coefficients" / f"{name}.json"
    path.write_text(json.dumps(found, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")
