"""Judges whether passages are about a question at all, as one calibrated number.

A logistic regression over how much of the question the passages hold, with terms weighted by how
rare they are in the collection and in their language. It means the same in Chinese and English and
needs no model. tests/benchmarks/fit_relevance.py fits the coefficients on questions of which half
have their article indexed.

A question and passages in different languages share no terms; there `cross_lingual` judges, and
without an embedding model of both languages the passages count as irrelevant.
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
"""How many passages to judge: as many as the coefficients were fitted with."""
_NAME = re.compile(
    r"(?<!^)(?<![.?!] )\b[A-Z][\w'’-]*|\b\w*\d[\w.,]*|(?<=[\u3400-\u9fff])[A-Za-z]{2,}"
    r"|[“\"《「『][^”\"》」』]{2,40}[”\"》」』]"
)
_PHRASE = re.compile(r"(?<!^)(?<![.?!] )\b[A-Z][\w'’-]*(?:(?: (?:of|the|and|de|for|&))? [A-Z0-9][\w'’-]*)+")
"""A name of several words: "Doctor Who" is not a doctor and an interrogative."""
_FUNCTION = frozenset("有个個什么麼甚谁誰哪於于与與为為这這几幾是的了在和及或由被把对對以之其而则則並并且所即后後")
"""Han characters of function words; a pair with such a character is rarely a word."""


@dataclass(frozen=True, slots=True)
class _PassageTerms:
    """The terms of a passage, and its shares of the question's weight and of its names of several words."""

    found: frozenset[str]
    words: tuple[str, ...]
    counts: Mapping[str, int]
    coverage: float
    phrases: float


def relevance(question: str, weights: Mapping[str, float], passages: Sequence[Hit]) -> float:
    """Return how likely it is, 0 to 1, that the collection holds the answer, given the nearest passages.

    Args:
        question: what was searched for.
        weights: the question's terms with their inverse document frequencies.
        passages: the nearest passages, the best first.
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
    """Return the relevance of the passages, 0 to 1, and the passages that it applies to.

    If shared terms do not suffice and passages in the other language are more relevant, only those are returned.

    Args:
        question: what was searched for.
        weights: the question's terms with their inverse document frequencies.
        passages: the nearest passages, the best first.
        refuse_below: the relevance that suffices.
        similarity: compares texts across languages; None if the embedding model cannot.
    """
    relevant = relevance(question, weights, passages)
    if relevant < refuse_below and similarity:
        cross_lingual = cross_lingual_relevance(question, passages, similarity)
        if cross_lingual > relevant:
            return cross_lingual, in_other_language(question, passages)
    return relevant, list(passages)


def relevance_features(question: str, weights: Mapping[str, float], passages: Sequence[Hit]) -> dict[str, float]:
    """Return the features of the regression by name; empty if the question has no terms."""
    here = {term: weight for term, weight in weights.items() if not _FUNCTION.intersection(term)} or dict(weights)
    if not passages or not any(here.values()):
        return {}
    anywhere = rarities(here)
    phrases = [_normalized(match[0]) for match in _PHRASE.finditer(" ".join(question.split()))]
    short = pairs(anywhere)
    seen = [_passage_terms(anywhere, short, phrases, passage) for passage in passages]
    best = max(seen, key=lambda passage: passage.coverage)
    together = frozenset[str]().union(*(passage.found for passage in seen))
    names = {t: here[t] for match in _NAME.finditer(question) for t in terms(match[0]) if t in here}
    # A term that is rare in its language and frequent here is what the collection is about.
    topical = {term: anywhere[term] * math.log(10) - weight for term, weight in here.items()}
    long = math.log(1 + len(here))  # few terms occur together by chance anywhere, many only where they are the topic
    return {
        "close_here": max(_densest(here, passage.words) for passage in seen) * long,
        "close_anywhere": max(_densest(anywhere, passage.words) for passage in seen) * long,
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
        "phrases_missing": 1 - max(passage.phrases for passage in seen) if phrases else 0.0,
    }


def _passage_terms(
    wanted: Mapping[str, float], short: Sequence[str], phrases: Sequence[str], passage: Hit
) -> _PassageTerms:
    text = f"{passage.source} {passage.title or ''} {passage.heading_path} {passage.text}"
    tokens = list(terms(text))
    literal = set(tokens)
    tokens += [term for term in spelled_out(short, "".join(words(tokens))) if term not in literal]
    found, plain = frozenset(tokens), _normalized(text)
    held = sum(phrase in plain for phrase in phrases) / max(1, len(phrases))
    return _PassageTerms(found, tuple(words(tokens)), Counter(tokens), share(wanted, found), held)


def _normalized(text: str) -> str:
    """Return `text` in the form in which names are compared: lower case, single spaces, no hyphens."""
    return " ".join(re.sub(r"[-_]", " ", text).split()).casefold()


def _densest(weights: Mapping[str, float], text_words: Sequence[str]) -> float:
    """Return the largest share of the weights that a window of words twice as long as the question holds."""
    total, width = sum(weights.values()), 2 * len(weights) + 4
    hits = [(place, word) for place, word in enumerate(text_words) if word in weights]
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
    """Return the share of the weights that a passage holds, 0 to 1; a term that occurs more often counts more."""
    total = sum(weights.values())
    return sum(weight * counts[term] / (counts[term] + 1.5) for term, weight in weights.items()) / total if total else 0
