import re
from typing import Any

from langchain_core.documents import Document

from kb_assistant.grounding import cite, ground


def passage(number: int, text: str, **metadata: Any) -> Document:
    starts = [0] + [match.end() for match in re.finditer("\n", text)]
    lines = [[start, 10 * number + line] for line, start in enumerate(starts)]
    known = {"source": f"{number}.md", "page": None, "heading": "", "score": 0.5, "lines": lines}
    return Document(page_content=text, metadata={**known, "number": number, **metadata})


LEAVE = passage(1, "Staff get 15 days of annual leave.\nSick leave is 8 days a year.")
VPN = passage(2, "The VPN uses WireGuard.\nTokens expire after 12 hours.")


def test_a_marker_that_agrees_is_kept() -> None:
    grounded = ground("Tokens expire after 12 hours [2].", [LEAVE, VPN])
    assert grounded.text == "Tokens expire after 12 hours. [2]"
    assert [(c.number, c.source, c.line_start, c.quote) for c in grounded.citations] == [
        (2, "2.md", 21, "Tokens expire after 12 hours.")
    ]


def test_a_marker_that_names_the_wrong_passage_is_put_right() -> None:
    assert ground("The VPN uses WireGuard. [1]", [LEAVE, VPN]).text == "The VPN uses WireGuard. [2]"


def test_a_marker_that_was_never_offered_is_put_right() -> None:
    assert ground("The VPN uses WireGuard. [9]", [LEAVE, VPN]).text == "The VPN uses WireGuard. [2]"


def test_a_sentence_without_a_marker_gets_one() -> None:
    grounded = ground("Staff get 15 days of annual leave. The VPN uses WireGuard.", [LEAVE, VPN])
    assert grounded.text == "Staff get 15 days of annual leave. [1] The VPN uses WireGuard. [2]"


def test_what_nothing_supports_is_not_cited() -> None:
    grounded = ground("The chairman lives in Paris. [1] The VPN uses WireGuard. [2]", [LEAVE, VPN])
    assert grounded.text == "The chairman lives in Paris. The VPN uses WireGuard. [2]"
    assert [c.number for c in grounded.citations] == [2]


def test_nothing_supported_means_no_citations() -> None:
    assert ground("The chairman lives in Paris. [1]", [LEAVE, VPN]).citations == ()
    assert ground("", [LEAVE]).citations == ()
    assert ground("anything", []).citations == ()


def test_two_sentences_of_one_passage_are_two_citations() -> None:
    grounded = ground("Staff get 15 days of annual leave. [1] Sick leave is 8 days a year. [1]", [LEAVE, VPN])
    assert [(c.number, c.line_start) for c in grounded.citations] == [(1, 10), (1, 11)]


def test_chinese() -> None:
    leave = passage(1, "员工每年有 15 天年假。病假每年 8 天。")
    grounded = ground("病假每年 8 天。【1】", [leave])
    assert (grounded.text, grounded.citations[0].quote) == ("病假每年 8 天。 [1]", "病假每年 8 天。")


def test_a_quote_over_two_lines_names_both() -> None:
    text = "One line.\nA sentence that\ngoes on here."
    start = text.index("A sentence")
    citation = cite(passage(1, text), start, len(text))
    assert (citation.line_start, citation.line_end, citation.quote) == (11, 12, "A sentence that\ngoes on here.")
