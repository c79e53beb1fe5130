import pytest
from wordfreq import get_frequency_dict

from kb_assistant.answering.relevance.term_rarity import RAREST, _words, rarities
from vectorstore import terms


def rarity(word: str) -> float:
    """The rarity of a word's longest term: of its stem, or of its last pair of characters."""
    term = list(terms(word))[-1]
    return rarities([term])[term]


def test_words_are_the_rarer_the_less_they_are_used() -> None:
    assert rarity("the") == 0.0
    assert rarity("time") < rarity("nickname") < rarity("photosynthesis") <= RAREST
    assert rarity("时间") < rarity("绰号") <= RAREST


def test_words_in_no_list_are_the_rarest() -> None:
    assert rarity("Xyzzyq") == rarity("1794") == RAREST


def test_characters_of_two_words_are_as_rare_as_the_rarer_one() -> None:
    found = rarities(["假有", "假", "有"])
    assert found["假有"] == found["假"] > found["有"]


def test_forms_of_a_word_and_of_a_character_are_one() -> None:
    assert rarity("closing") == rarity("close")
    assert rarity("時間") == rarity("时间")


def test_english_words_are_as_rare_as_english_texts_have_them() -> None:
    assert rarity("house") < 2.0


@pytest.mark.parametrize("language", ["en", "zh"])
def test_the_lists_are_wordfreqs(language: str) -> None:
    assert dict(_words(language)) == get_frequency_dict(language, wordlist="small")
