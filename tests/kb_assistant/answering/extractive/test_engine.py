from typing import Any

import pytest

from kb_assistant.answering.extractive.engine import ExtractiveChain, best_sentences, sentences
from kb_assistant.answering.extractive.expected_types import cues, expected_type, find_answers
from vectorstore import Hit, as_document, query_terms


def passage(text: str, number: int = 1, heading: str = "") -> Hit:
    above = (heading,) if heading else ()
    return Hit(id=number, source=f"{number}.md", text=text, heading=above, rank=number, score=0.5)


def combine(question: str, *passages: Hit) -> tuple[str, dict[str, Any]]:
    weights = dict.fromkeys(query_terms(question), 1.0)
    return ExtractiveChain().combine_docs([as_document(one) for one in passages], question=question, weights=weights)


def best(question: str, *passages: Hit) -> str:
    weights = dict.fromkeys(query_terms(question), 1.0)
    return best_sentences(question, weights, passages)[0].readable


def test_the_sentence_that_covers_the_question() -> None:
    text = "The office opens at 8. Visitors sign in at the desk. The canteen closes at 14:00."
    assert best("When does the canteen close?", passage(text)) == "The canteen closes at 14:00."


def test_a_sentence_goes_on_after_an_abbreviation() -> None:
    text = "Visitors sign in. The Art. 7 penalty is 300 euros, due by 5 p.m. on Friday. The canteen closes at 14:00."
    expected = "The Art. 7 penalty is 300 euros, due by 5 p.m. on Friday."
    assert best("What is the Art. 7 penalty?", passage(text)) == expected


def test_chinese() -> None:
    assert best("食堂几点关门？", passage("办公室八点开门。食堂十四点关门。访客在前台登记。")) == "食堂十四点关门。"


def test_a_table_row_is_read_with_its_columns() -> None:
    table = "| City | Hotel | Meals |\n| --- | --- | --- |\n| Tier 1 | 580 | 130 |\n| Tier 2 | 420 | 100 |"
    assert best("Hotel limit in a tier 2 city?", passage(table)) == "City: Tier 2; Hotel: 420; Meals: 100"


def test_a_chinese_table_row() -> None:
    table = "| 目的地 | 住宿 |\n| --- | --- |\n| 一类城市 | 580 元 |\n| 二类城市 | 420 元 |"
    assert best("二类城市住宿多少钱？", passage(table)) == "目的地：二类城市；住宿：420 元"


def test_a_table_with_an_empty_corner() -> None:
    table = "|       | Price | Stock |\n| --- | --- | --- |\n| Apple | 3 | 50 |\n| Pear |  | 7 |"
    assert best("What is the price of Apple?", passage(table)) == "Apple; Price: 3; Stock: 50"
    assert best("stock of pear", passage(table)) == "Pear; Stock: 7"


def test_a_table_row_with_another_number_of_cells_is_left_as_it_is() -> None:
    table = "| City | Hotel |\n| --- | --- |\n| Tier 1 | 580 | 130 |"
    assert best("Hotel in a tier 1 city?", passage(table)) == "| Tier 1 | 580 | 130 |"


def test_an_escaped_bar_is_no_border() -> None:
    table = "| Key | Meaning |\n| --- | --- |\n| a\\|b | either of them |"
    assert best("meaning of a b", passage(table)) == "Key: a|b; Meaning: either of them"


def test_a_list_comes_with_the_sentence_that_introduces_it() -> None:
    text = "Bring on your first day:\n- your passport\n- a photo\n\nLunch is at noon."
    assert best("What do I bring on my first day?", passage(text)) == "Bring on your first day:\nyour passport\na photo"


def test_a_hyphen_inside_a_sentence_stays() -> None:
    assert (
        best("Which Python versions?", passage("Python versions 3.10 - 3.13 work."))
        == "Python versions 3.10 - 3.13 work."
    )


def test_a_question_in_the_document_gives_way_to_its_answer() -> None:
    text = "How long is the battery warranty?\n\nThe battery warranty is nine months."
    assert best("How long is the battery warranty?", passage(text)) == "The battery warranty is nine months."


def test_the_heading_counts() -> None:
    leave, other = passage("It is 15 days.", 1, "Annual leave"), passage("It is 20 days.", 2, "Notice period")
    assert best("How many days is the notice period?", leave, other) == "It is 20 days."


def test_the_quote_is_the_documents_own() -> None:
    table = "| City | Hotel |\n| --- | --- |\n| Tier 1 | 580 |"
    (row,) = best_sentences("Tier 1?", {"tier": 1.0, "1": 1.0}, [passage(table)])
    assert row.text == "| Tier 1 | 580 |"


def test_a_bracketed_number_of_the_document_does_not_look_like_a_citation() -> None:
    text = "The alloy melts at 660 degrees, see [7] for more."
    said, more = combine("At how many degrees does the alloy melt?", passage(text, 3))
    assert said == "The alloy melts at 660 degrees, see (7) for more. [3]"
    assert [one.quote for one in more["citations"]] == [text]


def test_highlights_are_spans_of_the_text_that_is_shown() -> None:
    table = "| City [1] | Hotel |\n| --- | --- |\n| Tier 1 | 580 euros |\n| Tier 2 | 420 euros |"
    said, more = combine("How many euros for a hotel in tier 2?", passage(table, 3))
    assert said.startswith("City (1): Tier 2; Hotel: 420 euros [3]")
    assert [said[slice(*span)] for span in more["highlights"]] == ["420 euros"]
    _, nothing = combine("Which city has a cheap hotel?", passage(table, 3))
    assert nothing["highlights"] == ()


def test_no_passages_no_sentences() -> None:
    assert best_sentences("x?", {"x": 1.0}, []) == []


def test_when_prefers_the_sentence_with_a_time() -> None:
    text = "The Tidebook archive was opened by Ann Lee in Kiel. The Tidebook archive opened in 1987 after long delays."
    assert best("When was the Tidebook archive opened?", passage(text)).startswith(
        "The Tidebook archive opened in 1987"
    )


@pytest.mark.parametrize(
    ("question", "first", "second", "elsewhere", "answer"),
    [
        (
            "黄鳍紫鱼体长多少？",
            "黄鳍紫鱼是辐鳍鱼纲的一种，分布于西太平洋。本鱼体型和丝鳍紫鱼非常类似。",
            "栖息在岩礁区，肉食性。体长可达50公分。",
            "石斑鱼体色银白，体长可达30公分。",
            "体长可达50公分。",
        ),
        (
            "What is the filled weight of the Arden pump?",
            "The Arden pump moves water from deep wells. It was first sold in Leeds.",
            "Its frame is cast iron. Its weight is 45 kilograms when filled.",
            "The Bexley pump has a weight of 30 kilograms.",
            "Its weight is 45 kilograms when filled.",
        ),
    ],
)
def test_a_subject_is_known_from_the_passage_before(
    question: str, first: str, second: str, elsewhere: str, answer: str
) -> None:
    found, beside, other = passage(first), passage(second, 2), passage(elsewhere, 3)
    beside = found.beside(beside)
    around = {found.id: [found, beside], other.id: [other]}
    chosen = best_sentences(
        question,
        dict.fromkeys(query_terms(question), 1.0),
        [found, beside, other],
        lambda passage_id, reach: around[passage_id],
    )
    assert chosen[0].readable == answer


def test_a_sentence_is_not_cut_at_a_semicolon_or_inside_brackets() -> None:
    text = "办公室八点开门；食堂（周末休息。节假日除外）十四点关门。访客在前台登记。"
    assert [one.text for one in sentences([passage(text)])] == [
        "办公室八点开门；食堂（周末休息。节假日除外）十四点关门。",
        "访客在前台登记。",
    ]


def test_the_same_sentence_in_two_passages_is_given_once() -> None:
    text = "The canteen closes at 14:00."
    found = best_sentences(
        "When does the canteen close?", {"canteen": 1.0, "close": 1.0}, [passage(text), passage(text, 2)]
    )
    assert [one.readable for one in found] == [text]


def test_scores_are_shares_of_certainty() -> None:
    found = best_sentences("canteen", {"canteen": 1.0}, [passage("The canteen closes at 14:00. Visitors sign in.")])
    assert 0 < sum(one.score for one in found) <= 1.0001
    assert found == sorted(found, key=lambda one: -one.score)


@pytest.mark.parametrize(
    ("question", "kind"),
    [
        ("When did it open?", "time"),
        ("哪一年成立？", "time"),
        ("How many rooms are there?", "number"),
        ("一共有多少人？", "number"),
        ("Who signs it?", "person"),
        ("由誰創立？", "person"),
        ("Where is the office?", "place"),
        ("总部在哪里？", "place"),
        ("Why was it closed?", "reason"),
        ("为什么关门？", "reason"),
        ("Is it open?", None),
    ],
)
def test_what_a_question_asks_for(question: str, kind: str | None) -> None:
    assert expected_type(question) == kind


def test_words_of_the_question_are_no_answer() -> None:
    spans = list(find_answers("time", "What happened after 1987?", "In 1987 it opened, in 1990 it closed."))
    assert [slice(*span) for span in spans] == [slice(22, 26)]


@pytest.mark.parametrize(
    ("question", "cue", "answer", "other"),
    [
        ("What colour are its leaves?", "colour", "They are green.", "They fall in June."),
        ("How tall is the tower?", "length", "It rises 90 metres.", "It rises slowly."),
        ("体长约是多少？", "length", "可达80公分。", "分布很广。"),
        ("他担任什么职务？", "post", "1973年任局长。", "1973年出生。"),
        ("著作有哪些？", "works", "有《哲学的本质》等。", "是德国哲学家。"),
        ("人口有多少？", "people", "有 6,476 人。", "面积 30 平方公里。"),
    ],
)
def test_words_that_answer_a_subject(question: str, cue: str, answer: str, other: str) -> None:
    found = cues(question)
    assert found[cue].search(answer)
    assert not found[cue].search(other)
