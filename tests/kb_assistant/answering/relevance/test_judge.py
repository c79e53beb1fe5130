import json
import math
from pathlib import Path

import pytest
from paths import ROOT

from kb_assistant import Assistant
from kb_assistant.answering.relevance.judge import relevance, relevance_features
from kb_assistant.settings import Settings
from vectorstore import Hit, query_terms

BELOW = Settings.model_fields["refuse_below"].default
CANTEEN = "The canteen closes at 14:00. Visitors sign in at the desk."


def passage(text: str) -> Hit:
    return Hit(id=1, source="office.md", text=text, rank=1, score=0.0)


def judge(question: str, *passages: Hit) -> float:
    return relevance(question, dict.fromkeys(query_terms(question), 3.0), passages)


def test_what_passages_say_is_likelier_than_what_they_do_not() -> None:
    held = judge("When does the canteen close?", passage(CANTEEN))
    absent = judge("What does the pension plan cost?", passage(CANTEEN))
    assert 0 <= absent < BELOW < held <= 1


def test_chinese() -> None:
    held = judge("食堂几点关门？", passage("办公室八点开门。食堂十四点关门。"))
    absent = judge("养老金怎么交？", passage("办公室八点开门。食堂十四点关门。"))
    assert absent < BELOW < held


def test_nothing_found_is_not_relevant() -> None:
    assert judge("When does the canteen close?") == 0.0


def test_a_question_without_terms_is_judged_all_the_same() -> None:
    assert 0 <= judge("???", passage(CANTEEN)) <= 1
    assert relevance_features("???", {}, [passage(CANTEEN)]) == {}


def test_terms_side_by_side_say_more_than_scattered_ones() -> None:
    near = relevance_features("canteen closing hours", {"canteen": 1.0, "close": 1.0}, [passage(CANTEEN)])
    text = "The canteen is on the left. " + "It is a room with many tables and chairs. " * 8 + "Please close windows."
    far = relevance_features("canteen closing hours", {"canteen": 1.0, "close": 1.0}, [passage(text)])
    assert near["rarity_found"] == far["rarity_found"]
    assert near["close_here"] == math.log(3) > far["close_here"]
    assert near["close_anywhere"] > far["close_anywhere"]


def test_a_question_in_another_language_shares_no_terms() -> None:
    assert judge("食堂几点关门？", passage(CANTEEN)) < BELOW


def test_every_feature_has_a_coefficient() -> None:
    path = ROOT / "kb_assistant" / "answering" / "coefficients" / "relevance.json"
    found = json.loads(path.read_text(encoding="utf-8"))
    assert set(relevance_features("Who is Ann?", {"ann": 2.0}, [passage(CANTEEN)])) == set(found["coefficients"])
    assert all(map(math.isfinite, found["coefficients"].values()))


@pytest.mark.parametrize(("part", "other"), [(0, 1), (1, 0)])
@pytest.mark.parametrize("language", ["en", "zh"])
def test_out_of_corpus(shared: Path, tmp_path: Path, language: str, part: int, other: int) -> None:
    """Half of the articles are indexed: of 97 % of their questions kept, nine tenths of the others must be caught."""
    path = shared / "data" / "eval" / "squad_xquad" / f"xquad_{language}_13articles_SHARE.json"
    articles = json.loads(path.read_text(encoding="utf-8"))["data"]
    (tmp_path / "docs").mkdir()
    for number, article in enumerate(articles[part::2]):
        for place, paragraph in enumerate(article["paragraphs"]):
            (tmp_path / "docs" / f"{number}-{place}.txt").write_text(paragraph["context"], encoding="utf-8")

    def scores(kb: Assistant, which: int) -> list[float]:
        asked = [
            one["question"] for article in articles[which::2] for para in article["paragraphs"] for one in para["qas"]
        ]
        return [kb.chain.invoke({"query": question})["relevance"] for question in asked[::4]]

    with Assistant.open(engine="extractive") as kb:
        kb.ingest(tmp_path / "docs")
        held, absent = sorted(scores(kb, part)), scores(kb, other)
    threshold = held[math.ceil(0.03 * len(held))]
    caught = sum(score < threshold for score in absent) / len(absent)
    assert caught >= 0.9
