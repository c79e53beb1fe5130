"""Questions in one language about documents in the other, with an embedding model that knows both."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from bilingual_model import make_bilingual_model

from kb_assistant import Assistant
from kb_assistant.answering.grounding.ground import ground
from kb_assistant.answering.relevance.cross_lingual import (
    CALIBRATION_PAIRS,
    CrossLingualSimilarity,
    cross_lingual_relevance,
)
from kb_assistant.language import language_of
from vectorstore import HashedEmbeddings, Hit, load_embeddings

ENGLISH = (
    "# Desk\n\nVisitors sign in at the desk.\n\n# Meals\n\nThe canteen closes at 14:00. It is beside the parking.\n\n"
    "# Machine\n\nThe warranty of the machine lasts 24 months.\n"
)
CHINESE = (
    "# 前台\n\n访客请到前台登记。\n\n# 食堂\n\n食堂十四点关门。食堂旁边可以停车。\n\n"
    "# 机器\n\n机器的保修期持续24个月。\n"
)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_bilingual_model(tmp_path_factory.mktemp("models") / "bilingual")


@pytest.fixture
def similarity(model: Path) -> CrossLingualSimilarity:
    return CrossLingualSimilarity(load_embeddings(str(model), model.parent))


@pytest.fixture
def english(model: Path, tmp_path: Path) -> Iterator[Assistant]:
    yield from opened(tmp_path, ENGLISH, str(model))


@pytest.fixture
def chinese(model: Path, tmp_path: Path) -> Iterator[Assistant]:
    yield from opened(tmp_path, CHINESE, str(model))


def opened(folder: Path, text: str, model: str) -> Iterator[Assistant]:
    (folder / "docs").mkdir()
    (folder / "docs" / "office.md").write_text(text, encoding="utf-8")
    with Assistant.open(folder / "home", embedding_model=model, engine="extractive", chunk_tokens=32) as kb:
        kb.ingest(folder / "docs")
        yield kb


def passage(text: str, cosine: float | None) -> Hit:
    return Hit(id=1, source="a.md", text=text, rank=1, score=0.5, cosine=cosine)


def test_what_is_known_is_the_same_in_both_languages() -> None:
    assert len(CALIBRATION_PAIRS["zh"]) == len(CALIBRATION_PAIRS["en"])
    for language, pairs in CALIBRATION_PAIRS.items():
        assert all(language_of(text) == language for pair in pairs for text in pair)


def test_a_chinese_question_is_answered_from_an_english_document(english: Assistant) -> None:
    answer = english.ask("机器的保修期多长？")
    assert not answer.refused
    assert answer.citations[0].quote == "The warranty of the machine lasts 24 months."
    assert (answer.citations[0].source, answer.citations[0].line_start) == ("office.md", 11)


def test_an_english_question_is_answered_from_a_chinese_document(chinese: Assistant) -> None:
    answer = chinese.ask("When does the canteen close?")
    assert [one.quote for one in answer.citations] == ["食堂十四点关门。"]
    assert not answer.refused


def test_what_the_other_language_does_not_say_either_is_refused(english: Assistant) -> None:
    assert english.ask("养老金的费用是多少？").refused
    assert english.ask("水稻什么时候收割？").refused


def test_in_one_language_shared_terms_decide(english: Assistant) -> None:
    assert not english.ask("How long does the warranty of the machine last?").refused
    assert english.ask("What does the pension plan cost?").refused


def test_vectors_that_do_not_know_both_languages_tell_nothing(shared: Path) -> None:
    one_language = CrossLingualSimilarity(load_embeddings(str(shared / "models" / "potion-static-en-st"), shared))
    assert one_language.supports("en", "en")
    assert not one_language.supports("zh", "en")
    assert not one_language.supports("en", "zh")
    assert cross_lingual_relevance("食堂几点关门？", [passage(ENGLISH, 0.9)], one_language) == 0.0
    assert not CrossLingualSimilarity(HashedEmbeddings()).supports("en", "en")


def test_relevance_rises_with_the_cosine(similarity: CrossLingualSimilarity) -> None:
    assert similarity.supports("zh", "en")
    assert similarity.supports("en", "zh")
    judged = [
        cross_lingual_relevance("食堂几点关门？", [passage(ENGLISH, cosine)], similarity) for cosine in (0.0, 0.5, 1.0)
    ]
    assert judged[0] < 0.05 < judged[1] < 0.9 < judged[2]
    assert cross_lingual_relevance("食堂几点关门？", [passage(CHINESE, 1.0)], similarity) == 0.0, (
        "that is in its own language"
    )
    assert cross_lingual_relevance("食堂几点关门？", [passage(ENGLISH, None)], similarity) == 0.0


def test_a_sentence_is_tied_to_what_says_the_same_in_the_other_language(similarity: CrossLingualSimilarity) -> None:
    shown = [passage("The warranty of the machine lasts 24 months. The canteen closes at 14:00.", 0.8)]
    held = ground("机器的保修期持续24个月。", shown, similarity)
    assert held.text == "机器的保修期持续24个月。 [1]"
    assert held.citations[0].quote == "The warranty of the machine lasts 24 months."
    assert not ground("机器的保修期持续24个月。", shown).citations, "without a model of both languages"


@pytest.mark.parametrize("said", ["机器的保修期持续36个月。", "Lenovo机器的保修期持续24个月。", "水稻收割持续24个月。"])
def test_other_numbers_names_and_things_are_not_supported(similarity: CrossLingualSimilarity, said: str) -> None:
    shown = [passage("The warranty of the machine lasts 24 months.", 0.8)]
    found = ground(said, shown, similarity)
    assert (found.text, found.unsupported) == (said, ((0, len(said)),))
    assert found.citations == ()


def test_an_english_sentence_needs_the_numbers_of_a_chinese_one(similarity: CrossLingualSimilarity) -> None:
    shown = [passage("食堂十四点关门。", 0.8)]
    assert ground("The canteen closes at fourteen.", shown, similarity).citations
    assert not ground("The canteen closes at fifteen.", shown, similarity).citations
