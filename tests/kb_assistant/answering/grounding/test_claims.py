import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kb_assistant.answering.grounding.claims import PartKind, split_answer


def parts(text: str) -> list[tuple[str, str]]:
    return [(part.kind.name.casefold(), text[part.start : part.end]) for part in split_answer(text)]


def claims(text: str) -> list[str]:
    return [part.words.strip() for part in split_answer(text) if part.kind is PartKind.CLAIM]


_MARKERS = "1.|2)|(3)|（3）|4、|a)|(b)|c.|一、|（二）|①|-|*|+|•|- [ ]|* [x]|**1.**|- 1."
_MARKERS += "|Step 2:|**Step 2:**|Step two -|步骤3：|第四步：|第5点，|1. **Step 1:**"


@pytest.mark.parametrize("marker", _MARKERS.split("|"))
def test_a_list_marker_is_no_part_of_a_claim(marker: str) -> None:
    assert claims(f"{marker} Wait 12 hours.\n{marker} Restart it.") == ["Wait 12 hours.", "Restart it."]


@pytest.mark.parametrize("text", ["1.打开系统\n2.填写报销单", "1、打开系统\n2、填写报销单", "·打开系统\n·填写报销单"])
def test_chinese_list_markers_need_no_space(text: str) -> None:
    assert claims(text) == ["打开系统", "填写报销单"]


@pytest.mark.parametrize(
    "claim",
    ["3.5 days are left.", "15 days are left.", "1.2 million was spent.", "2024. That was the year.", "3个工作日"],
)
def test_a_number_that_begins_a_claim_is_no_list_marker(claim: str) -> None:
    assert " ".join(claims(claim)) == claim


def test_numbers_of_several_levels_are_markers_where_several_lines_have_them() -> None:
    assert claims("1.1 Open it.\n1.2 Close it.") == ["Open it.", "Close it."]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Bring: 1. a form; 2. a photo.", ["Bring:    a form;", "a photo."]),
        ("请携带：1、申请表；2、照片。", ["请携带：  申请表；", "照片。"]),
        ("请携带：（1）申请表；（2）照片。", ["请携带：   申请表；", "照片。"]),
        ("请携带①申请表②照片。", ["请携带 申请表 照片。"]),
        ("It is in section 1. Then see section 2.", ["It is in section 1.", "Then see section 2."]),
    ],
)
def test_numbers_of_a_list_that_runs_on_in_its_line_are_blank(text: str, expected: list[str]) -> None:
    assert claims(text) == expected


def test_headings_lead_ins_tables_and_code_are_no_claims() -> None:
    text = "# Steps\n\nDo this:\n\n1. Open it.\n\n| a | b |\n|---|---|\n| 1 | 2 |\nThen run:\n```\nrun\n```"
    assert parts(text) == [
        ("heading", "# Steps"),
        ("lead_in", "Do this:"),
        ("claim", "Open it."),
        ("table", "| a | b |\n|---|---|\n| 1 | 2 |"),
        ("lead_in", "Then run:"),
        ("code", "```\nrun\n```"),
    ]


def test_a_bold_line_before_text_is_a_heading_unless_it_says_a_number_or_ends_like_a_sentence() -> None:
    assert parts("**Annual leave**\n\nAsk first.")[0][0] == "heading"
    assert parts("**15 days of leave**\n\nAsk first.")[0][0] == "claim"
    assert parts("**The chairman lives in Paris.**\n\nAsk first.")[0][0] == "claim"
    assert parts("**Annual leave**") == [("claim", "**Annual leave**")]


def test_a_numbered_title_before_its_text_is_a_heading_and_the_last_item_of_a_list_is_none() -> None:
    assert [kind for kind, _ in parts("一、年假\n每年15天。\n二、病假\n每年8天。")] == ["heading", "claim"] * 2
    assert [kind for kind, _ in parts("1. **Leave**\n   - 15 days\n2. **Pay**\n   - 20 euros")] == [
        "heading",
        "claim",
    ] * 2
    assert [kind for kind, _ in parts("1. A form\n2. A photo\n\nThat is all.")] == ["claim"] * 3


def test_a_colon_at_the_end_leads_into_nothing() -> None:
    assert parts("The answer is as follows:") == [("claim", "The answer is as follows:")]


def test_headings_are_claims_where_there_is_nothing_else() -> None:
    assert parts("# 15 days") == [("claim", "# 15 days")]


def test_how_many_items_follow() -> None:
    text = "There are two ways:\n1. By train:\n   - one\n   - two\n   - three\n2. By car\n\nThat is all."
    assert [part.items for part in split_answer(text)] == [2, 3, 2, 1, 1, 0, 0]


@pytest.mark.parametrize("marks", ["[1][2]", "Sources: [1], [2]", "来源：【1】", "(References: [1, 2])", "[1]\n[2]"])
def test_citations_by_themselves_belong_to_what_stands_before(marks: str) -> None:
    for before in ("Open it.", "- Open it.", "| a | b |\n| 1 | 2 |", "```\nrun\n```"):
        text = f"{before}\n\n{marks}"
        (part,) = split_answer(text)
        assert (part.marks_end, text[part.end : part.marks_end].strip()) == (len(text), marks)


def test_citations_that_begin_a_line_belong_to_it() -> None:
    assert parts("[1] Open it.\n[2] Close it.") == [("claim", "[1] Open it."), ("claim", "[2] Close it.")]


_PIECES = [
    "#",
    "# ",
    "- ",
    "1. ",
    "2、",
    "（3）",
    "|",
    "| a | b |",
    "|--|--|",
    "```",
    "`",
    "**",
    "[1]",
    "：",
    ":",
    "。",
    ". ",
]
_PIECES += [
    "\n",
    "\n\n",
    "\r\n",
    "    ",
    "\t",
    "> ",
    "---",
    "a",
    "年假 ",
    "15 days",
    "①",
    "[1]: x",
    "<b>",
    "\x00",
    "\u2028",
    "😀",
]


@settings(max_examples=400, deadline=None)
@given(st.lists(st.sampled_from(_PIECES), max_size=25).map("".join))
def test_parts_are_in_order_and_within_the_text(text: str) -> None:
    position = 0
    for part in split_answer(text):
        assert position <= part.start < part.end <= part.marks_end <= len(text)
        assert len(part.words) == part.end - part.start
        position = part.marks_end
