"""Passages and hits: the lines they name, and their way through LangChain documents."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from langchain_core.documents import Document

from vectorstore import Hit, Passage, StoreError, as_document, from_documents

TEXT = st.text(st.characters(exclude_categories=("Cs",)), min_size=1)
SHARE = st.floats(0, 1)
PASSAGES = {
    "id": st.integers(1),
    "source": TEXT,
    "title": st.none() | TEXT,
    "text": TEXT,
    "heading": st.lists(TEXT).map(tuple),
    "page": st.none() | st.integers(1),
    "lines": st.lists(st.tuples(st.integers(0), st.integers(1)), min_size=1).map(tuple),
    "repeated": st.integers(0),
    "link": st.none() | TEXT,
    "text_hash": st.binary(),
}
HITS = st.builds(
    Hit,
    **PASSAGES,
    rank=st.integers(1),
    score=SHARE,
    coverage=SHARE,
    cosine=st.none() | SHARE,
    neighbour=st.booleans(),
)


def test_its_lines_are_the_first_and_the_last() -> None:
    passage = Passage(id=7, source="a.md", text="a\nb\nc", lines=((0, 3), (2, 4), (4, 9)))
    assert (passage.line_start, passage.line_end, passage.line_at(3)) == (3, 9, 4)


def test_the_repeated_header_of_a_table_does_not_count_for_its_lines() -> None:
    table = Passage(id=7, source="a.csv", text="| a |\n| 1 |\n| 2 |", lines=((0, 1), (6, 40), (12, 41)), repeated=6)
    assert (table.line_start, table.line_end) == (40, 41)


@given(st.lists(HITS, max_size=3))
def test_langchain_documents_hold_everything_that_a_hit_does(hits: list[Hit]) -> None:
    documents = [as_document(hit) for hit in hits]
    stored = [Document(**json.loads(json.dumps(document.model_dump()))) for document in documents]
    assert from_documents(documents) == from_documents(stored) == hits


def test_a_neighbour_has_its_own_place_and_the_score_of_its_hit() -> None:
    hit = Hit(id=1, source="a.md", text="found", page=1, rank=2, score=0.7, coverage=0.6)
    beside = hit.beside(Passage(id=2, source="a.md", text="next", page=2))
    assert (beside.id, beside.text, beside.page, beside.neighbour) == (2, "next", 2, True)
    assert (beside.rank, beside.score, beside.coverage) == (2, 0.7, 0.6)


def test_documents_of_another_retriever_are_taken_by_their_source() -> None:
    foreign = [
        Document("one\ntwo", metadata={"source": "notes.pdf", "page": 3, "score": 0.25}),
        Document("three", metadata={"source": "b.txt", "page": "iv", "title": "B", "heading": "Top"}),
    ]
    first, second = from_documents(foreign)
    assert (first.source, first.page, first.score, first.rank, first.line_end) == ("notes.pdf", 3, 0.25, 1, 2)
    assert (second.title, second.heading, second.page, second.rank) == ("B", ("Top",), None, 2)
    assert first.id != second.id


def test_a_document_without_a_source_says_what_is_missing() -> None:
    with pytest.raises(StoreError, match=r"document 2 of the retriever .* into its metadata as 'source'"):
        from_documents([Document("a", metadata={"source": "a.md"}), Document("b")])
