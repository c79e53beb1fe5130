"""Questions to the sample handbook, through the Python API, with the extractive engine."""

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from langchain_core.retrievers import BaseRetriever
from paths import SAMPLES

from ingest import load
from kb_assistant import Answer, Assistant, Turn
from kb_assistant.errors import Cancelled, ModelError, SettingsError, UsageError


def test_the_handbook_answers_what_it_holds(handbook: Assistant, handbook_questions: list[dict[str, Any]]) -> None:
    asked = [question for question in handbook_questions if question["answers"]]
    right = 0
    for question in asked:
        answer = handbook.ask(question["question"])
        sources = {citation.source for citation in answer.citations}
        holds = any(gold in answer.text for gold in question["answers"])
        right += holds and not answer.refused and question["source"] in sources
    assert right >= 23, f"{right} of {len(asked)}"


def test_the_handbook_refuses_what_it_does_not_hold(
    handbook: Assistant, handbook_questions: list[dict[str, Any]]
) -> None:
    absent = [question["question"] for question in handbook_questions if not question["answers"]]
    refused = [handbook.ask(question).refused for question in absent]
    assert sum(refused) >= 5, dict(zip(absent, refused, strict=True))


@pytest.mark.parametrize(
    ("question", "answered"),
    [
        ("How many days of annual leave?", True),
        ("Annual leave: how many days?", True),
        ("How much leave do I get?", True),
        ("What is the capital of France?", False),
        ("差旅補貼每天多少錢？", True),
        ("公司班车几点发车？", False),
    ],
)
def test_a_folder_of_two_sentences_is_enough(tmp_path: Path, question: str, answered: bool) -> None:
    folder = tmp_path / "docs"
    folder.mkdir()
    (folder / "a.md").write_text("Staff get 15 days of annual leave.\n")
    (folder / "b.md").write_text("差旅补贴每天 120 元。\n")
    with Assistant.open(tmp_path / "home") as kb:
        kb.ingest(folder)
        assert kb.ask(question).refused is not answered


def test_documents_in_another_language_are_named(tmp_path: Path) -> None:
    (tmp_path / "leave.md").write_text("Staff get 15 days of annual leave. Hotels cost up to 580 yuan a night.\n")
    with Assistant.open(tmp_path / "home") as kb:
        kb.ingest(tmp_path / "leave.md")
        answer = kb.ask("酒店每晚最多可以报多少钱？")
        assert answer.refused
        assert answer.text == "这些文档里没有这个问题的答案。\n有些文档是英文的；用英文提问也许能找到更多。"
        assert answer.citations[0].source == "leave.md"
        assert "\n" not in kb.ask("What is the capital of France?").text


def test_a_refusal_speaks_the_questions_language_and_offers_passages(handbook: Assistant) -> None:
    chinese, english = handbook.ask("月球背面有多冷？"), handbook.ask("How cold is the far side of the moon?")
    assert chinese.refused
    assert chinese.text == "这些文档里没有这个问题的答案。\n有些文档是英文的；用英文提问也许能找到更多。"
    assert english.refused
    said = "Some of the documents are in Chinese; asked in Chinese, the question may find more."
    assert english.text == f"The answer is not in these documents.\n{said}"
    assert english.citations


def test_citations_stand_in_the_document(handbook: Assistant, handbook_questions: list[dict[str, Any]]) -> None:
    for question in handbook_questions:
        for citation in handbook.ask(question["question"]).citations:
            document = load(SAMPLES / citation.source)
            assert citation.quote in document.text
            assert 1 <= citation.line_start <= citation.line_end
            assert 0 <= citation.score <= 1
            if citation.source.endswith((".md", "release-notes.txt")):
                lines = (SAMPLES / citation.source).read_text(encoding="utf-8").split("\n")
                assert citation.quote in "\n".join(lines[citation.line_start - 1 : citation.line_end])


def test_a_pdf_is_cited_by_page(handbook: Assistant) -> None:
    pages = {hit.page for hit in handbook.search("气象站 规格", source="product-specs.pdf")}
    assert pages == {1, 2}


def test_the_stream_ends_with_the_answer(handbook: Assistant) -> None:
    *pieces, answer = handbook.stream("How long is the warranty on rechargeable batteries?")
    assert isinstance(answer, Answer)
    assert "".join(piece for piece in pieces if isinstance(piece, str)) == answer.text
    assert "9 months" in answer.text
    assert answer.timing.retrieval_s <= answer.timing.first_token_s <= answer.timing.total_s


def test_a_follow_up_is_understood(handbook: Assistant) -> None:
    first = "How long is the warranty on rechargeable batteries?"
    answer = handbook.ask("And what is the remedy for them?", history=[Turn(first, first)])
    assert "warranty-returns.html" in {citation.source for citation in answer.citations}


def test_search_can_be_narrowed_to_sources(handbook: Assistant) -> None:
    assert {hit.source for hit in handbook.search("access", source="*.md")} <= {
        "vpn-access.md",
        "on-call.md",
        "员工手册.md",
    }
    assert handbook.search("access", source="nothing-*") == []


def test_scores_are_similarities(handbook: Assistant) -> None:
    hits = handbook.search("rechargeable batteries warranty", limit=20)
    assert [hit.rank for hit in hits] == list(range(1, len(hits) + 1))
    assert all(0 <= hit.score <= 1 for hit in hits)
    assert hits[0].score > hits[-1].score


@pytest.mark.parametrize(
    ("question", "message"), [("", "empty"), (" \n ", "empty"), ("啊" * 100_000, "100,000 characters")]
)
def test_a_question_that_cannot_be_put(handbook: Assistant, question: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        handbook.ask(question)
    with pytest.raises(UsageError, match=message):
        handbook.search(question)


@pytest.mark.parametrize("question", ["？？？", '"" OR ""', "NEAR(a b) *", "🙂", "\x00", "的 了 吗", "the of and"])
def test_odd_questions_do_no_harm(handbook: Assistant, question: str) -> None:
    assert isinstance(handbook.ask(question), Answer)


@pytest.fixture(scope="module")
def numbered(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Assistant]:
    """An assistant with five documents that name codes and years, or none."""
    folder = tmp_path_factory.mktemp("numbered")
    (folder / "errors.md").write_text("# Error codes\n\nError code E31 means low oil level.\n")
    (folder / "合同.md").write_text("# 供货合同\n\n合同编号 HT-2023-0871，合同单价为每件 12 元。\n")
    (folder / "minutes.md").write_text("# Board\n\nThe marketing budget for 2024 was 2.4 million dollars.\n")
    (folder / "租约.md").write_text("# 租约\n\n2024年的月租金是 3200 元。\n")
    (folder / "休假.md").write_text("# 休假\n\n年假每年有 15 天。\n")
    with Assistant.open(tmp_path_factory.mktemp("numbered-home")) as kb:
        kb.ingest(folder)
        yield kb


@pytest.mark.parametrize(
    ("question", "said"),
    [
        ("What does error code E31 mean?", "low oil"),
        ("What does error code E-31 mean?", "low oil"),
        ("What does error code E42 mean?", "No document mentions E42."),
        ("编号 HT-2023-0871 的合同单价是多少？", "12 元"),
        ("编号 HT2023 0871 的合同单价是多少？", "12 元"),
        ("编号 HT-2023-0999 的合同单价是多少？", "没有一份文档提到 HT-2023-0999。"),
        ("What was the marketing budget for 2024?", "2.4 million"),
        ("What was the marketing budget for 2021?", "The answer is not in these documents."),
        ("二〇二四年的月租金是多少？", "3200 元"),
        ("2023年的月租金是多少？", "这些文档里没有这个问题的答案。"),
        ("2023年年假有几天？", "15 天"),
    ],
)
def test_what_no_document_names_is_not_answered_with_its_neighbour(
    numbered: Assistant, question: str, said: str
) -> None:
    assert said in numbered.ask(question).text


@pytest.mark.parametrize(
    "question",
    [
        "".join(chr(0x4E00 + 7 * number % 20_000) for number in range(9_990)),
        "年" * 9_000 + "1",
        "呢" + " " * 9_900 + "x",
        "Ab " * 3_000,
    ],
)
def test_the_longest_question_takes_no_longer_than_its_length(handbook: Assistant, question: str) -> None:
    began = time.perf_counter()
    handbook.ask(question, history=[Turn("年假有几天？", "年假有几天？")])
    assert time.perf_counter() - began < 4


def test_whoever_has_stopped_is_not_answered_and_may_ask_again(handbook: Assistant) -> None:
    stop, seen = threading.Event(), []
    question = "工作满一年有几天年休假？"
    for _ in range(2):
        assert isinstance(list(handbook.stream(question, stop=stop))[-1], Answer)
        assert not stop.is_set()
    stop.set()
    with pytest.raises(Cancelled):
        list(handbook.stream(question, stop=stop, on_passages=seen.append))
    assert not seen


def test_an_observer_hears_of_an_engine_that_cannot_be_loaded(tmp_path: Path) -> None:
    outcomes: list[Any] = []
    with Assistant.open(tmp_path / "home", engine="ipex", model=str(tmp_path / "absent")) as kb:
        kb.observers.append(outcomes.append)
        kb.ingest(SAMPLES / "员工手册.md")
        with pytest.raises(ModelError):
            kb.ask("年休假有几天？")
    assert [type(one) for one in outcomes] == [ModelError]


def test_it_is_a_langchain_retriever(handbook: Assistant) -> None:
    assert isinstance(handbook.retriever, BaseRetriever)
    (first, *_) = handbook.retriever.invoke("VPN access")
    assert first.metadata["source"] == "vpn-access.md"


def test_it_is_a_retrieval_qa_chain(handbook: Assistant) -> None:
    from langchain_classic.chains import RetrievalQA

    assert isinstance(handbook.chain, RetrievalQA)
    result = handbook.chain.invoke({"query": "How long is the warranty on rechargeable batteries?"})
    assert "9 months" in result["result"]
    assert result["source_documents"]


def test_an_engine_without_a_model_says_what_to_do() -> None:
    with Assistant.open(engine="ipex") as kb, pytest.raises(UsageError, match="needs a model; name one with --model"):
        _ = kb.engine


@pytest.mark.parametrize("make", [lambda path: None, lambda path: path.mkdir()])
def test_a_model_folder_that_will_not_do(tmp_path: Path, make: Any) -> None:
    folder = tmp_path / "model"
    make(folder)
    with Assistant.open(model=str(folder)) as kb, pytest.raises(ModelError, match="model"):
        _ = kb.engine


def test_an_unknown_engine() -> None:
    with pytest.raises(SettingsError, match="setting engine"):
        Assistant.open(engine="gpt")
