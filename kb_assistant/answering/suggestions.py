"""First questions to ask a collection, made of its documents' headings."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from kb_assistant.language import language_of

if TYPE_CHECKING:
    from vectorstore import Hit, Store

__all__ = ["Suggestions", "suggested"]

_ASKING = {"zh": "{}是什么？", "en": "What should I know about {}?"}
_NUMBERING = re.compile(
    r"^\s*(?:[\d.]+\s+|第[\d一二三四五六七八九十百]+[章节条部分篇]+|[(（]?[\d一二三四五六七八九十]+[.、)）．])[\s、.．]*"
)
_LONGEST = {"zh": 20, "en": 45}
_SHORTEST = {"zh": 2, "en": 4}
_MOST_TRIED = 24
"""Each is searched for, to see that it is answered."""
_SURE = 0.5
"""Least relevance, 0 to 1, of what is suggested as a question."""
_HEADINGS = 400
"""How many chunks' headings are looked at."""


class Suggestions:
    """Questions that a store's collections answer, worked out once for each state of a collection."""

    def __init__(self, store: Store, search: Callable[[str, str], Sequence[Hit]]) -> None:
        """Take the store, and the search for (question, collection) that answers begin with."""
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
                return relevance(question, weights, hits) >= max(_SURE, refuse_below)

            headings = self._store.headings(info.name, _HEADINGS)
            known = info.generation, limit, suggested(headings, answered, limit)
            self._known[info.id] = known
        return known[2]


def suggested(
    headings: Iterable[tuple[str, tuple[str, ...]]], answered: Callable[[str, str], bool], limit: int
) -> tuple[str, ...]:
    """Return up to `limit` questions that are answered, of as many documents as there are.

    Args:
        headings: (source, headings above a chunk) of the collection.
        answered: whether (source, question) is answered from that source.
        limit: how many.
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
    """One of each document, then the second of each, and so on; the languages take turns."""
    depth = max(map(len, queues.values()), default=0)
    for place in range(depth):
        row = [(source, asked[place]) for source, asked in queues.items() if place < len(asked)]
        chinese = [one for one in row if language_of(one[1]) == "zh"]
        others = [one for one in row if language_of(one[1]) != "zh"]
        for pair in range(max(len(chinese), len(others))):
            yield from (*chinese[pair : pair + 1], *others[pair : pair + 1])


def _question(heading: str) -> str:
    """The question that a heading makes; empty where it makes none."""
    words = " ".join(_NUMBERING.sub("", heading).split())
    if words.endswith(("?", "？")):
        return words
    language = language_of(words)
    letters = sum(map(str.isalpha, words))
    if not _SHORTEST[language] <= letters <= len(words) <= _LONGEST[language]:
        return ""
    return _ASKING[language].format(_within_a_sentence(words.rstrip(" :：。.")))


def _within_a_sentence(heading: str) -> str:
    """A heading without the capital that only its place gave it: "Retention periods", and not "VPN Access"."""
    first, *others = heading.split(" ")
    plain = first[1:].islower() and not any(word[:1].isupper() for word in others)
    return heading[:1].lower() + heading[1:] if plain else heading
