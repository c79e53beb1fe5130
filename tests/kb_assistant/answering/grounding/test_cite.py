import pytest
from hits import hit

from kb_assistant.answering.grounding.cite import cite, without_marks


def test_a_quote_over_two_lines_names_both() -> None:
    text = "One line.\nA sentence that\ngoes on here."
    start = text.index("A sentence")
    citation = cite(hit(1, text), start, len(text))
    assert (citation.line_start, citation.line_end, citation.quote) == (11, 12, "A sentence that\ngoes on here.")


@pytest.mark.parametrize(
    ("words", "shown"),
    [
        ("see [7]", "see (7)"),
        ("[1-3] and [4, 5]", "(1-3) and (4, 5)"),
        ("见【2】", "见(2)"),
        (r"a\[7\]", "a(7)"),
        ("[x] [2026] [a1]", "[x] [2026] [a1]"),
    ],
)
def test_how_the_documents_own_numbers_are_shown(words: str, shown: str) -> None:
    assert without_marks(words) == shown
