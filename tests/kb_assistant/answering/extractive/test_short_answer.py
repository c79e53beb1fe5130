import pytest

from kb_assistant.answering.extractive.short_answer import short_answer


@pytest.mark.parametrize(
    ("question", "text", "words"),
    [
        ("When did the office open?", "It opened on 3 May 2019 in Kiel.", "3 May 2019"),
        ("In which year was it founded?", "Founded in 1987, it has two sites.", "1987"),
        ("When does the canteen close?", "It closes at 14:00.", "14:00"),
        ("In what century was it built?", "It dates from the late 19th century.", "late 19th century"),
        ("How many days of annual leave?", "Staff get 15 days of annual leave.", "15 days"),
        ("How many people signed it?", "In 2013 more than 5,100 people signed it.", "more than 5,100 people"),
        ("How long is the warranty?", "It has a warranty of nine months.", "nine months"),
        ("What percentage is taxed?", "Of this 12.5 % is taxed.", "12.5 %"),
        ("哪一年成立？", "公司成立于 1998 年，总部在上海。", "1998 年"),
        ("什么时候召开？", "会议于 2026 年 5 月 3 日召开。", "2026 年 5 月 3 日"),
        ("何時滅亡？", "該國於公元前三年滅亡。", "公元前三年"),
        ("食堂几点关门？", "食堂十四点关门。", "十四点"),
        ("年假有多少天？", "员工每年有十五天年假。", "十五天"),
        ("面积有多大？", "2008 年的面积约为0.304平方公里。", "0.304平方公里"),
        ("比例是多少？", "其中百分之二十五是女性。", "百分之二十五"),
        ("How many rooms are there?", "There are 12 rooms and 3 lifts.", "12 rooms"),
    ],
)
def test_the_words_that_answer(question: str, text: str, words: str) -> None:
    span = short_answer(question, text)
    assert span is not None
    assert text[slice(*span)] == words


@pytest.mark.parametrize(
    ("question", "text"),
    [
        ("When did it open?", "It opened in 1987 and closed in 1999."),
        ("When did it open?", "It opened late."),
        ("What happened in 1987?", "In 1987 it opened."),
        ("When in 1987 did it open?", "In 1987 it opened."),
        ("In which year did he die?", "He died on 7 January."),
        ("How many people came?", "It was in 1987."),
        ("Who signs it?", "Ann Lee signs it."),
        ("哪一年去世？", "他于 1 月 7 日去世。"),
        ("有多少人？", "成立于 1998 年。"),
        ("怎么申请？", "3 天内提交表格。"),
    ],
)
def test_nothing_where_it_is_not_sure(question: str, text: str) -> None:
    assert short_answer(question, text) is None
