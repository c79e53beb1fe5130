"""Resolves follow-up questions: what "it" refers to, and which topic "and in 2023?" continues.

A question depends on earlier turns through a reference (it, 这个), an omission (and in 2023?,
婚假呢？) or a missing subject (how long does that take?, 在几楼？). A missing subject is not certain
from the form alone, so there the documents decide: a question that they cover as it stands needs
no context.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from kb_assistant.answering.types import Answer, Turn
from kb_assistant.language import language_of
from vectorstore import query_terms

__all__ = ["ResolvedQuestion", "follow_up_certainty", "resolve_follow_up", "searched_text"]

_CERTAIN, _LIKELY, _DOUBTFUL = 1.0, 0.6, 0.5
_COVERED = 0.5
"""The least share of a doubtful question that one passage must cover for it to stand alone."""
_OWN_REFERENT = {"zh": 4, "en": 3}
"""How many content characters or words before a reference word make the question contain its own referent."""
_NO_SUBJECT = {"zh": 2, "en": 1}
"""How many content characters or words a question without a subject has at most."""

# References to things outside the conversation: the company, the documents, the calendar.
_OUTSIDE = re.compile(
    r"(?i:[这本该](?:家|个|些|份|本)?(?:公司|企业|单位|文档|文件|资料|手册|知识库|月|周|星期|季度|年度?|学期)"
    r"|\bthis (?:company|firm|organi[sz]ation|handbook|knowledge base|week|month|quarter|year|morning|afternoon)\b"
    r"|\b(?:these|those) (?:documents|files)\b"
    r"|\b(?:is|was|isn't|would) it (?:\w+ly )?"
    r"(?:possible|allowed|okay|ok|necessary|permitted|true|safe|normal|required)\b"
    r"|\b(?:is|are|was|were|will) there\b|\bthere(?:'s| is| are| was| were| will)\b)|\bIT\b",
)
_REFERENCE = {
    "zh": re.compile(
        r"[它他她](?:们)?|这(?!么多)|那(?:个|些|种|样|里|边|儿|时|款|项|份|次|条|家|位|台|间|边)"
        r"|(?<![应不活])该(?!不该)|(?<![尤极土])其(?!实)|(?<![因彼如从])此(?!外)"
        r"|前者|后者|上述|以上(?:这|那|两|几|的)|上面|前面(?:说|提|讲|那)|刚才|刚刚|同样|两者|对方"
    ),
    "en": re.compile(
        r"\b(?:it|they|them|he|him|she|this|these|those|former|latter|there|then|ones|the same|such|the other|"
        r"above|else|instead|afterwards|(?:each|which|that|this|the \w+|an?other) one|one(?=\s*[?？.!]*\s*$)|"
        r"that(?=\s*(?:[?？.,!]|$|is\b|was\b|mean|work|happen|appl|take|cost|includ|cover|one\b|case\b|time\b))|"
        r"(?:does|did|do|is|was|of|on|for|with|about|after|before|by|from|in|to|than|like|at) that)\b",
        re.IGNORECASE,
    ),
}
_POSSESSIVE = re.compile(r"\b(?:its|their|theirs|his|her|hers)\b", re.IGNORECASE)
_CONTINUES = re.compile(
    r"^\s*(?:那么?|还(?!款|书|原|债)|而|然后|接着|但是?|可是|不过|所以|再|也|除此)"
    r"|^\s*(?:and|but|so|or|also|then|plus|what about|how about|what if|even|only)\b",
    re.IGNORECASE,
)
_ASKS = re.compile(
    r"什么|怎么|怎样|如何|为何|哪|谁|几|多[少久长大高远重快]|吗|是否|有没有|能不能|可不可以"
    r"|\b(?:who|whom|whose|which|where|when|why|how (?!about)|what (?!about|if)|what's|do|does|did|is|are|was|were|"
    r"can|could|may|must|should|will|would)\b",
    re.IGNORECASE,
)
_OMITS = re.compile(
    r"(?:呢|也(?:是|行|可以|一样|算|要)?吗|一样吗|同样吗)\s*[?？。!！]*\s*$|^\s*(?:what|how) about\b", re.IGNORECASE
)

# Signs of a new topic.
_NEW_TOPIC = re.compile(
    r"有没有|有.{1,8}吗|\b(?:is|are) there\b|\b(?:do|does|did) (?:you|we|the company|they) (?:have|offer|provide)\b"
    r"|\b(?:a|an|any)\b",
    re.IGNORECASE,
)
_NAME = {"zh": re.compile(r"[A-Za-z]{2,}|[A-Za-z]+\d|\d+\.\d"), "en": re.compile(r"(?<=\S )(?!I\b)[A-Z]\w*|\d")}

# Words that say nothing about a question's topic.
_TOPICLESS_ZH = re.compile(
    "没有|不用|不能|不|没|能|会|要|得|用|给|做|办|找|去|来|到|有|带|交|报|拿|付|收|花|算|超过|最多|最少|最早|最晚|最迟|最长|最高|"
    "至少|提前|一共|总共|大概|大约|具体|一般|通常|必须|允许|明年|今年|去年|以后|以前|之后|之前|期间|问题|情况|时候|时间|地方|"
    "东西|事|原因|区别|小时|分钟|多|少|大|小|长|短|远|近|高|低|快|慢|早|晚|几|谁|天|年|月|日|号|点|次|元|块|钱|层|都|也|还|"
    "再|就|才|只|完|过|上|下|里|外|前|后|久|一|二|两|三|四|五|六|七|八|九|十|半|每"
)
_TOPICLESS_EN = frozenset(
    (  # noqa: SIM905 - as a list it would take a page
        "get got take make use go come need find want know see say tell ask give put keep let send work start end "
        "happen allow apply cost pay change call contact long much many often soon fast quick far big high late early "
        "old new more most less least exactly usually normally again back still also just only really here now same "
        "time day week month year hour minute thing way people person someone anyone everyone money price date place "
        "two three four five six seven eight nine ten first last next not no yes up out off over under per each every "
        "don t s re ve ll isn doesn didn must while during please"
    ).split()
)

_ANCHOR = "0x0"
_OWN_WEIGHT = 1.2
"""The weight of a follow-up without its context in the search, before its certainty is subtracted."""
_TOPIC_WEIGHT = 0.3
"""The weight of the earlier questions by themselves."""
_ABOUT_WEIGHT = 0.6
"""The weight of the follow-up together with the place that the last answer came from."""
_SEARCHED = {"zh": "（检索的是：{searched}）", "en": "(searched for: {searched})"}


@dataclass(frozen=True, slots=True)
class ResolvedQuestion:
    """A question with the context that the search needs.

    Attributes:
        question: the question itself.
        searched: the question after the earlier questions that it depends on; else the question itself.
        certainty: how certainly it is a follow-up, 0 to 1, which is also the weight of `searched`; 0 if it stands
            alone.
        wordings: (weight, text) of other wordings to search for.
        context: (weight, text) of texts that influence the ranking of passages, but not their scores.
    """

    question: str
    searched: str
    certainty: float
    wordings: tuple[tuple[float, str], ...] = ()
    context: tuple[tuple[float, str], ...] = ()


def resolve_follow_up(question: str, history: Sequence[Turn], covered: Callable[[str], float]) -> ResolvedQuestion:
    """Return a question with its context: the question that opened the topic, and the last question.

    Args:
        question: in Chinese or English.
        history: the earlier turns, oldest first.
        covered: returns the share of a question, 0 to 1, that the best passage covers; called only if the
            question's form does not decide whether it is a follow-up.
    """
    certainty = follow_up_certainty(question) if history else 0.0
    content = _content_words(question, language_of(question))
    # A single Chinese character is not a word, and nearly every collection contains it.
    if certainty == _DOUBTFUL and len("".join(content)) > 1 and covered(question) >= _COVERED:
        certainty = 0.0
    if not certainty:
        return ResolvedQuestion(question, question, 0.0)
    opening = next((turn for turn in reversed(history) if turn.searched == turn.question), history[0])
    earlier = dict.fromkeys([opening.question, history[-1].question])
    wordings = ((_OWN_WEIGHT - certainty, question),) if content else ()
    context = [(_TOPIC_WEIGHT * certainty, " ".join(earlier))]
    if history[-1].about:
        context.append((_ABOUT_WEIGHT * certainty, f"{history[-1].about} {question}"))
    return ResolvedQuestion(question, " ".join([*earlier, question]), certainty, wordings, tuple(context))


def searched_text(answer: Answer) -> str:
    """Return a line that says what was searched; empty if it was the question itself."""
    if answer.searched == answer.question:
        return ""
    return _SEARCHED[language_of(answer.question)].format(searched=answer.searched)


def follow_up_certainty(question: str) -> float:
    """Return how certainly a question's form makes it a follow-up, 0 (it stands alone) to 1."""
    language = language_of(question)
    text = _OUTSIDE.sub(" ", " ".join(question.split()))
    content = _content_words(text, language)
    if not content or (_OMITS.search(text) and not _asks_in_full(text, content, language)):
        return _CERTAIN
    if reference := _REFERENCE[language].search(text) or _POSSESSIVE.search(text):
        before = _content_words(text[: reference.start()], language)
        enough = _OWN_REFERENT[language] - (1 if _POSSESSIVE.fullmatch(reference[0]) else 0)
        return _CERTAIN if len(before) < enough else _LIKELY
    if _CONTINUES.search(text):
        return _LIKELY if _asks_in_full(text, content, language) else _CERTAIN
    if len(content) <= _NO_SUBJECT[language] and not _NEW_TOPIC.search(question) and not _NAME[language].search(text):
        return _DOUBTFUL
    return 0.0


def _asks_in_full(text: str, content: Sequence[str], language: str) -> bool:
    rest = re.sub(r"呢\s*[?？]*\s*$", "", _CONTINUES.sub("", text, count=1))
    return bool(_ASKS.search(rest)) and len(content) > _NO_SUBJECT[language]


def _content_words(text: str, language: str) -> list[str]:
    """The words, in Chinese the characters, that say what a question is about."""
    if language == "zh":
        text = _TOPICLESS_ZH.sub(" ", text)
    else:
        text = " ".join(word for word in re.findall(r"\w+", text.casefold()) if word not in _TOPICLESS_EN)
    # `query_terms` falls back to function words where there is nothing else; the anchor prevents that.
    found = [term for term in query_terms(f"{text} {_ANCHOR}") if term != _ANCHOR]
    return [term for term in found if len(term) == 1 or term.isascii()] if language == "zh" else found
