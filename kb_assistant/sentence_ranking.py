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

from kb_assistant.answer_types import answer_kind, answer_words, asked_near, cues, what_is_counted
from kb_assistant.overlap import common, runs, share, short_for, words
from vectorstore import query_terms, terms

__all__ = ["Candidate", "sentence_features"]

_PREFIX = 4
_RAREST = 3
_DEFINES = re.compile(
    r"^(?:what|who) (?:is|are|was|were) (?:the |an? )?(?:\w+ ?){1,3}\?$"
    r"|(?:是什[么麼]|是[谁誰]|什[么麼]是|指的?是?什[么麼])",
    re.IGNORECASE,
)
"""A question what a thing is, which its passage's first sentence tells."""
_QUOTED = re.compile(r"[“\"《「『]([^”\"》」』]{2,40})[”\"》」』]")


@dataclass(frozen=True, slots=True)
class Candidate:
    """A sentence as the ranking sees it.

    Attributes:
        text: its words, and the names of its columns for a table row.
        around: the source's name, the title and the headings.
        passage: which of the passages it is in, counted from 0, the best first.
        place: which of the passage's sentences it is, counted from 0.
        asks: whether it is a question itself.
    """

    text: str
    around: str
    passage: int
    place: int
    asks: bool


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
    short_for: Mapping[str, re.Pattern[str]]
    numbers: Mapping[str, float]
    quoted: tuple[str, ...]
    kind: str | None
    counted: str
    cues: Mapping[str, re.Pattern[str]]
    defines: bool


def sentence_features(
    question: str, weights: Mapping[str, float], candidates: Sequence[Candidate]
) -> list[dict[str, float]]:
    """Return the features of each candidate, by name.

    Args:
        question: as it was asked.
        weights: its terms, each with how much it says.
        candidates: the sentences of all passages, in the passages' order.
    """
    asked = _question(question, weights)
    token_lists = [list(terms(one.text)) for one in candidates]
    term_sets = [frozenset(tokens) for tokens in token_lists]
    frequency = Counter(term for found in term_sets for term in found if term in weights)
    local = {
        term: weight * math.log((len(candidates) + 1) / (frequency[term] + 0.5)) for term, weight in weights.items()
    }
    passages: dict[int, frozenset[str]] = {}
    for one, found in zip(candidates, term_sets, strict=True):
        passages[one.passage] = passages.get(one.passage, frozenset(terms(one.around))) | found
    covered = {number: share(weights, found) for number, found in passages.items()}
    most = max((share(weights, found) for found in term_sets), default=0.0)
    rows = []
    for index, (one, tokens, found) in enumerate(zip(candidates, token_lists, term_sets, strict=True)):
        row = _own(asked, one, tokens, found)
        row["locally"] = share(local, found)
        row |= _neighbours(asked, candidates, term_sets, index)
        row |= _topic(asked, candidates, term_sets, index, passages[one.passage])
        row["best_own"] = float(row["own"] >= most)
        row["passage"] = covered[one.passage]
        row["passage_lead"] = covered[one.passage] - max(covered.values())
        row["rank"] = 1 / (1 + one.passage)
        row["first_passage"] = float(one.passage == 0)
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
        short_for(weights),
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
    unspaced = "".join(said)
    short_for = sum(asked.weights[term] for term, long in asked.short_for.items() if long.search(unspaced))
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
        "short": float(new < 3),
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
    asked: _Question, candidates: Sequence[Candidate], term_sets: Sequence[frozenset[str]], index: int
) -> dict[str, float]:
    """What the sentences before and after add to it."""
    found = term_sets[index]
    own = share(asked.weights, found)
    row = {}
    for name, step in (("previous", -1), ("next", 1)):
        other = index + step
        beside = frozenset[str]()
        if 0 <= other < len(candidates) and candidates[other].passage == candidates[index].passage:
            beside = term_sets[other]
        elif step < 0:  # headings are to the first sentence what a sentence before is to the others
            beside = frozenset(terms(candidates[index].around))
        row[name] = share(asked.weights, found | beside) - own
        row[f"{name}_own"] = share(asked.weights, beside)
    return row


def _topic(
    asked: _Question,
    candidates: Sequence[Candidate],
    term_sets: Sequence[frozenset[str]],
    index: int,
    passage: frozenset[str],
) -> dict[str, float]:
    """What it says beyond its passage's subject, which its first sentence names and the others leave out."""
    number = candidates[index].passage
    inside = [place for place, one in enumerate(candidates) if one.passage == number]
    lead, found = term_sets[inside[0]], term_sets[index]
    own = share(asked.weights, found)
    around = frozenset(terms(candidates[index].around))
    before = around.union(*(term_sets[place] for place in inside if place < index))
    held = {term: weight for term, weight in asked.weights.items() if term in passage}
    others = frozenset[str]().union(*(term_sets[place] for place in inside if place != index))
    topic = _named(asked.text, candidates[inside[0]])
    rest = {term: weight for term, weight in asked.weights.items() if term not in topic}
    said = share(rest, found)
    leads = index == inside[0]
    return {
        "rest": said,
        "rest_not_lead": said * float(not leads),
        "rest_all": float(bool(rest) and said > 0.99),
        "rest_none": float(bool(rest) and said == 0),
        "rest_weight": said * sum(rest.values()) / asked.total if asked.total else 0.0,
        "rest_around": share(rest, around),
        "names_topic": float(bool(topic) and topic <= found),
        "defines": float(asked.defines and leads),
        "with_lead": share(asked.weights, found | lead | around) - own,
        "with_before": share(asked.weights, found | before) - own,
        "beyond_lead": share(asked.weights, found - lead),
        "of_passage": share(held, found),
        "only_here": share(asked.weights, found - others),
        "is_lead": float(index == inside[0]),
    }


def _named(question: str, lead: Candidate) -> frozenset[str]:
    """The terms of the longest words that a question shares with a passage's title, headings or first sentence.

    That is, most often, what both are about; it says little of which sentence holds the answer.
    """
    singles = words(terms(question))
    held = f" {' '.join(words(terms(lead.around)))} | {' '.join(words(terms(lead.text)))} "
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
