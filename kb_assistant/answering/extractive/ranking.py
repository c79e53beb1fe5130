"""Computes the features that rank sentences by how likely they hold the answer.

Most are shares between 0 and 1, with the same meaning in Chinese and English. The coefficients
are fitted per language by tests/benchmarks/fit_extractive.py.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from kb_assistant.answering.extractive.expected_types import (
    counted_noun,
    cues,
    expected_type,
    find_answers,
    words_near_interrogative,
)
from kb_assistant.answering.overlap import common, pairs, runs, share, spelled_out, words
from vectorstore import query_terms, terms

__all__ = ["Candidate", "Section", "sentence_features"]

_PREFIX = 4
_RAREST = 3
_DEFINES = re.compile(
    r"^(?:what|who) (?:is|are|was|were) (?:the |an? )?(?:\w+ ?){1,3}\?$"
    r"|(?:是什[么麼]|是[谁誰]|什[么麼]是|指的?是?什[么麼])",
    re.IGNORECASE,
)
"""A question for a definition; a section's first sentence often answers it."""
_QUOTED = re.compile(r"[“\"《「『]([^”\"》」』]{2,40})[”\"》」』]")


@dataclass(frozen=True, slots=True)
class Section:
    """The section around one or more hits, as far as the ranking looks at it.

    Attributes:
        around: the source's name, the title and the headings.
        lead: its first sentence, which often names the subject.
        text: all of it.
        rank: the rank of its best hit, from 0.
        found: how many hits it has.
    """

    around: str
    lead: str
    text: str
    rank: int
    found: int


@dataclass(frozen=True, slots=True)
class Candidate:
    """A sentence as the ranking sees it.

    Attributes:
        text: its words; for a table row, after the names of the columns.
        section: the index of its section.
        rank: the rank of its passage among the hits, from 0; of its section if the passage is a neighbour.
        order: the position of its passage in the section, from 0.
        place: its position in the passage, from 0.
        asks: whether it is a question itself.
        row: whether it is a table row.
    """

    text: str
    section: int
    rank: int
    order: int
    place: int
    asks: bool
    row: bool


@dataclass(frozen=True, slots=True)
class _Surroundings:
    """The terms of a section, and the question's terms divided into subject and rest.

    Attributes:
        around: the terms of names and headings.
        lead: these, and the terms of the first sentence.
        topic: the question's terms that name the section's subject.
        rest: the question's other terms with their weights.
        covered: the share of the question in the whole section, 0 to 1.
    """

    around: frozenset[str]
    lead: frozenset[str]
    topic: frozenset[str]
    rest: Mapping[str, float]
    covered: float


@dataclass(frozen=True, slots=True)
class _Question:
    text: str
    weights: Mapping[str, float]
    total: float
    near: Mapping[str, float]
    rarest: Mapping[str, float]
    pairs: frozenset[tuple[str, ...]]
    triples: frozenset[tuple[str, ...]]
    fives: frozenset[tuple[str, ...]]
    short: tuple[str, ...]
    numbers: Mapping[str, float]
    quoted: tuple[str, ...]
    kind: str | None
    counted: str
    cues: Mapping[str, re.Pattern[str]]
    defines: bool


def sentence_features(
    question: str, weights: Mapping[str, float], candidates: Sequence[Candidate], sections: Sequence[Section]
) -> list[dict[str, float]]:
    """Return the features of each candidate, by name.

    Args:
        question: as it was asked.
        weights: its terms with their weights.
        candidates: the sentences of all passages, in order.
        sections: the sections of the candidates.
    """
    asked = _question(question, weights)
    token_lists = [list(terms(candidate.text)) for candidate in candidates]
    term_sets = [frozenset(tokens) for tokens in token_lists]
    frequency = Counter(term for found in term_sets for term in found if term in weights)
    local = {
        term: weight * math.log((len(candidates) + 1) / (frequency[term] + 0.5)) for term, weight in weights.items()
    }
    surroundings = [_surroundings(asked, section) for section in sections]
    best_covered = max((surrounding.covered for surrounding in surroundings), default=0.0)
    most = max((share(weights, found) for found in term_sets), default=0.0)
    rows = []
    for index, (candidate, tokens, found) in enumerate(zip(candidates, token_lists, term_sets, strict=True)):
        row = _own(asked, candidate, tokens, found)
        row["locally"] = share(local, found)
        section, surrounding = sections[candidate.section], surroundings[candidate.section]
        row |= _neighbours(asked, candidates, term_sets, index, surrounding.around)
        row |= _topic(asked, candidate, found, surrounding)
        row["best_own"] = float(row["own"] >= most)
        row["section"] = surrounding.covered
        row["section_lead"] = surrounding.covered - best_covered
        row["section_rank"] = 1 / (1 + section.rank)
        row["section_found"] = math.log(section.found)
        row["rank"] = 1 / (1 + candidate.rank)
        row["first_passage"] = float(candidate.rank == 0)
        row["order"] = 1 / (1 + candidate.order)
        row["place"] = 1 / (1 + candidate.place)
        rows.append(row)
    return rows


def _question(question: str, weights: Mapping[str, float]) -> _Question:
    near = {term: weights[term] for term in query_terms(words_near_interrogative(question)) if term in weights}
    rarest = dict(sorted(weights.items(), key=lambda item: -item[1])[:_RAREST])
    tokens = words(terms(question))
    return _Question(
        question,
        weights,
        sum(weights.values()),
        near,
        rarest,
        runs(tokens, 2),
        runs(tokens, 3),
        runs(tokens, 5),
        pairs(weights),
        {term: weight for term, weight in weights.items() if any(map(str.isdigit, term))},
        tuple(_QUOTED.findall(question)),
        expected_type(question),
        counted_noun(question),
        cues(question),
        bool(_DEFINES.search(question)),
    )


def _own(asked: _Question, candidate: Candidate, tokens: Sequence[str], found: frozenset[str]) -> dict[str, float]:
    """Features of the sentence itself."""
    said = words(tokens)
    prefixes = {term[:_PREFIX] for term in found if len(term) >= _PREFIX and term.isascii()}
    alike = sum(
        weight
        for term, weight in asked.weights.items()
        if term not in found and len(term) >= _PREFIX and term[:_PREFIX] in prefixes
    )
    short_for = sum(asked.weights[term] for term in spelled_out(asked.short, "".join(said)))
    own = share(asked.weights, found)
    long = {term: weight for term, weight in asked.weights.items() if len(term) > 1}
    new = sum(term not in asked.weights for term in set(said))
    row = {
        "own": own,
        "alike": alike / asked.total if asked.total else 0.0,
        "short_for": short_for / asked.total if asked.total else 0.0,
        "near_interrogative": share(asked.near, found),
        "own_long": share(long, found),
        "rarest": share(asked.rarest, found),
        "pairs": common(asked.pairs, runs(said, 2)),
        "triples": common(asked.triples, runs(said, 3)),
        "fives": common(asked.fives, runs(said, 5)),
        "numbers": share(asked.numbers, found),
        "quoted": float(any(quoted in candidate.text for quoted in asked.quoted)),
        "own_squared": own * own,
        "length": math.log(1 + len(said)),
        "density": own / math.log(8 + len(said)),
        "new_words": math.log(1 + new),
        "short": float(new < 3 and not candidate.row),  # a heading or half a sentence; a table row is short and full
        "asks": float(candidate.asks),
        "repeats": own * float(candidate.asks),
        "closeness": _closeness(asked, said),
    }
    row |= {f"cue_{name}": float(bool(pattern.search(candidate.text))) for name, pattern in asked.cues.items()}
    if asked.cues:
        row["cue_own"] = own * float(any(row[f"cue_{name}"] for name in asked.cues))
    if asked.kind:
        spans = list(find_answers(asked.kind, asked.text, candidate.text))
        row[f"{asked.kind}_words"] = float(bool(spans))
        row[f"{asked.kind}_count"] = math.log(1 + len(spans))
        row[f"{asked.kind}_own"] = own * float(bool(spans))
        if asked.counted:
            row["counted"] = float(any(_follows(asked.counted, candidate.text, end) for _, end in spans))
    return row


def _neighbours(
    asked: _Question,
    candidates: Sequence[Candidate],
    term_sets: Sequence[frozenset[str]],
    index: int,
    around: frozenset[str],
) -> dict[str, float]:
    """Features of the sentences before and after."""
    candidate, found = candidates[index], term_sets[index]
    own = share(asked.weights, found)
    row = {}
    for name, step in (("previous", -1), ("next", 1)):
        other = index + step
        beside = frozenset[str]()
        if 0 <= other < len(candidates) and _beside(candidate, candidates[other], step):
            beside = term_sets[other]
        elif step < 0:  # the first sentence has headings before it
            beside = around
        row[name] = share(asked.weights, found | beside) - own
        row[f"{name}_own"] = share(asked.weights, beside)
    return row


def _beside(candidate: Candidate, other: Candidate, step: int) -> bool:
    return candidate.section == other.section and other.order - candidate.order in (0, step)


def _surroundings(asked: _Question, section: Section) -> _Surroundings:
    named, lead = list(terms(section.around)), list(terms(section.lead))
    around = frozenset(named)
    topic = _named(asked.text, named, lead)
    return _Surroundings(
        around,
        around.union(lead),
        topic,
        {term: weight for term, weight in asked.weights.items() if term not in topic},
        share(asked.weights, around.union(terms(section.text))),
    )


def _topic(asked: _Question, candidate: Candidate, found: frozenset[str], section: _Surroundings) -> dict[str, float]:
    """Features of what a sentence says beyond its section's subject, which most sentences leave out."""
    said = share(section.rest, found)
    leads = candidate.order == candidate.place == 0
    return {
        "rest": said,
        "rest_not_lead": said * float(not leads),
        "rest_all": float(bool(section.rest) and said > 0.99),
        "rest_none": float(bool(section.rest) and said == 0),
        "rest_weight": said * sum(section.rest.values()) / asked.total if asked.total else 0.0,
        "rest_topic": said * float(bool(section.topic)),
        "topic": float(bool(section.topic)),
        "names_topic": float(bool(section.topic) and section.topic <= found),
        "defines": float(asked.defines and leads),
        "with_lead": share(asked.weights, found | section.lead) - share(asked.weights, found),
        "beyond_lead": share(asked.weights, found - section.lead),
        "is_lead": float(leads),
    }


def _named(question: str, around: Sequence[str], lead: Sequence[str]) -> frozenset[str]:
    """Return the terms of the longest phrase that a question shares with a section's headings or first sentence.

    It is most often the subject of both, and does not show which sentence holds the answer.
    """
    singles = words(terms(question))
    held = f" {' '.join(words(around))} | {' '.join(words(lead))} "
    best: list[str] = []
    for start in range(len(singles)):
        end = start + len(best) + 1
        while end <= len(singles) and f" {' '.join(singles[start:end])} " in held:
            best = singles[start:end]
            end += 1
    if len(best) == 1 and not best[0].isascii():
        return frozenset()
    return frozenset(best) | frozenset(first + second for first, second in pairwise(best))


def _follows(counted: str, text: str, end: int) -> bool:
    """Whether the counted noun stands shortly after a number."""
    after = text[end : end + (4 if counted[:1] > "\u2e80" else 40)].casefold()
    return counted in after


def _closeness(asked: _Question, said: Sequence[str]) -> float:
    """Return the share of the question in the densest stretch of the sentence, twice as long as the question."""
    width = max(6, 2 * len(asked.weights))
    hits = [(place, word) for place, word in enumerate(said) if word in asked.weights]
    best = 0.0
    for start, (place, _) in enumerate(hits):
        inside = {word for where, word in hits[start:] if where < place + width}
        best = max(best, sum(asked.weights[word] for word in inside))
    return best / asked.total if asked.total else 0.0
