"""How likely a sentence is to hold the answer: features of a question, a sentence and its surroundings.

They are plain numbers, mostly shares between 0 and 1, of the same meaning in Chinese and
English. Their coefficients are fitted by tests/benchmarks/fit_extractive.py, for each language
its own.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from kb_assistant.answering.extractive.expected_types import (
    answer_kind,
    answer_words,
    asked_near,
    cues,
    what_is_counted,
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
"""A question what a thing is, which its section's first sentence tells."""
_QUOTED = re.compile(r"[“\"《「『]([^”\"》」』]{2,40})[”\"》」』]")


@dataclass(frozen=True, slots=True)
class Section:
    """What stands around some of the passages found, as far as it is looked at; a subject is named there once.

    Attributes:
        around: the source's name, the title and the headings.
        lead: its first sentence.
        text: all of it.
        rank: the place of the best passage in it among those found, counted from 0.
        found: how many of those are in it.
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
        text: its words, and the names of its columns for a table row.
        section: which of the sections it is in, counted from 0.
        rank: the place of its passage among those found, counted from 0; its section's if it was not found itself.
        order: which of its section's passages it is in, counted from 0.
        place: which of the passage's sentences it is, counted from 0.
        asks: whether it is a question itself.
        row: whether it is a table's row.
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
    """A section's terms, and what of the question is its subject and what is asked about that.

    Attributes:
        around: the terms of names and headings.
        lead: those and the first sentence's.
        topic: the question's terms that name the subject.
        rest: the other ones with their weights.
        covered: share of the question in the whole section, 0 to 1.
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
        weights: its terms, each with how much it says.
        candidates: the sentences of all passages, in the passages' order.
        sections: those that the candidates are in.
    """
    asked = _question(question, weights)
    token_lists = [list(terms(one.text)) for one in candidates]
    term_sets = [frozenset(tokens) for tokens in token_lists]
    frequency = Counter(term for found in term_sets for term in found if term in weights)
    local = {
        term: weight * math.log((len(candidates) + 1) / (frequency[term] + 0.5)) for term, weight in weights.items()
    }
    surroundings = [_surroundings(asked, section) for section in sections]
    best_covered = max((one.covered for one in surroundings), default=0.0)
    most = max((share(weights, found) for found in term_sets), default=0.0)
    rows = []
    for index, (one, tokens, found) in enumerate(zip(candidates, token_lists, term_sets, strict=True)):
        row = _own(asked, one, tokens, found)
        row["locally"] = share(local, found)
        section, surrounding = sections[one.section], surroundings[one.section]
        row |= _neighbours(asked, candidates, term_sets, index, surrounding.around)
        row |= _topic(asked, one, found, surrounding)
        row["best_own"] = float(row["own"] >= most)
        row["section"] = surrounding.covered
        row["section_lead"] = surrounding.covered - best_covered
        row["section_rank"] = 1 / (1 + section.rank)
        row["section_found"] = math.log(section.found)
        row["rank"] = 1 / (1 + one.rank)
        row["first_passage"] = float(one.rank == 0)
        row["order"] = 1 / (1 + one.order)
        row["place"] = 1 / (1 + one.place)
        rows.append(row)
    return rows


def _question(question: str, weights: Mapping[str, float]) -> _Question:
    near = {term: weights[term] for term in query_terms(asked_near(question)) if term in weights}
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
        answer_kind(question),
        what_is_counted(question),
        cues(question),
        bool(_DEFINES.search(question)),
    )


def _own(asked: _Question, one: Candidate, tokens: Sequence[str], found: frozenset[str]) -> dict[str, float]:
    """What the sentence itself shows."""
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
        "quoted": float(any(quoted in one.text for quoted in asked.quoted)),
        "own_squared": own * own,
        "length": math.log(1 + len(said)),
        "density": own / math.log(8 + len(said)),
        "new_words": math.log(1 + new),
        "short": float(new < 3 and not one.row),  # a heading, or half a sentence; a row says much in little
        "asks": float(one.asks),
        "repeats": own * float(one.asks),
        "closeness": _closeness(asked, said),
    }
    row |= {f"cue_{name}": float(bool(pattern.search(one.text))) for name, pattern in asked.cues.items()}
    if asked.cues:
        row["cue_own"] = own * float(any(row[f"cue_{name}"] for name in asked.cues))
    if asked.kind:
        spans = list(answer_words(asked.kind, asked.text, one.text))
        row[f"{asked.kind}_words"] = float(bool(spans))
        row[f"{asked.kind}_count"] = math.log(1 + len(spans))
        row[f"{asked.kind}_own"] = own * float(bool(spans))
        if asked.counted:
            row["counted"] = float(any(_follows(asked.counted, one.text, end) for _, end in spans))
    return row


def _neighbours(
    asked: _Question,
    candidates: Sequence[Candidate],
    term_sets: Sequence[frozenset[str]],
    index: int,
    around: frozenset[str],
) -> dict[str, float]:
    """What the sentences before and after add to it."""
    one, found = candidates[index], term_sets[index]
    own = share(asked.weights, found)
    row = {}
    for name, step in (("previous", -1), ("next", 1)):
        other = index + step
        beside = frozenset[str]()
        if 0 <= other < len(candidates) and _beside(one, candidates[other], step):
            beside = term_sets[other]
        elif step < 0:  # headings are to the first sentence what a sentence before is to the others
            beside = around
        row[name] = share(asked.weights, found | beside) - own
        row[f"{name}_own"] = share(asked.weights, beside)
    return row


def _beside(one: Candidate, other: Candidate, step: int) -> bool:
    return one.section == other.section and other.order - one.order in (0, step)


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


def _topic(asked: _Question, one: Candidate, found: frozenset[str], section: _Surroundings) -> dict[str, float]:
    """What it says beyond its section's subject, which the first sentence names and the others leave out."""
    said = share(section.rest, found)
    leads = one.order == one.place == 0
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
    """The terms of the longest words that a question shares with a section's names and headings, or first sentence.

    That is, most often, what both are about; it says little of which sentence holds the answer.
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
    return frozenset(best) | frozenset(one + two for one, two in pairwise(best))


def _follows(counted: str, text: str, end: int) -> bool:
    """Whether what is counted stands shortly after a number."""
    after = text[end : end + (4 if counted[:1] > "\u2e80" else 40)].casefold()
    return counted in after


def _closeness(asked: _Question, said: Sequence[str]) -> float:
    """Share of the question in the densest stretch of the sentence, as long as twice the question."""
    width = max(6, 2 * len(asked.weights))
    hits = [(place, word) for place, word in enumerate(said) if word in asked.weights]
    best = 0.0
    for start, (place, _) in enumerate(hits):
        inside = {word for where, word in hits[start:] if where < place + width}
        best = max(best, sum(asked.weights[word] for word in inside))
    return best / asked.total if asked.total else 0.0
