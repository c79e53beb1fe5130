"""Suggests first questions about a collection, made from the headings of its documents."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from kb_assistant.language import language_of

if TYPE_CHECKING:
    from vectorstore import Hit, Store

__all__ = ["Suggestions", "choose_questions"]

_TEMPLATES = {"zh": "{}是什么？", "en": "What should I know about {}?"}
_NUMBERING = re.compile(
    r"^\s*(?:[\d.]+\s+|第[\d一二三四五六七八九十百]+[章节条部分篇]+|[(（]?[\d一二三四五六七八九十]+[.、)）．])[\s、.．]*"
)
_LONGEST = {"zh": 20, "en": 45}
_SHORTEST = {"zh": 2, "en": 4}
_MOST_TRIED = 24
"""How many questions to search for at most, to see whether they are answered."""
_LEAST_RELEVANCE = 0.5
"""The least relevance, 0 to 1, that a suggested question needs."""
_CHUNKS_READ = 400
"""How many chunks to take headings from."""


class Suggestions:
    """Questions that the collections of a store answer, worked out once for each state of a collection."""

    def __init__(self, store: Store, search: Callable[[str, str], Sequence[Hit]]) -> None:
        """Take the store, and a search that returns the hits for (question, collection)."""
        self._store = store
        self._search = search
        self._known: dict[int, tuple[int, int, tuple[str, ...]]] = {}

    def of(self, collection: str, limit: int, *, refuse_below: float) -> tuple[str, ...]:
        """Return up to `limit` questions on the collection that would not be refused."""
        from kb_assistant.answering.relevance.judge import relevance

        info = self._store.catalog.collection(collection)
        known = self._known.get(info.id)
        if known is None or known[:2] != (info.generation, limit):

            def answered(source: str, question: str) -> bool:
                hits = self._search(question, info.name)
                if not hits or hits[0].source != source:
                    return False
                weights = self._store.term_weights(info.name, question)
                return relevance(question, weights, hits) >= max(_LEAST_RELEVANCE, refuse_below)

            headings = self._store.headings(info.name, _CHUNKS_READ)
            known = info.generation, limit, choose_questions(headings, answered, limit)
            self._known[info.id] = known
        return known[2]


def choose_questions(
    headings: Iterable[tuple[str, tuple[str, ...]]], answered: Callable[[str, str], bool], limit: int
) -> tuple[str, ...]:
    """Return up to `limit` questions that are answered, spread over as many documents as possible.

    Args:
        headings: (source, headings above a chunk) of the collection.
        answered: whether the source answers the question, for (source, question).
        limit: how many at most.
    """
    by_source: dict[str, dict[str, None]] = {}
    for source, above in headings:
        if above and (question := _question(above[-1])):
            by_source.setdefault(source, {})[question] = None
    # A document's first heading is often its title, which says less than those below it.
    queues = {source: list(asked)[1:] + list(asked)[:1] for source, asked in by_source.items()}
    chosen: list[str] = []
    for tried, (source, question) in enumerate(_in_turn(queues)):
        if len(chosen) == limit or tried == _MOST_TRIED:
            break
        if question not in chosen and answered(source, question):
            chosen.append(question)
    return tuple(chosen)


def _in_turn(queues: dict[str, list[str]]) -> Iterator[tuple[str, str]]:
    """Yield the first question of each document, then the second, and so on, alternating between languages."""
    depth = max(map(len, queues.values()), default=0)
    for place in range(depth):
        row = [(source, asked[place]) for source, asked in queues.items() if place < len(asked)]
        chinese = [pair for pair in row if language_of(pair[1]) == "zh"]
        others = [pair for pair in row if language_of(pair[1]) != "zh"]
        for at in range(max(len(chinese), len(others))):
            yield from (*chinese[at : at + 1], *others[at : at + 1])


def _question(heading: str) -> str:
    """Return the question about a heading; empty if the heading makes none."""
    words = " ".join(_NUMBERING.sub("", heading).split())
    if words.endswith(("?", "？")):
        return words
    language = language_of(words)
    letters = sum(map(str.isalpha, words))
    if not _SHORTEST[language] <= letters <= len(words) <= _LONGEST[language]:
        return ""
    return _TEMPLATES[language].format(_within_a_sentence(words.rstrip(" :：。.")))


def _within_a_sentence(heading: str) -> str:
    """Lower the first letter of a heading in sentence case ("Retention periods"), not of a name ("VPN Access")."""
    first, *others = heading.split(" ")
    plain = first[1:].islower() and not any(word[:1].isupper() for word in others)
    return heading[:1].lower() + heading[1:] if plain else heading
