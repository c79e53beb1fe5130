from dataclasses import replace

from kb_assistant.answering.presentation import annotated, answer_json, unsupported_text
from kb_assistant.answering.types import Answer, Timing, Usage

TEXT = "Staff get 15 days. [1] It rains. 员工住在火星。"
SPANS = tuple((TEXT.index(words), TEXT.index(words) + len(words)) for words in ("It rains.", "员工住在火星。"))
ANSWER = Answer(
    question="How many days?",
    text=TEXT,
    refused=False,
    engine="ipex",
    citations=(),
    timing=Timing(0, 0, 0),
    usage=Usage(),
    searched="How many days?",
    unsupported=SPANS,
)


def test_a_note_stands_behind_what_nothing_supports_in_its_own_language() -> None:
    assert annotated(TEXT, SPANS) == (
        "Staff get 15 days. [1] It rains. (not in the documents) 员工住在火星。（文档中没有依据）"
    )
    assert annotated(TEXT, ()) == TEXT


def test_the_note_of_a_table_stands_below_it() -> None:
    table = "| Leave | Days |\n| Sick | 21 |"
    assert annotated(f"{table}\n\n[1]", ((0, len(table)),)) == f"{table}\n\n(not in the documents)\n\n[1]"


def test_every_stretch_is_styled_once_and_a_note_apart() -> None:
    shown = annotated("a b c d", ((4, 5),), ((0, 1),), lambda words, emphasis: f"<{emphasis} {words}>" if words else "")
    assert shown == "<highlight a><plain  b ><plain c><note  (not in the documents)><plain  d>"


def test_a_text_without_markup_lists_what_nothing_supports() -> None:
    assert unsupported_text(ANSWER) == "Not in the documents:\n- “It rains.”\n- “员工住在火星。”"
    assert unsupported_text(replace(ANSWER, question="有几天？")).startswith("文档中没有依据：\n- “")
    assert unsupported_text(replace(ANSWER, unsupported=())) == ""


def test_the_json_has_the_spans() -> None:
    assert [TEXT[start:end] for start, end in answer_json(ANSWER)["unsupported"]] == ["It rains.", "员工住在火星。"]
