"""Whether passages are about a question at all, as one calibrated number.

A logistic model over shares of the question's information that the passages hold. The
shares mean the same in Chinese and English, and need no model. Coefficients are fitted by
tests/benchmarks/fit_relevance.py on questions of which half have their article indexed.

Where question and passages are in different languages they share no terms, and the
judgement is that the passages are about something else.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from langchain_core.documents import Document

from kb_assistant.coefficients import load_coefficients
from kb_assistant.overlap import common, runs, share, words
from vectorstore import terms

__all__ = ["relevance", "relevance_features"]

PASSAGES = 5
"""How many of the passages are judged: as many as the coefficients were fitted with."""
_NAME = re.compile(
    r"(?<!^)(?<![.?!] )\b[A-Z][\w'’-]*|\w*\d[\w.,]*|(?<=[\u3400-\u9fff])[A-Za-z]{2,}"
    r"|[“\"《「『][^”\"》」』]{2,40}[”\"》」』]"
)
_PHRASE = re.compile(r"(?<!^)(?<![.?!] )\b[A-Z][\w'’-]*(?:(?: (?:of|the|and|de|for|&))? [A-Z0-9][\w'’-]*)+")
"""A name of several words: "Doctor Who" is not a doctor and a question word."""
_FUNCTION = frozenset("个個什么麼甚谁誰哪於于与與为為这這几幾是的了在和及或由被把对對以之其而则則並并且所即后後")
"""Han characters of function words; a pair with one of them is rarely a word."""


@dataclass(frozen=True, slots=True)
class _Passage:
    found: frozenset[str]
    words: tuple[str, ...]
    counts: Mapping[str, int]
    coverage: float
    phrases: float


def relevance(question: str, weights: Mapping[str, float], passages: Sequence[Document]) -> float:
    """Return how likely it is, 0 to 1, that the passages' collection holds the question's answer.

    Args:
        question: as it was searched for.
        weights: its terms, each with its inverse document frequency.
        passages: the nearest ones, the best first, with the metadata of `vectorstore.as_document`.
    """
    nearest = passages[:PASSAGES]
    if not nearest:
        return 0.0
    return _logistic(load_coefficients("relevance")(relevance_features(question, weights, nearest)))


def relevance_features(question: str, weights: Mapping[str, float], passages: Sequence[Document]) -> dict[str, float]:
    """Return what the judgement goes by; nothing where the question has no terms."""
    wanted = {term: weight for term, weight in weights.items() if not _FUNCTION.intersection(term)} or dict(weights)
    total, most = sum(wanted.values()), max(wanted.values(), default=0.0)
    if not passages or most <= 0:
        return {}
    phrases = [_spoken(match[0]) for match in _PHRASE.finditer(" ".join(question.split()))]
    seen = [_seen(wanted, phrases, passage) for passage in passages]
    best = max(seen, key=lambda one: one.coverage)
    together = frozenset[str]().union(*(one.found for one in seen))
    named = {term for match in _NAME.finditer(question) for term in terms(match[0]) if term in wanted}
    names = {term: wanted[term] for term in named}
    missing = [weight for term, weight in wanted.items() if term not in best.found]
    others = [one.coverage for one in seen if one is not best]
    asked = [word for word in words(terms(question)) if word in wanted]
    said = [word for word in best.words if word in wanted]
    close = max(_densest(wanted, one.words, 2 * len(wanted) + 4) for one in seen) / total
    long = math.log(1 + len(wanted))
    return {
        "best": best.coverage,
        "best_squared": best.coverage**2,
        "first": seen[0].coverage,
        "together": share(wanted, together),
        "margin": best.coverage - (sum(others) / len(others) if others else 0.0),
        "close": close,
        "close_long": close * long,  # a few terms stand together anywhere, many only where they are spoken of
        "close_wide": max(_densest(wanted, one.words, 6 * len(wanted) + 20) for one in seen) / total,
        "frequency": sum(weight * best.counts[term] / (best.counts[term] + 1.5) for term, weight in wanted.items())
        / total,
        "pairs": common(runs(asked, 2), runs(said, 2)),
        "mass": math.log(1 + best.coverage * total / most),
        "missing_mass": math.log(1 + sum(missing) / most),
        "heaviest_missing": max(missing, default=0.0) / most,
        "terms": long,
        "has_names": float(bool(names)),
        "names": share(names, best.found) if names else 0.5,
        "names_missing": 1 - share(names, together) if names else 0.0,
        "has_phrases": float(bool(phrases)),
        "phrases": best.phrases if phrases else 0.5,
        "phrases_missing": 1 - max(one.phrases for one in seen) if phrases else 0.0,
    }


def _seen(wanted: Mapping[str, float], phrases: Sequence[str], passage: Document) -> _Passage:
    known = passage.metadata
    text = f"{known['source']} {known['title']} {known['heading']} {passage.page_content}"
    tokens = list(terms(text))
    found, said = frozenset(tokens), _spoken(text)
    spoken = sum(phrase in said for phrase in phrases) / max(1, len(phrases))
    return _Passage(found, tuple(words(tokens)), Counter(tokens), share(wanted, found), spoken)


def _spoken(text: str) -> str:
    """Return `text` as names are compared: in small letters, its words parted by single blanks or hyphens."""
    return " ".join(re.sub(r"[-_]", " ", text).split()).casefold()


def _densest(wanted: Mapping[str, float], said: Sequence[str], width: int) -> float:
    """The most weight of distinct terms within `width` words."""
    hits = [(place, word) for place, word in enumerate(said) if word in wanted]
    inside: Counter[str] = Counter()
    first, held, most = 0, 0.0, 0.0
    for place, word in hits:
        held += wanted[word] if not inside[word] else 0.0
        inside[word] += 1
        while hits[first][0] < place - width:
            gone = hits[first][1]
            inside[gone] -= 1
            held -= wanted[gone] if not inside[gone] else 0.0
            first += 1
        most = max(most, held)
    return most


def _logistic(value: float) -> float:
    return 1 / (1 + math.exp(-max(-50.0, min(50.0, value))))
