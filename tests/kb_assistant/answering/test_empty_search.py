"""What an answer says where there was nothing to search."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest

from kb_assistant import Assistant
from kb_assistant.answering.empty_search import describe_filter
from kb_assistant.answering.filters import build_filter
from vectorstore import Filter

ZH, EN = "年假有几天？", "How many days of annual leave do staff get?"


@pytest.fixture
def kb(tmp_path: Path) -> Iterator[Assistant]:
    docs = tmp_path / "docs"
    docs.mkdir()
    (docs / "leave.md").write_text("# Leave\n\nStaff get 15 days of annual leave.\n")
    (docs / "travel.txt").write_text("Ann Lee approves the travel claims.\n")
    (docs / "empty.csv").write_text("")
    for path in docs.iterdir():
        os.utime(path, (1_600_000_000, 1_600_000_000))
    with Assistant.open(engine="extractive") as opened:
        opened.ingest(docs)
        yield opened


def refusal(kb: Assistant, question: str, only: Filter | None = None) -> str:
    answer = kb.ask(question, only=only)
    assert (answer.refused, answer.citations) == (True, ())
    assert next(iter(kb.stream(question, only=only))) == answer.text
    return answer.text


def test_a_filter_that_no_document_meets_is_named(kb: Assistant) -> None:
    only = build_filter("*.pdf", since=date(2024, 1, 1))
    assert refusal(kb, EN, only) == (
        "No document matches the filter: *.pdf, changed since 2024-01-01. Documents in the collection: 3."
    )
    assert refusal(kb, ZH, only) == "没有文档符合筛选条件：*.pdf、2024-01-01 起修改。知识库中共有 3 份文档。"
    assert kb.as_chain(only=only).invoke({"query": EN})["result"] == refusal(kb, EN, only)


def test_an_emptied_collection_says_so(kb: Assistant) -> None:
    kb.remove("*")
    assert refusal(kb, EN) == "The collection default has no documents. Add some, then ask again."
    assert refusal(kb, ZH) == "知识库 default 中没有文档。请先添加文档，再提问。"
    assert refusal(kb, EN, build_filter("*.pdf")) == refusal(kb, EN)


def test_documents_without_text_are_named_as_such(kb: Assistant) -> None:
    only = build_filter("empty.*")
    assert refusal(kb, EN, only).startswith("No text could be read from the documents that were to be searched (1 in")
    assert refusal(kb, ZH, only) == "要检索的文档（共 1 份）中没有可读的文字，因此无法检索。"


def test_a_question_without_an_answer_is_refused_as_ever(kb: Assistant) -> None:
    answer = kb.ask("What does the pension plan cost?", only=build_filter("*.md"))
    assert (answer.refused, answer.text) == (True, "The answer is not in these documents.")
    assert answer.citations


def test_a_filter_in_words() -> None:
    only = build_filter("reports/*", ("pdf", "docx"), date(2024, 1, 1), date(2024, 6, 30))
    assert describe_filter(only, "en") == (
        "reports/*, type .pdf or .docx, changed since 2024-01-01, changed until 2024-06-30"
    )
    assert describe_filter(only, "zh") == "reports/*、类型 .pdf 或 .docx、2024-01-01 起修改、2024-06-30 及以前修改"
