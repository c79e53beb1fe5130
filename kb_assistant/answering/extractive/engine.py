"""Answers with the documents' own sentences, without a language model.

A `BaseCombineDocumentsChain`, so it can replace the model's chain in `RetrievalQA`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from langchain_classic.chains.combine_documents.base import BaseCombineDocumentsChain
from langchain_core.documents import Document

from kb_assistant.answering.coefficients import load_coefficients
from kb_assistant.answering.context import FindSection, in_section
from kb_assistant.answering.extractive.ranking import Candidate, Section, sentence_features
from kb_assistant.answering.extractive.short_answer import short_answer
from kb_assistant.answering.grounding.cite import cite, statements, without_marks
from kb_assistant.answering.relevance.cross_lingual import CrossLingualSimilarity, in_other_language, other_language
from kb_assistant.language import language_of
from vectorstore import Hit, from_documents

__all__ = ["REACH", "SECTION_REACH", "ExtractiveChain", "Sentence", "best_sentences", "features", "sentences"]

REACH = 1
"""How many neighbours on each side of a hit are searched for the answer as well."""
SECTION_REACH = 4
"""How many neighbours on each side show what a passage is about."""

_SECOND = 0.03
"""Least probability to hold the answer at which a second sentence is added."""
_SURE = 0.5
"""Least probability to hold the answer at which words of the first sentence are highlighted."""
_LIST_ITEMS = 6
"""How many list items are quoted after a sentence that introduces them."""

_ROW = re.compile(r"\|.*\|")
_CELL_BORDER = re.compile(r"(?<!\\)\|")
_RULE = re.compile(r"[\s|:+=*_-]*")
_ITEM = re.compile(r"^(?:[-*+•]|\d{1,3}[.)、])\s+")
_QUESTION = re.compile(r"[?？]\s*$")
_INTRODUCTION = re.compile(r"[:：]\s*$")
_UNFINISHED = re.compile(r"[;；…]\s*$")
"""The end of a part of a sentence that goes on in the same line."""
_PAIRS = (("（(", "）)"), ("「", "」"), ("『", "』"), ("《", "》"), ("“", "”"))
_LONGEST_JOINED = 400


@dataclass(frozen=True, slots=True)
class Sentence:
    """A sentence, list item or table row of a passage, `text[start:end]` of it.

    Attributes:
        header: for a table row, the first row of its table.
        place: its position among the sentences of its passage, from 0.
        score: the probability, 0 to 1, that it holds the answer rather than another sentence.
    """

    passage: Hit
    start: int
    end: int
    header: str
    place: int
    score: float = 0.0

    @property
    def text(self) -> str:
        """The words as they stand in the document."""
        return self.passage.text[self.start : self.end]

    @property
    def readable(self) -> str:
        """The words as an answer: a row's cells with their columns' names, a list item without its marker."""
        names, cells = _cells(self.header), _cells(self.text)
        if not self.header or len(names) != len(cells):
            return "\n".join(_ITEM.sub("", " ".join(line.split()), count=1) for line in self.text.split("\n"))
        colon, comma = ("：", "；") if language_of(self.text) == "zh" else (": ", "; ")
        pairs = zip(names, cells, strict=True)
        return comma.join(f"{name}{colon}{cell}" if name else cell for name, cell in pairs if cell)


class ExtractiveChain(BaseCombineDocumentsChain):
    """Picks the one or two sentences that most likely hold the answer."""

    section: FindSection | None = None
    """Finds the neighbours of a passage; None where they are not known."""
    similarity: CrossLingualSimilarity | None = None
    """Compares texts of different languages; None if the vectors cannot."""

    def combine_docs(self, docs: list[Document], **kwargs: Any) -> tuple[str, dict[str, Any]]:
        """Return the sentences that answer a question, their `citations`, and the `highlights` in the text.

        Args:
            docs: the passages, the best first, as `vectorstore.as_document` makes them.
            kwargs: `question`, and `weights`: its terms with their weights.
        """
        question, hits = kwargs["question"], from_documents(docs)
        if self.similarity and len(in_other_language(question, hits)) == len(hits) and self._knows(question):
            chosen = _most_alike(question, hits, self.similarity)
        else:
            chosen = best_sentences(question, kwargs["weights"], hits, self.section)
        texts = [without_marks(sentence.readable) for sentence in chosen]
        text = "\n".join(f"{words} [{sentence.passage.rank}]" for words, sentence in zip(texts, chosen, strict=True))
        span = short_answer(question, texts[0]) if chosen and chosen[0].score >= _SURE else None
        citations = tuple(cite(sentence.passage, sentence.start, sentence.end) for sentence in chosen)
        return text, {"citations": citations, "highlights": (span,) if span else ()}

    def _knows(self, question: str) -> bool:
        language = language_of(question)
        return self.similarity is not None and self.similarity.supports(language, other_language(language))

    async def acombine_docs(self, docs: list[Document], **kwargs: Any) -> tuple[str, dict[str, Any]]:
        """As `combine_docs`; it takes milliseconds."""
        return self.combine_docs(docs, **kwargs)


def best_sentences(
    question: str,
    weights: Mapping[str, float],
    passages: Sequence[Hit],
    section: FindSection | None = None,
) -> list[Sentence]:
    """Return the sentence that most likely holds the answer, and the second if it may hold it as well.

    Args:
        question: as it was asked.
        weights: its terms with their weights.
        passages: where to look, the best first, each next to its neighbours.
        section: finds the neighbours of a passage; None where they are not known.
    """
    model = load_coefficients(f"extractive_{language_of(question)}")
    found = sentences(passages)
    scores = [model(row) for row in features(question, weights, found, section)]
    most = max(scores, default=0.0)
    odds = [math.exp(score - most) for score in scores]
    likely = [replace(sentence, score=odd / sum(odds)) for sentence, odd in zip(found, odds, strict=True)]
    likely.sort(key=lambda sentence: -sentence.score)
    return [sentence for place, sentence in enumerate(likely[:2]) if place == 0 or sentence.score >= _SECOND]


def _most_alike(question: str, passages: Sequence[Hit], similarity: CrossLingualSimilarity) -> list[Sentence]:
    """Return the sentence nearest in meaning; across languages, terms in common mean nothing."""
    found = sentences([passage for passage in passages if not passage.neighbour])  # embedding takes time
    alike = similarity.compare(question, [sentence.readable for sentence in found])
    return [max(zip(alike, found, strict=True), key=lambda pair: pair[0])[1]] if found else []


def features(
    question: str,
    weights: Mapping[str, float],
    found: Sequence[Sentence],
    section: FindSection | None = None,
) -> list[dict[str, float]]:
    """Return the features for ranking each of the passages' `sentences`; see `best_sentences`."""
    places, sections, ranks = _sections(
        list({sentence.passage.id: sentence.passage for sentence in found}.values()), section
    )
    candidates = []
    for sentence in found:
        number, order = places[sentence.passage.id]
        candidates.append(
            Candidate(
                text=f"{sentence.header} {sentence.text}".strip(),
                section=number,
                rank=ranks.get(sentence.passage.id, sections[number].rank),
                order=order,
                place=sentence.place,
                asks=bool(_QUESTION.search(sentence.text)),
                row=bool(sentence.header),
            )
        )
    return sentence_features(question, weights, candidates, sections)


def _sections(
    passages: Sequence[Hit], section: FindSection | None
) -> tuple[dict[int, tuple[int, int]], list[Section], dict[int, int]]:
    """Return each passage's section and position in it, the sections, and the ranks of the hits."""
    places: dict[int, tuple[int, int]] = {}
    sections: list[Section] = []
    ranks: dict[int, int] = {}
    for passage in sorted(passages, key=lambda hit: hit.neighbour):
        key, rank = passage.id, len(ranks)
        if not passage.neighbour:
            ranks[key] = rank
        if key in places:
            number = places[key][0]
            sections[number] = replace(sections[number], found=sections[number].found + (key in ranks))
            continue
        around = in_section(passage, section, SECTION_REACH)
        for order, neighbour in enumerate(around):
            places.setdefault(neighbour.id, (len(sections), order))
        sections.append(_section(passage, around, rank))
    return places, sections, ranks


def _section(passage: Hit, around: Sequence[Hit], rank: int) -> Section:
    lead = next(_sentences(around[0]), None)
    return Section(
        around=" ".join((passage.source, passage.title or "", passage.heading_path)),
        lead=lead.text if lead else "",
        text="\n".join(neighbour.text for neighbour in around),
        rank=rank,
        found=1,
    )


def sentences(passages: Sequence[Hit]) -> list[Sentence]:
    """Return the sentences, list items and table rows of the passages in order, each text once."""
    found: dict[str, Sentence] = {}
    for passage in passages:
        for sentence in _sentences(passage):
            found.setdefault(sentence.text, sentence)
    return list(found.values())


def _sentences(passage: Hit) -> Iterator[Sentence]:
    text = passage.text
    spans = _whole(text, statements(passage))
    header = ""
    for place, (start, end) in enumerate(spans):
        sentence = text[start:end]
        following = text[slice(*spans[place + 1])] if place + 1 < len(spans) else ""
        if _RULE.fullmatch(sentence):
            continue
        if not _ROW.fullmatch(sentence):
            header = ""
        elif following and _RULE.fullmatch(following):
            header = sentence
            continue
        if _INTRODUCTION.search(sentence):
            end = _list_end(text, spans[place + 1 :], end)
        yield Sentence(passage, start, end, header, place)


def _whole(text: str, spans: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """Join spans of a line that were split at a semicolon or inside brackets."""
    joined: list[tuple[int, int]] = []
    for start, end in spans:
        before = joined[-1] if joined else None
        if before and "\n" not in text[before[1] : start] and _goes_on(text[slice(*before)]):
            joined[-1] = (before[0], end)
        else:
            joined.append((start, end))
    return joined


def _goes_on(words: str) -> bool:
    """Whether a sentence ends at a semicolon, or inside brackets or quotation marks."""
    if len(words) > _LONGEST_JOINED:
        return False
    opened = max(sum(map(words.count, pair[0])) - sum(map(words.count, pair[1])) for pair in _PAIRS)
    return opened > 0 or bool(_UNFINISHED.search(words))


def _list_end(text: str, following: Sequence[tuple[int, int]], end: int) -> int:
    """Return where the list ends that a sentence introduces; the sentence's end if no list follows."""
    for start, item_end in following[:_LIST_ITEMS]:
        if not _ITEM.match(text[start:item_end]):
            break
        end = item_end
    return end


def _cells(row: str) -> list[str]:
    inner = row.strip().removeprefix("|").removesuffix("|")
    return [cell.strip().replace("\\|", "|") for cell in _CELL_BORDER.split(inner)]
