"""Ties each sentence of an answer to the words in the documents that support it.

Citations are made from where passages stand, never from what a model wrote: a number
it names counts only if that passage holds what the sentence says. A sentence is supported
where passages hold most of its terms and every number, date and name in it; each other one
is marked. Whether a sentence denies what its passage says is not looked at.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ingest import sentence_spans
from kb_assistant.answering.grounding.entities import missing_specifics
from kb_assistant.answering.relevance.cross_lingual import CrossLingualSimilarity, in_other_language, other_language
from kb_assistant.answering.types import Citation
from kb_assistant.language import language_of
from vectorstore import Hit, query_terms, terms

__all__ = ["UNSUPPORTED", "Grounded", "cite", "ground", "statements", "without_marks"]

UNSUPPORTED = {"zh": "（文档中没有依据）", "en": " (not in the documents)"}
"""What stands behind a sentence that no passage supports, in the sentence's language."""

_HEADING_MARK = re.compile(r"^#+\s+")
_MARK = re.compile(r"\\?[\[【［]\s*(\d{1,3}(?:\s*[-–,，、]\s*\d{1,3})*)\s*\\?[\]】］]")
_MARKS = re.compile(rf"(?:\s*{_MARK.pattern})+")
_SUPPORTED = 0.6
"""Share of a sentence's terms that its passage must hold for the passage to support it."""
_ALIKE = 0.8
"""Similarity from which on a sentence in another language says the same, where it has all numbers as well."""
_CLAUSE = re.compile(r"[,;，；]\s*|\s+(?:and|but|while|whereas)\s+|(?:而且|并且|以及|而|但是|但)")
_PREAMBLE = re.compile(
    r"^\s*(?:(?:根据|依据|按照|基于)[^，,：:。]{0,8}(?:资料|文档|文件|段落|内容|信息)[^，,：:。]{0,4}[，,：:]"
    r"|(?:based on|according to) (?:the |these )?(?:\w+ )?(?:passages?|documents?|information|context)[^,:.]{0,20}[,:]"
    r"|(?:the )?answer(?: is)?:|(?:答案|回答)(?:是|为|如下)?[：:])\s*",
    re.IGNORECASE,
)
"""What models like to put before an answer; it says nothing itself."""
_CONTEXT = 6
"""How many characters before a bracketed number tell whether it is the document's own."""


@dataclass(frozen=True, slots=True)
class Grounded:
    """An answer's text with its [numbers] put right, and the citations they stand for."""

    text: str
    citations: tuple[Citation, ...]


def ground(text: str, passages: Sequence[Hit], similarity: CrossLingualSimilarity | None = None) -> Grounded:
    """Cite what supports each sentence of `text`, and mark those that nothing supports.

    No citation at all means that nothing is supported. A bracketed number that is the
    documents' own is shown as `without_marks` does.

    Args:
        text: what a model wrote.
        passages: what it was shown.
        similarity: how alike texts of different languages are; without it, nothing in another language supports.
    """
    found: dict[tuple[int, str], Citation] = {}
    parts: list[str] = []
    position = 0
    for start, end in _sentences(text):
        words, named = _unmarked(text[start:end], passages)
        citations = _support(words, named, passages) or _across(words, passages, similarity)
        parts.append(text[position:start] + words)
        if citations:
            found.update({(one.number, one.quote): one for one in citations})
            parts += [f" [{number}]" for number in sorted({one.number for one in citations})]
        elif _said(words):
            parts.append(UNSUPPORTED[language_of(words)])
        position = end
    parts.append(text[position:])
    return Grounded("".join(parts), tuple(sorted(found.values(), key=lambda citation: citation.number)))


def without_marks(text: str) -> str:
    """Return a document's words with its own bracketed numbers in round brackets, "[7]" as "(7)".

    In an answer, square brackets are citations.
    """
    return _MARK.sub(r"(\1)", text)


def cite(passage: Hit, start: int, end: int) -> Citation:
    """Return the citation of `text[start:end]` of a passage."""
    return Citation(
        number=passage.rank,
        source=passage.source,
        page=passage.page,
        line_start=passage.line_at(start),
        line_end=passage.line_at(max(start, end - 1)),
        heading=passage.heading_path,
        quote=passage.text[start:end],
        score=passage.score,
    )


def statements(passage: Hit) -> list[tuple[int, int]]:
    """Return the spans of a passage's sentences, without the headings that it begins with if there is more."""
    spans = list(sentence_spans(passage.text))
    said = [span for span in spans if _HEADING_MARK.sub("", passage.text[slice(*span)]) not in passage.heading]
    return said or spans


def _sentences(text: str) -> list[tuple[int, int]]:
    """Sentence spans, each with the markers that follow it."""
    spans: list[tuple[int, int]] = []
    for start, end in sentence_spans(text):
        leading = _MARKS.match(text, start, end)
        if leading and spans:
            spans[-1] = (spans[-1][0], leading.end())
            start = leading.end()
        if text[start:end].strip():
            spans.append((start, end))
    return spans


def _unmarked(sentence: str, passages: Sequence[Hit]) -> tuple[str, set[int]]:
    """Return a sentence without the markers that a model set, and the numbers in them."""
    named: set[int] = set()
    own = ["".join(passage.text.split()) for passage in passages]

    def replaced(match: re.Match[str]) -> str:
        before = "".join(sentence[: match.start()].split())[-_CONTEXT:]
        if before and any(before + "".join(match[0].split()) in text for text in own):
            return without_marks(match[0])
        named.update(int(number) for number in re.findall(r"\d+", match[0]))
        return ""

    return _MARKS.sub(replaced, sentence), named


def _said(sentence: str) -> list[str]:
    """The terms of what a sentence says, without what models put before it."""
    words = _PREAMBLE.sub("", sentence)
    return query_terms(words) if any(map(str.isalnum, words)) else []


def _support(sentence: str, named: set[int], passages: Sequence[Hit]) -> list[Citation]:
    """Return the citations for a sentence, from the one passage that supports it, or from one for each clause.

    A passage that the sentence names goes before others that support it as well.
    """
    words = _PREAMBLE.sub("", sentence)
    if not _said(sentence):
        return []
    whole = _one_support(words, named, passages)
    if whole:
        return whole
    clauses = [clause for clause in _CLAUSE.split(words) if _said(clause)]
    if len(clauses) < 2:
        return []
    each = [_one_support(clause, named, passages) for clause in clauses]
    return [citation for citations in each for citation in citations] if all(each) else []


def _one_support(words: str, named: set[int], passages: Sequence[Hit]) -> list[Citation]:
    """Return the citations from the passage that holds the most of a sentence, empty if none holds enough."""
    wanted = set(_said(words))
    able = []
    for passage in passages:
        text = " ".join((passage.text, passage.heading_path, passage.source))
        share = _share(wanted, text)
        if share >= _SUPPORTED and not missing_specifics(words, text):
            able.append((passage.rank in named, share, passage))
    if not able:
        return []
    passage = max(able, key=lambda one: one[:2])[2]
    return [cite(passage, *span) for span in _quoted(words, wanted, passage)]


def _across(sentence: str, passages: Sequence[Hit], similarity: CrossLingualSimilarity | None) -> list[Citation]:
    """Return the citation of what says the same in another language, empty if nothing does."""
    words, language = _PREAMBLE.sub("", sentence), language_of(sentence)
    others = in_other_language(words, passages)
    if not (similarity and others and _said(words) and similarity.supports(language, other_language(language))):
        return []
    found = [(passage, span) for passage in others for span in statements(passage)]
    if not found:
        return []
    alike = similarity.compare(words, [passage.text[slice(*span)] for passage, span in found])
    best, (passage, span) = max(zip(alike, found, strict=True), key=lambda one: one[0])
    lacking = missing_specifics(words, passage.text, across=True)
    return [cite(passage, *span)] if best >= _ALIKE and not lacking else []


def _quoted(words: str, wanted: set[str], passage: Hit) -> list[tuple[int, int]]:
    """The statements to quote: the nearest one, and others that hold numbers, dates or names which it lacks."""
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
