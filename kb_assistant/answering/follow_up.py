"""Follow-up questions: what "it" is, and what "and in 2023?" goes on about.

A question leans on the turns before it by what it refers to (it, 这个), by what it leaves out
(and in 2023?, 婚假呢？), or by having no subject of its own (how long does that take?, 在几楼？).
Only the last is doubtful by its form, and there the documents decide: one that they cover as it
stands needs nothing from before.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from kb_assistant.answering.types import Answer, Turn
from kb_assistant.language import language_of
from vectorstore import query_terms

__all__ = ["Asked", "dependence", "searched_text", "settle"]

_CERTAIN, _LIKELY, _DOUBTFUL = 1.0, 0.6, 0.5
_STANDS = 0.5
"""Share of a doubtful question that one passage covers, from which on it needs nothing from before."""
_LONG_BEFORE = {"zh": 4, "en": 3}
"""Characters or words of a question's own before a reference word, from which on they are what it refers to."""
_FEW = {"zh": 2, "en": 1}
"""Characters or words of its own up to which a question may lack a subject."""

# What points out of the conversation, at the company, the documents or the calendar.
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
_GOES_ON = re.compile(
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
_LEFT_OUT = re.compile(
    r"(?:呢|也(?:是|行|可以|一样|算|要)?吗|一样吗|同样吗)\s*[?？。!！]*\s*$|^\s*(?:what|how) about\b", re.IGNORECASE
)

# What brings up something that was not spoken of yet.
_NEW = re.compile(
    r"有没有|有.{1,8}吗|\b(?:is|are) there\b|\b(?:do|does|did) (?:you|we|the company|they) (?:have|offer|provide)\b"
    r"|\b(?:a|an|any)\b",
    re.IGNORECASE,
)
_NAME = {"zh": re.compile(r"[A-Za-z]{2,}|[A-Za-z]+\d|\d+\.\d"), "en": re.compile(r"(?<=\S )(?!I\b)[A-Z]\w*|\d")}

# Words that a question about anything can be made of.
_ANYTHING_ZH = re.compile(
    "没有|不用|不能|不|没|能|会|要|得|用|给|做|办|找|去|来|到|有|带|交|报|拿|付|收|花|算|超过|最多|最少|最早|最晚|最迟|最长|最高|"
    "至少|提前|一共|总共|大概|大约|具体|一般|通常|必须|允许|明年|今年|去年|以后|以前|之后|之前|期间|问题|情况|时候|时间|地方|"
    "东西|事|原因|区别|小时|分钟|多|少|大|小|长|短|远|近|高|低|快|慢|早|晚|几|谁|天|年|月|日|号|点|次|元|块|钱|层|都|也|还|"
    "再|就|才|只|完|过|上|下|里|外|前|后|久|一|二|两|三|四|五|六|七|八|九|十|半|每"
)
_ANYTHING_EN = frozenset(
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
"""What a follow-up as it stands counts for in the search, less the certainty that it is one."""
_TOPIC_WEIGHT = 0.3
"""What the turns before count for without it."""
_ABOUT_WEIGHT = 0.6
"""What it counts for beside the place that the last answer came from."""
_SEARCHED = {"zh": "（检索的是：{searched}）", "en": "(searched for: {searched})"}


@dataclass(frozen=True, slots=True)
class Asked:
    """A question as it is to be searched.

    Attributes:
        question: as it stands.
        searched: with what it leans on before it; the question itself where it leans on nothing.
        leaning: how surely it is a follow-up, 0 to 1; 0 where it stands alone. What `searched` counts for.
        also: (weight, wording): what else to search with, and what it counts for.
        context: the same, for what passages are ranked by but not judged by.
    """

    question: str
    searched: str
    leaning: float

    also: tuple[tuple[float, str], ...] = ()
    context: tuple[tuple[float, str], ...] = ()


def settle(question: str, history: Sequence[Turn], covered: Callable[[str], float]) -> Asked:
    """Return what is asked, given the turns before.

    What is put before a follow-up is the question that opened the topic, and the last one.

    Args:
        question: in Chinese or English.
        history: the turns so far, the first one first.
        covered: gives the share of a question, 0 to 1, that the best passage covers; asked only
            where the question's form leaves it open whether it is a follow-up.
    """
    leaning = dependence(question) if history else 0.0
    own = _own(question, language_of(question))
    # A Chinese character is no word, and some passage or other has it.
    if leaning == _DOUBTFUL and len("".join(own)) > 1 and covered(question) >= _STANDS:
        leaning = 0.0
    if not leaning:
        return Asked(question, question, 0.0)
    opening = next((turn for turn in reversed(history) if turn.searched == turn.question), history[0])
    before = dict.fromkeys([opening.question, history[-1].question])
    also = ((_OWN_WEIGHT - leaning, question),) if own else ()
    context = [(_TOPIC_WEIGHT * leaning, " ".join(before))]
    if history[-1].about:
        context.append((_ABOUT_WEIGHT * leaning, f"{history[-1].about} {question}"))
    return Asked(question, " ".join([*before, question]), leaning, also, tuple(context))


def searched_text(answer: Answer) -> str:
    """Return the line that says what was searched, empty where that was the question itself."""
    if answer.searched == answer.question:
        return ""
    return _SEARCHED[language_of(answer.question)].format(searched=answer.searched)


def dependence(question: str) -> float:
    """Return how surely the form of a question makes it a follow-up, 0 (it stands alone) to 1."""
    language = language_of(question)
    words = _OUTSIDE.sub(" ", " ".join(question.split()))
    own = _own(words, language)
    if not own or (_LEFT_OUT.search(words) and not _asks_in_full(words, own, language)):
        return _CERTAIN
    if reference := _REFERENCE[language].search(words) or _POSSESSIVE.search(words):
        before = _own(words[: reference.start()], language)
        reach = _LONG_BEFORE[language] - (1 if _POSSESSIVE.fullmatch(reference[0]) else 0)
        return _CERTAIN if len(before) < reach else _LIKELY
    if _GOES_ON.search(words):
        return _LIKELY if _asks_in_full(words, own, language) else _CERTAIN
    if len(own) <= _FEW[language] and not _NEW.search(question) and not _NAME[language].search(words):
        return _DOUBTFUL
    return 0.0


def _asks_in_full(words: str, own: Sequence[str], language: str) -> bool:
    rest = re.sub(r"呢\s*[?？]*\s*$", "", _GOES_ON.sub("", words, count=1))
    return bool(_ASKS.search(rest)) and len(own) > _FEW[language]


def _own(words: str, language: str) -> list[str]:
    """The words, in Chinese characters, that say what a question is about."""
    if language == "zh":
        words = _ANYTHING_ZH.sub(" ", words)
    else:
        words = " ".join(one for one in re.findall(r"\w+", words.casefold()) if one not in _ANYTHING_EN)
    # With the anchor there is always something to search for, else function words would be.
    found = [one for one in query_terms(f"{words} {_ANCHOR}") if one != _ANCHOR]
    return [one for one in found if len(one) == 1 or one.isascii()] if language == "zh" else found
