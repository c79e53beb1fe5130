"""Whether passages are about a question at all, as one calibrated number.

A logistic model over how much of the question the passages hold, its terms weighed by how rare
they are in the collection and in their language at large. That means the same in Chinese and
English, and needs no model. Coefficients are fitted by tests/benchmarks/fit_relevance.py on
questions of which half have their article indexed.

Where question and passages are in different languages they share no terms; then `across` judges,
and without a model of both languages the judgement is that the passages are about something else.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from kb_assistant.answering.coefficients import load_coefficients
from kb_assistant.answering.overlap import pairs, share, spelled_out, words
from kb_assistant.answering.relevance.cross_lingual import (
    CrossLingualSimilarity,
    cross_lingual_relevance,
    in_other_language,
)
from kb_assistant.answering.relevance.term_rarity import rarities
from vectorstore import Hit, terms

__all__ = ["judge_relevance", "relevance", "relevance_features"]

PASSAGES = 5
"""How many of the passages are judged: as many as the coefficients were fitted with."""
_NAME = re.compile(
    r"(?<!^)(?<![.?!] )\b[A-Z][\w'’-]*|\b\w*\d[\w.,]*|(?<=[\u3400-\u9fff])[A-Za-z]{2,}"
    r"|[“\"《「『][^”\"》」』]{2,40}[”\"》」』]"
)
_PHRASE = re.compile(r"(?<!^)(?<![.?!] )\b[A-Z][\w'’-]*(?:(?: (?:of|the|and|de|for|&))? [A-Z0-9][\w'’-]*)+")
"""A name of several words: "Doctor Who" is not a doctor and a question word."""
_FUNCTION = frozenset("有个個什么麼甚谁誰哪於于与與为為这這几幾是的了在和及或由被把对對以之其而则則並并且所即后後")
"""Han characters of function words; a pair with one of them is rarely a word."""


@dataclass(frozen=True, slots=True)
class _Passage:
    found: frozenset[str]
    words: tuple[str, ...]
    counts: Mapping[str, int]
    coverage: float
    phrases: float


def relevance(question: str, weights: Mapping[str, float], passages: Sequence[Hit]) -> float:
    """Return how likely it is, 0 to 1, that the passages' collection holds the question's answer.

    Args:
        question: as it was searched for.
        weights: its terms, each with its inverse document frequency.
        passages: the nearest ones, the best first.
    """
    nearest = passages[:PASSAGES]
    if not nearest:
        return 0.0
    return load_coefficients("relevance").probability(relevance_features(question, weights, nearest))


def judge_relevance(
    question: str,
    weights: Mapping[str, float],
    passages: Sequence[Hit],
    refuse_below: float,
    similarity: CrossLingualSimilarity | None = None,
) -> tuple[float, list[Hit]]:
    """Return the relevance of what was found, 0 to 1, and the passages that have it.

    Where shared terms would not do, and passages in the other language say more, it is those.

    Args:
        question: as it was searched for.
        weights: its terms, each with its inverse document frequency.
        passages: the nearest ones, the best first.
        refuse_below: the relevance that would do.
        similarity: how alike texts of different languages are; None where the vectors know nothing of it.
    """
    relevant = relevance(question, weights, passages)
    if relevant < refuse_below and similarity:
        across = cross_lingual_relevance(question, passages, similarity)
        if across > relevant:
            return across, in_other_language(question, passages)
    return relevant, list(passages)


def relevance_features(question: str, weights: Mapping[str, float], passages: Sequence[Hit]) -> dict[str, float]:
    """Return what the judgement goes by; nothing where the question has no terms."""
    here = {term: weight for term, weight in weights.items() if not _FUNCTION.intersection(term)} or dict(weights)
    if not passages or not any(here.values()):
        return {}
    anywhere = rarities(here)
    phrases = [_spoken(match[0]) for match in _PHRASE.finditer(" ".join(question.split()))]
    short = pairs(anywhere)
    seen = [_seen(anywhere, short, phrases, passage) for passage in passages]
    best = max(seen, key=lambda one: one.coverage)
    together = frozenset[str]().union(*(one.found for one in seen))
    names = {t: here[t] for match in _NAME.finditer(question) for t in terms(match[0]) if t in here}
    # Rare at large and frequent here is what the collection is about.
    topical = {term: anywhere[term] * math.log(10) - weight for term, weight in here.items()}
    long = math.log(1 + len(here))  # a few terms stand together anywhere, many only where they are spoken of
    return {
        "close_here": max(_densest(here, one.words) for one in seen) * long,
        "close_anywhere": max(_densest(anywhere, one.words) for one in seen) * long,
        "often_here": _often(here, best.counts),
        "often_anywhere": _often(anywhere, best.counts),
        "rarity_found": math.log(1 + sum(rarity for term, rarity in anywhere.items() if term in best.found)),
        "rarest": max(anywhere.values()),
        "rarest_found": max((rarity for term, rarity in anywhere.items() if term in best.found), default=0.0),
        "rarest_missing": max((rarity for term, rarity in anywhere.items() if term not in together), default=0.0),
        "most_topical": max((value for term, value in topical.items() if term in best.found), default=0.0),
        "topical": sum(max(0.0, value) for term, value in topical.items() if term in together) / len(topical),
        "has_names": float(bool(names)),
        "names": share(names, best.found) if names else 0.5,
        "has_phrases": float(bool(phrases)),
        "phrases_missing": 1 - max(one.phrases for one in seen) if phrases else 0.0,
    }


def _seen(wanted: Mapping[str, float], short: Sequence[str], phrases: Sequence[str], passage: Hit) -> _Passage:
    text = f"{passage.source} {passage.title or ''} {passage.heading_path} {passage.text}"
    tokens = list(terms(text))
    as_they_are = set(tokens)
    tokens += [term for term in spelled_out(short, "".join(words(tokens))) if term not in as_they_are]
    found, said = frozenset(tokens), _spoken(text)
    spoken = sum(phrase in said for phrase in phrases) / max(1, len(phrases))
    return _Passage(found, tuple(words(tokens)), Counter(tokens), share(wanted, found), spoken)


def _spoken(text: str) -> str:
    """Return `text` as names are compared: in small letters, its words parted by single blanks or hyphens."""
    return " ".join(re.sub(r"[-_]", " ", text).split()).casefold()


def _densest(weights: Mapping[str, float], said: Sequence[str]) -> float:
    """The largest share of the weights whose terms stand within a stretch of words twice as long as the question."""
    total, width = sum(weights.values()), 2 * len(weights) + 4
    hits = [(place, word) for place, word in enumerate(said) if word in weights]
    inside: Counter[str] = Counter()
    first, held, most = 0, 0.0, 0.0
    for place, word in hits:
        held += weights[word] if not inside[word] else 0.0
        inside[word] += 1
        while hits[first][0] < place - width:
            gone = hits[first][1]
            inside[gone] -= 1
            held -= weights[gone] if not inside[gone] else 0.0
            first += 1
        most = max(most, held)
    return most / total if total else 0.0


def _often(weights: Mapping[str, float], counts: Mapping[str, int]) -> float:
    """The share of the weights that a passage holds, of a term the more the more often it holds it, 0 to 1."""
    total = sum(weights.values())
    return sum(weight * counts[term] / (counts[term] + 1.5) for term, weight in weights.items()) / total if total else 0
