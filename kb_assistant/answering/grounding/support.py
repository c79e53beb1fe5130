"""Finds the passage that supports a claim.

A passage supports a claim that has most of its terms in it, and every number, date and name.
Whether the claim denies what the passage says is not looked at.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from kb_assistant.answering.grounding.cite import cite, statements
from kb_assistant.answering.grounding.entities import missing_specifics
from kb_assistant.answering.relevance.cross_lingual import CrossLingualSimilarity, in_other_language, other_language
from kb_assistant.answering.types import Citation
from kb_assistant.language import language_of
from vectorstore import Hit, query_terms, terms

__all__ = ["Evidence", "says_something"]

_LEAST_SHARE = 0.6
"""Share of a claim's terms that a passage must hold to support it."""
_LEAST_SIMILARITY = 0.8
"""Similarity from which on a statement in another language says the same, if it holds all numbers as well."""
_CLAUSE_END = re.compile(r"(?:,(?!\d)|[;，；])\s*|\s+(?:and|but|while|whereas)\s+|而且|并且|以及|而|但是|但")
_PREAMBLE = re.compile(
    r"^\s*(?:(?:根据|依据|按照|基于)[^，,：:。]{0,8}(?:资料|文档|文件|段落|内容|信息)[^，,：:。]{0,4}[，,：:]"
    r"|(?:based on|according to) (?:the |these )?(?:\w+ )?(?:passages?|documents?|information|context)[^,:.]{0,20}[,:]"
    r"|(?:the )?answer(?: is)?:|(?:答案|回答)(?:是|为|如下)?[：:])\s*",
    re.IGNORECASE,
)
"""What models like to put before an answer; it says nothing itself."""


class Evidence:
    """The passages that a model was shown, as support for what it wrote."""

    def __init__(self, passages: Sequence[Hit], similarity: CrossLingualSimilarity | None) -> None:
        """Take the passages; without `similarity`, nothing in another language supports a claim."""
        self._passages = passages
        self._similarity = similarity

    def support(self, claim: str, named: set[int], known: str = "") -> list[Citation]:
        """Return the citations for a claim, empty where nothing supports it.

        They are of the passage that supports the whole claim, else of a passage for each of its clauses,
        else of a statement in another language.

        Args:
            claim: a sentence, or the cells of a table's row.
            named: the numbers of the passages that the model named for it; these come before equals.
            known: what is true whatever the passages say, such as how many items a list has.
        """
        words = _PREAMBLE.sub("", claim)
        if not says_something(words):
            return []
        if whole := self._by_passage(words, named, known):
            return whole
        clauses = [clause for clause in _CLAUSE_END.split(words) if says_something(clause)]
        each = [self._by_passage(clause, named, known) for clause in clauses] if len(clauses) > 1 else []
        if each and all(each):
            return [citation for citations in each for citation in citations]
        return self._in_other_language(words)

    def missing(self, words: str, known: str = "") -> list[str]:
        """Return the numbers, dates and names in `words` that no passage holds, nor `known`."""
        return missing_specifics(words, "\n".join((known, *map(_whole_text, self._passages))))

    def _by_passage(self, words: str, named: set[int], known: str) -> list[Citation]:
        """Return the citations from the passage that holds the most of `words`, empty if none holds enough."""
        wanted = set(query_terms(words))
        able = []
        for passage in self._passages:
            text = f"{_whole_text(passage)} {known}"
            share = _share(wanted, text)
            if share >= _LEAST_SHARE and not missing_specifics(words, text):
                able.append((passage.rank in named, share, passage))
        if not able:
            return []
        best = max(able, key=lambda found: found[:2])[2]
        return [cite(best, *span) for span in _statements_to_quote(words, wanted, best)]

    def _in_other_language(self, words: str) -> list[Citation]:
        language, similarity = language_of(words), self._similarity
        others = in_other_language(words, self._passages)
        if not (similarity and others and similarity.supports(language, other_language(language))):
            return []
        found = [(passage, span) for passage in others for span in statements(passage)]
        if not found:
            return []
        alike = similarity.compare(words, [passage.text[slice(*span)] for passage, span in found])
        best, (passage, span) = max(zip(alike, found, strict=True), key=lambda pair: pair[0])
        lacking = missing_specifics(words, passage.text, across=True)
        return [cite(passage, *span)] if best >= _LEAST_SIMILARITY and not lacking else []


def says_something(words: str) -> bool:
    """Whether words say anything that can be looked up, beside what models put before an answer."""
    said = _PREAMBLE.sub("", words)
    return any(map(str.isalnum, said)) and bool(query_terms(said))


def _whole_text(passage: Hit) -> str:
    return f"{passage.text} {passage.heading_path} {passage.source}"


def _statements_to_quote(words: str, wanted: set[str], passage: Hit) -> list[tuple[int, int]]:
    """The nearest statement, and others that hold numbers, dates or names which it lacks."""
    text = passage.text
    spans = sorted(statements(passage), key=lambda span: -_share(wanted, text[slice(*span)]))
    chosen, held = spans[:1], text[slice(*spans[0])]
    lacking = missing_specifics(words, held)
    for span in spans[1:]:
        more = f"{held}\n{text[slice(*span)]}"
        left = missing_specifics(words, more) if lacking else lacking
        if len(left) < len(lacking):
            chosen, held, lacking = [*chosen, span], more, left
    return chosen


def _share(wanted: Iterable[str], text: str) -> float:
    held = set(terms(text))
    found = [term in held for term in wanted]
    return sum(found) / len(found) if found else 0.0
