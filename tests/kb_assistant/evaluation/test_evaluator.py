"""`kb eval`: what it prints, and that its figures are those of the documents and the assistant as they are."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from paths import DATA, SAMPLES

from kb_assistant import Assistant
from kb_assistant.errors import UsageError
from kb_assistant.evaluation import measure, read_questions
from kb_assistant.evaluation.corpus import index_documents
from kb_assistant.evaluation.runner import METHODS, ask_all, rank_by, ranks_of

HANDBOOK_QUESTIONS = DATA / "handbook_questions.jsonl"
ARTICLES = {
    "Rivers": (
        "The Danube rises in the Black Forest and flows into the Black Sea. It is 2,850 kilometres long.",
        [("How long is the Danube?", "2,850 kilometres"), ("Where does the Danube rise?", "Black Forest")],
    ),
    "Kettles": (
        "A kettle boils water. The first electric kettle was sold in Chicago by Carpenter Electric in 1891.",
        [("When was the first electric kettle sold?", "1891"), ("Who sold the first electric kettle?", "Carpenter")],
    ),
    "茶叶": (
        "龙井茶产于浙江杭州，属于绿茶。它的采摘期从三月下旬开始。",
        [("龙井茶产于哪里？", "浙江杭州"), ("龙井茶的采摘期从什么时候开始？", "三月下旬")],
    ),
    "铁路": (
        "京张铁路由詹天佑主持修建，全长约二百公里，于1909年建成通车。",
        [("京张铁路由谁主持修建？", "詹天佑"), ("京张铁路哪一年建成通车？", "1909年")],
    ),
}


@pytest.fixture
def squad(tmp_path: Path) -> Path:
    """A question set of four articles in the form of SQuAD 1.1."""
    data = [
        {
            "title": title,
            "paragraphs": [
                {
                    "context": context,
                    "qas": [
                        {"question": q, "id": q, "answers": [{"text": a, "answer_start": context.index(a)}]}
                        for q, a in asked
                    ],
                }
            ],
        }
        for title, (context, asked) in ARTICLES.items()
    ]
    path = tmp_path / "squad.json"
    path.write_text(json.dumps({"version": "1.1", "data": data}), encoding="utf-8")
    return path


def test_json_has_the_keys_of_the_contract(kb: Callable[..., Any], squad: Path) -> None:
    run = kb("eval", squad, "--json")
    found = run.json()
    assert run.code == 0
    assert found["n"] == 8
    assert found["articles"] == found["documents"] == 4
    assert {"recall@1", "recall@5", "recall@10", "mrr@10", "ndcg@10"} <= found.keys()
    assert {"contains", "em", "f1"} <= found["answer"].keys()
    assert {"auroc", "precision", "recall"} <= found["refusal"].keys()
    assert {"p50", "p95"} <= found["latency_ms"].keys()
    assert found["ci95"].keys() >= {"recall@1", "contains", "auroc"}


def test_questions_of_four_unlike_articles_find_their_own(kb: Callable[..., Any], squad: Path) -> None:
    found = kb("eval", squad, "--json").json()
    assert found["recall@1"] == found["recall@10"] == found["mrr@10"] == found["ndcg@10"] == 1
    assert found["answer"]["contains"] == 1
    assert 0 < found["answer"]["f1"] < 1, "a sentence is more than the answer"
    assert 0 < found["latency_ms"]["p50"] <= found["latency_ms"]["p95"]


def test_without_unanswerable_questions_half_of_the_articles_are_indexed(kb: Callable[..., Any], squad: Path) -> None:
    refusal = kb("eval", squad, "--json").json()["refusal"]
    assert refusal["out_of_corpus"]
    assert (refusal["answerable"], refusal["unanswerable"]) == (4, 4)
    assert refusal["auroc"] == refusal["recall"] == 1


def test_unanswerable_questions_count_for_refusal_only(kb: Callable[..., Any], squad: Path) -> None:
    values = json.loads(squad.read_text(encoding="utf-8"))
    asked = {"question": "谁发明了电话？", "id": "x", "answers": [], "is_impossible": True}
    values["data"][0]["paragraphs"][0]["qas"].append(asked)
    squad.write_text(json.dumps(values), encoding="utf-8")
    found = kb("eval", squad, "--json").json()
    assert (found["n"], found["answerable"]) == (9, 8)
    assert found["recall@1"] == 1
    assert not found["refusal"]["out_of_corpus"]
    assert (found["refusal"]["answerable"], found["refusal"]["unanswerable"]) == (8, 1)
    assert found["refusal"]["recall"] == 1


def test_the_documents_of_a_set_stay_out_of_the_users_home(kb: Callable[..., Any], squad: Path) -> None:
    assert kb("eval", squad, "--json").code == 0
    assert kb("collections", "--json").json() == []


def test_lines_are_asked_of_a_collection(kb: Callable[..., Any]) -> None:
    samples = SAMPLES
    kb("ingest", samples)
    found = kb("eval", HANDBOOK_QUESTIONS, "--json").json()
    assert (found["n"], found["answerable"], found["documents"]) == (30, 24, 0)
    assert found["recall@5"] > 0.9
    assert found["answer"]["contains"] > 0.8
    assert found["refusal"]["unanswerable"] == 6
    assert found["refusal"]["auroc"] > 0.9


def test_lines_without_a_collection_say_what_to_do(kb: Callable[..., Any]) -> None:
    run = kb("eval", HANDBOOK_QUESTIONS, "--json")
    assert run.code == 3
    assert "kb ingest" in json.dumps(run.json())


def test_a_page_is_hit_only_on_that_page(handbook: Assistant, tmp_path: Path) -> None:
    question = "工龄满五年的员工每年有多少天年休假？"
    hit = handbook.search(question, limit=1)[0]
    for page, answered in ((hit.page, 1.0), (99, 0.0)):
        line = {"question": question, "answers": ["17 天"], "source": hit.source, "page": page}
        path = tmp_path / "lines.jsonl"
        path.write_text(json.dumps(line), encoding="utf-8")
        found = handbook.evaluate(path).base
        assert found.means["recall@10"] == answered
    assert found.refusal.auroc is None, "there is nothing to be refused"


def test_lines_without_a_source_want_a_passage_that_holds_an_answer(handbook: Assistant, tmp_path: Path) -> None:
    path = tmp_path / "lines.jsonl"
    lines = [
        {"question": "工龄满五年的员工每年有多少天年休假？", "answers": [answer]} for answer in ("17 天", "1700 天")
    ]
    path.write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")
    assert handbook.evaluate(path).base.scores["recall@10"] == (1.0, 0.0)


def test_compare_runs_a_second_setting_on_the_same_questions(kb: Callable[..., Any], squad: Path) -> None:
    found = kb("eval", squad, "--compare", "refuse_below=1", "--compare", "passages=1", "--json").json()
    other = found["compare"]
    assert other["settings"] == {"refuse_below": "1", "passages": "1"}
    assert other["n"] == found["n"]
    assert other["recall@1"] == found["recall@1"]
    difference = other["differences"]["contains"]
    assert difference["difference"] == pytest.approx(other["answer"]["contains"] - found["answer"]["contains"])
    assert other["differences"]["recall@1"]["p"] == 1


def test_the_table_names_both_settings(kb: Callable[..., Any], squad: Path) -> None:
    out = kb("eval", squad, "--compare", "passages=1").out
    assert "passages=1" in out
    assert "recall@1" in out
    assert "100.0" in out


@pytest.mark.parametrize(
    ("argument", "said"),
    [("passages", "SETTING=VALUE"), ("pasages=1", "unknown setting"), ("passages=many", "cannot be 'many'")],
)
def test_what_cannot_be_compared_is_told(kb: Callable[..., Any], squad: Path, argument: str, said: str) -> None:
    run = kb("eval", squad, "--compare", argument)
    assert run.code == 2
    assert said in run.err


def test_limit_draws_the_same_questions_every_time(squad: Path) -> None:
    whole = read_questions(squad)
    few = whole.sampled(3)
    assert few.questions == read_questions(squad).sampled(3).questions
    assert len(set(few.questions)) == 3
    assert few.documents == whole.documents
    assert whole.sampled(100) is whole


def test_every_way_to_find_passages_finds_them(squad: Path, own_home: Path) -> None:
    asked = read_questions(squad)
    with Assistant.open(own_home) as assistant:
        index_documents(assistant.knowledge_base, asked.documents, "four")
        for method in METHODS:
            for question in asked.questions:
                hits = rank_by(method, assistant.knowledge_base, question.text, "four")
                assert len({hit.source for hit in hits}) == len(hits) <= 4
                assert ranks_of(hits, question), (method, question.text)
        with pytest.raises(ValueError, match="bm25, dense, hybrid"):
            rank_by("guess", assistant.knowledge_base, "?", "four")


def test_on_a_shared_set_what_is_there_is_found(shared: Path, own_home: Path) -> None:
    asked = read_questions(shared / "data/eval/squad_xquad/xquad_zh_13articles_SHARE.json").sampled(60)
    with Assistant.open(own_home) as assistant:
        found = measure(assistant.knowledge_base, asked, "eval", {}, lambda *_: None, METHODS)
    assert (found.n, found.documents, found.articles) == (60, 65, len({one.group for one in asked.questions}))
    assert found.means["recall@5"] > 0.95
    assert found.means["contains"] > 0.7
    assert found.refusal.auroc is not None
    assert found.refusal.auroc > 0.95
    assert found.alone["hybrid"]["recall@1"] == found.scores["recall@1"], "hybrid is what a search gives"
    assert found.alone["dense"]["recall@1"] != found.alone["bm25"]["recall@1"]


def test_the_relevance_measured_is_what_refusal_goes_by(handbook: Assistant) -> None:
    asked = read_questions(HANDBOOK_QUESTIONS).questions
    results = ask_all(handbook.knowledge_base, asked, "default", lambda *_: None, "")
    assert {one.answer.refused for one in results} == {True, False}
    for one in results:
        assert one.answer.refused == (one.relevance < handbook.settings.refuse_below), one.question.text
        assert one.said == ("" if one.answer.refused else one.answer.text)


def test_an_unreadable_file_is_told(tmp_path: Path) -> None:
    for name, content in {
        "none.json": None,
        "broken.json": '{"data": [',
        "list.json": "[]",
        "empty.json": '{"data": []}',
        "other.json": '{"title": "x"}',
        "page.jsonl": '{"question": "q", "answers": ["a"], "source": "s", "page": 0}',
        "answers.jsonl": '{"question": "q", "answers": [3]}',
    }.items():
        path = tmp_path / name
        if content is not None:
            path.write_text(content, encoding="utf-8")
        with pytest.raises(UsageError, match=name):
            read_questions(path)


def test_rgb_lines_have_one_place_for_each_part_of_the_answer(tmp_path: Path) -> None:
    lines = [
        {"query": "a", "answer": [["1", "one"], "2"], "positive": [["p1", "p2"], ["p3"]], "negative": ["n1"]},
        {"query": "b", "answer": "3", "positive": ["p4", "p5"], "negative": ["n1", "n2"]},
    ]
    path = tmp_path / "rgb.json"
    path.write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")
    found = read_questions(path)
    first, second = found.questions
    assert first.answers == (("1", "one"), ("2",))
    assert [len(place.sources) for place in first.places] == [2, 1]
    assert second.answers == (("3",),)
    assert [len(place.sources) for place in second.places] == [2]
    assert [document.text for document in found.documents] == ["p1", "p2", "p3", "n1", "p4", "p5", "n2"]
    assert len({document.group for document in found.every_other_group()}) == 1


def test_only_a_line_feed_ends_a_json_line(tmp_path: Path) -> None:
    asked = ["one\u2028line", "another\x85one"]
    path = tmp_path / "lines.jsonl"
    lines = [json.dumps({"question": one, "answers": []}, ensure_ascii=False) for one in asked]
    path.write_bytes("\r\n\r\n".join([*lines, ""]).encode())
    assert [one.text for one in read_questions(path).questions] == asked


def test_a_paragraph_that_stands_twice_is_one_document(squad: Path) -> None:
    values = json.loads(squad.read_text(encoding="utf-8"))
    values["data"].append(values["data"][0])
    squad.write_text(json.dumps(values), encoding="utf-8")
    found = read_questions(squad)
    assert len(found.documents) == 4
    assert len(found.questions) == 10


def test_a_question_without_words_is_left_out(squad: Path) -> None:
    values = json.loads(squad.read_text(encoding="utf-8"))
    values["data"][0]["paragraphs"][0]["qas"][0]["question"] = " "
    squad.write_text(json.dumps(values), encoding="utf-8")
    assert len(read_questions(squad).questions) == 7
