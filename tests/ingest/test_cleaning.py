import pytest

from ingest.cleaning import clean_line, join_lines


@pytest.mark.parametrize(
    ("line", "cleaned"),
    [
        ("⽤⼾⼿册⻅第⻓⻚", "用户手册见第长页"),  # radicals instead of characters
        ("ﬁnal oﬀer", "final offer"),
        ("10² ① （甲）", "10² ① （甲）"),  # NFKC would change what these mean
        ("co\u00adoperate\u200b now", "cooperate now"),
        ("  a \t b\x00\x07 ", "a b"),
        ("e\u0301tude", "étude"),
        ("exam\u00ad", "exam\u00ad"),  # a word that the next line completes
        ("exam\ufffe", "exam\u00ad"),
        ("\u200b", ""),
    ],
)
def test_lines_come_out_as_typed(line: str, cleaned: str) -> None:
    assert clean_line(line) == cleaned


@pytest.mark.parametrize(
    ("lines", "joined"),
    [
        (["本公司员工每年有", "十二天年假，", "满五年的", "十七天。"], "本公司员工每年有十二天年假，满五年的十七天。"),
        (["annual leave is", "fifteen days"], "annual leave is fifteen days"),
        (["使用 VPN", "登录"], "使用 VPN 登录"),
        (["인공지능은", "기술이다"], "인공지능은 기술이다"),
        (["The Agree-", "ment ends"], "The Agreement ends"),
        (["state-of-the-", "art work"], "state-of-the- art work"),
        (["see Section-", "A"], "see Section- A"),
        (["exam\u00ad", "ple"], "example"),
        (["at the end\u00ad"], "at the end"),
        ([], ""),
    ],
)
def test_lines_of_a_paragraph_are_joined(lines: list[str], joined: str) -> None:
    text, offsets = join_lines(lines)
    assert text == joined
    assert [text[start:].startswith(line.rstrip("-\u00ad")) for start, line in zip(offsets, lines, strict=True)] == [
        True
    ] * len(lines)
