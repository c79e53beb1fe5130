from pathlib import Path

from kb_assistant import Assistant
from kb_assistant.answering.suggestions import choose_questions
from kb_assistant.language import language_of


def test_they_are_of_the_documents_in_both_languages_and_answered(handbook: Assistant) -> None:
    questions = handbook.suggestions(limit=6)
    assert len(questions) == 6
    assert {language_of(one) for one in questions} == {"zh", "en"}
    assert not any(handbook.ask(one).refused for one in questions)


def test_they_change_with_the_documents(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text(
        "# 通知\n\n## 斑马配额\n\n每人每年可以领养 42 只斑马，须提前一周向动物园申请。\n", encoding="utf-8"
    )
    with Assistant.open() as kb:
        kb.ingest(tmp_path / "a.md")
        assert kb.suggestions()[0] == "斑马配额是什么？"
        (tmp_path / "a.md").write_text("# Notes\n\n## How long is the lynx quota?\n\nThe lynx quota lasts 7 days.\n")
        kb.ingest(tmp_path / "a.md")
        assert kb.suggestions()[0] == "How long is the lynx quota?"


def test_headings_without_words_make_no_question_and_numbers_are_left_out() -> None:
    headings = [("a", (one,)) for one in ("1", "—", "第三章 报销", "2.1 Annual leave", "VPN Access", "x" * 80)]
    questions = choose_questions(headings, lambda source, question: True, 9)
    assert set(questions) == {
        "报销是什么？",
        "What should I know about annual leave?",
        "What should I know about VPN Access?",
    }


def test_a_question_without_an_answer_is_not_suggested() -> None:
    headings = [("a", ("Annual leave",)), ("b", ("Expenses",))]
    assert choose_questions(headings, lambda source, question: source == "b", 9) == (
        "What should I know about expenses?",
    )
