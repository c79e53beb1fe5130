import re

import pytest
from hits import hit
from hypothesis import given, settings
from hypothesis import strategies as st

from kb_assistant.answering.grounding.ground import Grounded, ground

LEAVE = hit(1, "Staff get 15 days of annual leave.\nSick leave is 8 days a year.")
VPN = hit(2, "The VPN uses WireGuard.\nTokens expire after 12 hours.")


def unsupported(grounded: Grounded) -> list[str]:
    return [grounded.text[start:end] for start, end in grounded.unsupported]


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


def test_what_nothing_supports_is_marked_and_not_cited() -> None:
    grounded = ground("The chairman lives in Paris. [1] The VPN uses WireGuard. [2]", [LEAVE, VPN])
    assert grounded.text == "The chairman lives in Paris. The VPN uses WireGuard. [2]"
    assert unsupported(grounded) == ["The chairman lives in Paris."]
    assert [c.number for c in grounded.citations] == [2]


def test_nothing_supported_means_no_citations() -> None:
    assert ground("The chairman lives in Paris. [1]", [LEAVE, VPN]).citations == ()
    assert ground("", [LEAVE]).citations == ()
    assert ground("anything", []).citations == ()


def test_two_sentences_of_one_passage_are_two_citations() -> None:
    grounded = ground("Staff get 15 days of annual leave. [1] Sick leave is 8 days a year. [1]", [LEAVE, VPN])
    assert [(c.number, c.line_start) for c in grounded.citations] == [(1, 10), (1, 11)]


def test_chinese() -> None:
    leave = hit(1, "员工每年有 15 天年假。病假每年 8 天。")
    grounded = ground("病假每年 8 天。【1】", [leave])
    assert (grounded.text, grounded.citations[0].quote) == ("病假每年 8 天。 [1]", "病假每年 8 天。")


SAMPLE = [
    hit(1, "Travel claims are approved by Ann Lee within 5 days.\nThe budget for 2026 is 1,200,000 euros."),
    hit(2, "员工每年有十五天年假。年假由李雷批准，最晚在 12 月 31 日前休完。\n客户端使用 WireGuard。"),
]


@pytest.mark.parametrize(
    "sentence",
    [
        "Travel claims are approved by Ann Lee within five days.",
        "Ann Lee approves travel claims within 5 days.",
        "The budget for 2026 is 1.2 million euros.",
        "Based on the passages, the budget is 1,200,000 euros.",
        "The budget for 2026 is 1,200,000 euros and travel claims are approved by Ann Lee.",
        "员工每年有 15 天年假。",
        "根据资料，年假由李雷批准。",
        "年假最晚在12月31日前休完。",
        "客户端使用 WireGuard，年假由李雷批准。",
    ],
)
def test_the_same_in_other_words_is_supported(sentence: str) -> None:
    grounded = ground(sentence, SAMPLE)
    assert grounded.citations
    assert re.sub(r"(?: \[\d\])+$", "", grounded.text) == sentence


@pytest.mark.parametrize(
    "sentence",
    [
        "Travel claims are approved by Ann Lee within 6 days.",
        "Travel claims are approved by Bob Lee within 5 days.",
        "Bob approves travel claims within 5 days.",
        "The budget for 2027 is 1,200,000 euros.",
        "The budget for 2026 is 1.2 billion euros.",
        "Travel claims are approved by Ann Lee within 5 days in March.",
        "Travel claims are approved by Ann Lee within five days, and the rocket goes to Mars.",
        "员工每年有 20 天年假。",
        "员工每年有二十天年假。",
        "年假由王小明批准，最晚在 12 月 31 日前休完。",
        "年假由李雷批准，最晚在 11 月 31 日前休完。",
        "年假由李雷批准，最晚在 12 月 31 日前休完，每周三开放。",
        "客户端使用 OpenVPN。",
    ],
)
def test_a_number_date_or_name_that_is_not_there_is_not_supported(sentence: str) -> None:
    grounded = ground(f"{sentence} [1][2]", SAMPLE)
    assert grounded.citations == ()
    assert (grounded.text, unsupported(grounded)) == (sentence, [sentence])


@pytest.mark.parametrize("numeral", ["二" * 5000, "亿" * 600])
def test_a_numeral_longer_than_any_number_is_written_is_compared_as_it_stands(numeral: str) -> None:
    assert ground(f"一共有{numeral}个。", [hit(1, "一共有二二个。")]).citations == ()
    assert ground(f"一共有{numeral}个。", [hit(1, f"一共有{numeral}个。")]).citations


def test_supported_and_invented_sentences_are_told_apart() -> None:
    english = ground("Ann Lee approves travel claims [1]. She does so within 9 days [1].", SAMPLE)
    assert english.text == "Ann Lee approves travel claims. [1] She does so within 9 days."
    assert unsupported(english) == ["She does so within 9 days."]
    chinese = ground("员工每年有 15 天年假【2】。加班每小时 300 元【2】。年假由李雷批准。", SAMPLE)
    assert chinese.text == "员工每年有 15 天年假。 [2]加班每小时 300 元。年假由李雷批准。 [2]"
    assert unsupported(chinese) == ["加班每小时 300 元。"]
    for grounded in (english, chinese):
        for citation in grounded.citations:
            assert citation.quote in SAMPLE[citation.number - 1].text


def test_a_sentence_from_two_passages_cites_both() -> None:
    grounded = ground("Staff get 15 days of annual leave, and the VPN uses WireGuard.", [LEAVE, VPN])
    assert grounded.text.endswith(" [1] [2]")
    assert [c.quote for c in grounded.citations] == ["Staff get 15 days of annual leave.", "The VPN uses WireGuard."]


def test_what_is_quoted_holds_the_numbers() -> None:
    grounded = ground("Annual leave is 15 days, sick leave is 8 days a year.", [LEAVE])
    assert {c.line_start for c in grounded.citations} == {10, 11}


def test_a_heading_and_a_file_name_support_as_well() -> None:
    under = hit(1, "It uses WireGuard.", heading="Remote access", source="northwind-vpn.md")
    assert ground("Remote access at Northwind uses WireGuard.", [under]).citations


def test_the_documents_own_numbers_are_no_citations() -> None:
    text = "As shown in [1], the alloy melts at 660 degrees [7, 8]."
    alloy = hit(2, f"{text}\nIt is cheap.")
    grounded = ground(f"{text} [2]", [VPN, alloy])
    assert grounded.text == "As shown in (1), the alloy melts at 660 degrees (7, 8). [2]"
    assert [(c.number, c.quote) for c in grounded.citations] == [(2, text)]


def test_the_documents_own_numbers_in_chinese() -> None:
    alloy = hit(1, "该合金的熔点为 660 度【3】，见文献[12]。")
    grounded = ground("该合金的熔点为 660 度【3】，见文献[12]。[1]", [alloy])
    assert grounded.text == "该合金的熔点为 660 度(3)，见文献(12)。 [1]"


@pytest.mark.parametrize(
    "claim",
    [
        "The Art. 7 penalty is 300 euros.",
        "Claims under Sec. 4 para. 2 are paid in Jan. 2026.",
        "It opens at 5 p.m. on Friday.",
    ],
)
def test_a_sentence_goes_on_after_an_abbreviation_in_the_answer_and_in_the_quotation(claim: str) -> None:
    law = hit(1, f"This is the law. {claim} That is all.")
    grounded = ground(f"{claim} That is all.", [law])
    assert grounded.text == f"{claim} [1] That is all. [1]"
    assert claim in [citation.quote for citation in grounded.citations]


def test_how_many_items_a_list_has_needs_no_support_but_another_number_does() -> None:
    steps = "\n1. The VPN uses WireGuard.\n2. Tokens expire after 12 hours."
    for lead_in in ("There are 2 rules:", "There are two rules:", "It works as follows:"):
        assert ground(lead_in + steps, [LEAVE, VPN]).unsupported == ()
    for lead_in in ("There are 7 rules:", "Since 2019 these rules hold:"):
        assert unsupported(ground(lead_in + steps, [LEAVE, VPN])) == [lead_in]


def test_code_is_left_as_it_is_and_its_brackets_are_no_citations() -> None:
    code = "```\nTokens = expire[1] after [2] 12 hours\n```"
    grounded = ground(f"{code}\n[2]\n\nThe VPN uses `WireGuard[12]`.", [LEAVE, VPN])
    assert grounded.text == f"{code}\n\n[2]\n\nThe VPN uses `WireGuard[12]`. [2]"


def test_code_that_nothing_supports_is_not_cited_and_no_claim() -> None:
    grounded = ground("The VPN uses WireGuard.\n\n```\nrm -rf /\n```", [VPN])
    assert (grounded.text, grounded.unsupported) == ("The VPN uses WireGuard. [2]\n\n```\nrm -rf /\n```", ())


@pytest.mark.parametrize(
    "step", ["Use the VPN for mail.", "Restart your VPN client.", "Click VPN client.", "Sign in to the VPN."]
)
def test_a_verb_that_begins_a_step_is_no_name(step: str) -> None:
    assert ground(step, [hit(1, "The VPN client is for mail; everybody can sign in.")]).citations


_PIECES = [
    "# ",
    "- ",
    "1. ",
    "|",
    "| Leave | 15 |\n|--|--|\n",
    "```",
    "`",
    "**",
    " [1]",
    "[2] ",
    "：",
    ":",
    "\n",
    "\n\n",
    "    ",
]
_PIECES += [
    "Staff get 15 days of annual leave. ",
    "The VPN uses WireGuard. ",
    "It rains in Mars. ",
    "年假15天。",
    "😀",
    "①",
]


@settings(max_examples=200, deadline=None)
@given(st.lists(st.sampled_from(_PIECES), max_size=20).map("".join))
def test_spans_are_in_order_and_every_citation_is_quoted_from_its_passage(text: str) -> None:
    grounded = ground(text, [LEAVE, VPN])
    position = 0
    for start, end in grounded.unsupported:
        assert position <= start < end <= len(grounded.text)
        position = end
    for citation in grounded.citations:
        assert f"[{citation.number}]" in grounded.text
        assert citation.quote in [LEAVE, VPN][citation.number - 1].text
