"""Passages by the million, recombined from real sentences, and questions whose own passages are among them.

Every other article of the question sets is kept whole: its paragraphs are what its questions are
about. The sentences of the others, and those of the documentation in shared/data/corpora, are drawn
at random into passages, so that words are as frequent beside each other as in real text.
"""

from __future__ import annotations

import json
import os
import random
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
DATA = Path(os.environ.get("KB_SHARED", ROOT.parent / "shared")) / "data"
SETS = {
    "XQuAD en": "squad_xquad/xquad_en_13articles_SHARE.json",
    "XQuAD zh": "squad_xquad/xquad_zh_13articles_SHARE.json",
    "SQuAD": "squad_xquad/squad1.1_13articles_SHARE.json",
    "CMRC": "cmrc2018/cmrc2018_trial.json",
    "DRCD": "drcd/DRCD_dev.json",
}
_SENTENCE = re.compile(r"[^。！？\n]*[。！？]|[^.!?\n]+[.!?](?=\s)|[^\n]+")
_HAN = re.compile(r"[\u4e00-\u9fff]")
_LONGEST = {"zh": 350, "en": 1000}
"""Characters of a passage: about 256 tokens, as `kb ingest` cuts them."""


@dataclass(frozen=True)
class Asked:
    """A question, its set, and the paragraph that answers it."""

    text: str
    name: str
    gold: str


def questions(each: int) -> list[Asked]:
    """Return up to `each` questions of each set but SQuAD, drawn with a fixed seed."""
    drawn: list[Asked] = []
    for name in SETS:
        if name == "SQuAD":  # its articles are those of XQuAD en
            continue
        found = [
            Asked(one["question"].strip(), name, paragraph["context"])
            for article in _articles(name)[::2]
            for paragraph in article["paragraphs"]
            for one in paragraph["qas"]
            if one["question"].strip()
        ]
        drawn += random.Random(1).sample(found, min(each, len(found)))
    return drawn


def paragraphs() -> list[str]:
    """Return the paragraphs that are kept whole."""
    kept = [p["context"] for name in SETS if name != "SQuAD" for a in _articles(name)[::2] for p in a["paragraphs"]]
    return list(dict.fromkeys(kept))


def passages(count: int) -> Iterator[list[str]]:
    """Yield `count` passages as lists of random sentences, half of them from encyclopedias; the language alternates."""
    draw = random.Random(2)
    pools = _sentences()
    for number in range(count):
        language = ("zh", "en")[number % 2]
        kinds = (pools[language, "articles"], pools[language, "manuals"])
        parts: list[str] = []
        while sum(map(len, parts)) < _LONGEST[language]:
            parts.append(draw.choice(kinds[draw.random() < 0.5]))
        yield parts


def _articles(name: str) -> list[dict[str, Any]]:
    found = json.loads((DATA / "eval" / SETS[name]).read_text(encoding="utf-8"))["data"]
    return sorted(found, key=lambda article: str(article.get("title", "")))


def _sentences() -> dict[tuple[str, str], list[str]]:
    pools: dict[tuple[str, str], list[str]] = {(one, kind): [] for one in _LONGEST for kind in ("articles", "manuals")}
    for kind, text in _texts():
        for sentence in map(str.strip, _SENTENCE.findall(text)):
            if 10 <= len(sentence) <= 300:
                pools["zh" if _HAN.search(sentence) else "en", kind].append(sentence)
    return pools


def _texts() -> Iterator[tuple[str, str]]:
    for name in SETS:
        for article in _articles(name)[1::2]:
            yield from (("articles", paragraph["context"]) for paragraph in article["paragraphs"])
    for path in sorted((DATA / "eval" / "rgb").glob("*.json")):
        for line in path.read_text(encoding="utf-8").splitlines():
            yield from (("articles", passage) for passage in json.loads(line)["negative"])
    for path in sorted((DATA / "corpora").rglob("*.md")):
        yield "manuals", path.read_text(encoding="utf-8")
