"""Finds the numbers, dates and names of a sentence, which a document must hold to support it.

By patterns, for English and for simplified and traditional Chinese. Numbers are compared by value:
"fifteen", "15" and "十五" are equal, and so are "May" and "5 月". English names are found by
capitals; Chinese names by quotation marks, Latin letters, and surnames next to words that introduce
a person. Other names are not checked.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator

from kb_assistant.language import language_of
from vectorstore import terms

__all__ = ["codes_in", "missing_specifics", "years_in"]

_ONES = re.findall(
    r"\w+",
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
    "eighteen nineteen",
)
_TENS = ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]
_SCALES = {"hundred": 100, "thousand": 1000, "million": 10**6, "billion": 10**9, "万": 10**4, "亿": 10**8}
_WORDS = {word: value for value, word in enumerate(_ONES)} | {word: 10 * i for i, word in enumerate(_TENS, start=2)}
_MONTHS = re.findall(r"\w+", "January February March April May June July August September October November December")
_MONTH_NUMBERS = {name[:3]: number for number, name in enumerate(_MONTHS, start=1)}

_HAN_DIGITS = {digit: value for value, digit in enumerate("〇一二三四五六七八九")} | {"零": 0, "两": 2}
_HAN_UNITS = {"十": 10, "百": 100, "千": 1000}
_TRADITIONAL = str.maketrans("萬億兩", "万亿两")
_PARTS = re.compile("百分之|千分之")
_HAN_RUN = "[〇零一二两三四五六七八九十百千万亿]"
_LONGEST_NUMERAL = 100
"""In characters; longer numerals are compared as text, since Python refuses integers of over 4,300 digits."""

_NUMBER = re.compile(
    rf"(?:(?P<digits>(?<![A-Za-z\d])\d+(?:,\d{{3}})+(?:\.\d+)?|(?<![A-Za-z\d])\d+(?:\.\d+)?)"
    rf"|\b(?P<word>(?:{'|'.join(_TENS)})(?:[- ](?:{'|'.join(_ONES[1:10])}))?|{'|'.join(_ONES)})\b)"
    rf"(?:[- ]?(?P<scale>[万亿]|(?:hundred|thousand|million|billion)\b))?"
    rf"|(?P<han>{_HAN_RUN}+)"
    rf"|(?P<month>\b(?:{'|'.join(_MONTHS)}|(?:Jan|Feb|Mar|Apr|Jun|Jul|Aug|Sept?|Oct|Nov|Dec)(?=\.? ?\d))\b)",
)
# A single Han digit is a number only before a counted noun; "one" hardly ever is.
_HAN_COUNTED = re.compile(
    rf"(?:{_HAN_RUN}{{2,}}|[二两三四五六七八九十百千])"
    r"(?=\s?(?:[天日月年周号岁秒倍米元块人位名个次条章层楼台辆件家所页份期届点]|小时|分钟|星期|季度|公里|公斤|%|％))"
)
_NO_NUMBER = re.compile("十分|千万|万一|百般|一一|三三两两|四处|三番五次|七上八下|万万|一二")

_WEEKDAY = re.compile(r"(?:星期|周|礼拜)([一二三四五六日天])|\b(?:Mon|Tues|Wednes|Thurs|Fri|Satur|Sun)day\b")

_ADDRESS = re.compile(r"[\w.+-]+@[\w-]+\.[\w.-]*\w|https?://[^\s，。）)]+")
_CODE = re.compile(
    r"(?<![\d.])\b(?=\w*[A-Za-z])(?=\w*\d)(?!\d+(?:st|nd|rd|th|s|am|pm|kg|km|cm|mm|GB|MB|KB|h|x)\b)[A-Za-z\d]+\b"
)
_KEY = re.compile(
    r"(?<![\w-])(?!(?:[QHqh]|[FfCc][Yy])\d)[A-Za-z]{1,4}(?:-?\d{2,}|-\d+(?=-))(?:-\d+)*(?![\w-]*[A-Za-z])", re.ASCII
)
"""An article, error or contract number: A1009, E42, HT-2024-0871; but not a quarter, "Q3"."""
_YEAR = re.compile(r"(?<![\d.,/–-])(?:1[5-9]|20)\d\d(?!\d|[.,/–-]\d|['’]?s\b|年代|\s*[%％元块塊])")
_HAN_YEAR = re.compile("[一二][〇零一二三四五六七八九]{3}(?=年(?!代))")
_CAPITAL = re.compile(r"\b[A-Z][A-Za-z\u00c0-\u024f&]*(?:['’-][A-Za-z\u00c0-\u024f]+)*\b")
_BEGINNING = re.compile(r"(?:^|[.!?:;。！？：；•|(（“\"‘-])\s*[*_\-\s]*$")
_LATIN = re.compile(r"[A-Za-z]{2,}")
_UNITS = frozenset(["km", "kg", "cm", "mm", "gb", "mb", "kb", "kwh", "ml", "am", "pm", "ok", "id"])
_NEVER_NAMES = frozenset(
    re.findall(
        r"\w+",
        "i the a an this that these those it its he she they we you there here in on at by for from to of with as "
        "if when while where what which who how why and or but so also yes no not then thus however therefore both "
        "all any each every some most many more after before during since until according based overall "
        "additionally please note answer passage document documents one two first second finally once only such "
        "another other either neither although because unless without within under over between about per your "
        "their our his her my is are was were do does did can could may might must should will would have has had "
        "be",
    )
)
_INSTRUCTIONS = frozenset(
    re.findall(
        r"\w+",
        "add apply approve ask attach book bring call check choose click close complete confirm connect contact copy "
        "create delete download ensure enter fill find follow get give go install keep leave log make open order pay "
        "press print provide read remove replace report request restart return review run save scan see select send "
        "set sign start stop submit switch take tap tell turn type update upload use visit wait write sure below above "
        "here next last yes",
    )
)
"""Words that often begin an instruction, where their capital makes them no name."""
_DETERMINED = re.compile(r"\s+(?:the|an?|your|this|that|these|those|all|any|each|it|them|their|its|our|his|her|my)\b")
"""What may follow a verb at the beginning of a sentence, and never follows a name."""
_LIKELY_PLAIN = re.compile(r"(?:s|ing|ly|tion|ment|ness|ity|ed)$")
"""Endings of words that, at the beginning of a sentence, are seldom names."""

_QUOTED = re.compile(r"[“\"《「『]([^”\"》」』]{2,40})[”\"》」』]")
_SURNAME = (
    "赵钱孙李周吴郑王冯陈卫蒋沈韩杨朱秦许何吕张孔曹严魏陶姜谢邹苏潘范彭鲁马任袁柳唐罗薛雷贺倪汤郝毕傅康伍顾孟黄萧尹姚"
    "邵汪毛戴宋庞熊项祝董梁杜阮蓝贾江颜郭梅林钟徐邱高夏蔡田樊胡凌霍卢莫房丁邓洪石崔龚程陆翁曾关"
    "趙錢孫吳鄭馮陳衛蔣韓楊許呂張嚴鄒蘇魯馬羅賀湯畢顧黃蕭龐項藍賈顏鐘夏盧鄧龔陸關"
)
_HAN_NAME = re.compile(
    rf"(?:(?:^|[，。：；、\s]|由|叫|找|名为|經理|经理|主任|总监|董事长|总裁|校长|教授|导演|作者|负责人|联系人|[人者]是)"
    rf"(?P<before_verb>[{_SURNAME}][\u4e00-\u9fff]{{1,2}}?)"
    r"(?=(?:负责|負責|批准|审批|审核|签|担任|擔任|创|創|发明|發明|编写|撰写|制定|提出|主持|领导|管理|先生|女士|经理|主任|教授|博士)))"
    rf"|(?:叫|名为|经理|主任|总监|董事长|总裁|校长|教授|导演|作者|负责人|联系人|[人者]是)"
    rf"(?:是|为|叫|：|:)?(?P<after_title>[{_SURNAME}][\u4e00-\u9fff]{{1,2}})(?=[，。；、\s（(和与]|$)"
)


def missing_specifics(sentence: str, text: str, *, across: bool = False) -> list[str]:
    """Return the numbers, dates and names of a sentence that a text does not hold.

    Args:
        sentence: the claim.
        text: what is to support it.
        across: whether the text is in another language, which writes names differently. Then only names in Latin
            letters in a Chinese sentence are checked.
    """
    sentence, text = (unicodedata.normalize("NFKC", words).translate(_TRADITIONAL) for words in (sentence, text))
    values = {value for value, _, _ in _numbers(text)}
    missing = [words for value, words, counts in _numbers(sentence) if counts and value not in values]
    days = {_day(match) for match in _WEEKDAY.finditer(text)}
    missing += [match[0] for match in _WEEKDAY.finditer(sentence) if _day(match) not in days]
    held, names = set(terms(text)), dict.fromkeys(_names(sentence))
    if across:
        names = {name: None for name in names if name.isascii() and language_of(sentence) == "zh"}
    return missing + [name for name in names if not held.issuperset(terms(name))]


def codes_in(question: str) -> list[str]:
    """Return the article, error and contract numbers that a question names.

    >>> codes_in("HT-2024-0999 的乙方是谁？")
    ['HT-2024-0999']
    """
    return [match[0] for match in _KEY.finditer(unicodedata.normalize("NFKC", question))]


def years_in(text: str) -> set[str]:
    """Return the years that a text names, except decades and ranges of years.

    >>> years_in("2023年的租金，1990年代的不算")
    {'2023'}
    >>> years_in("二〇二四年")
    {'2024'}
    """
    text = _KEY.sub(" ", unicodedata.normalize("NFKC", text))
    return {*_YEAR.findall(text), *(str(_han_value(match[0])) for match in _HAN_YEAR.finditer(text))}


def _numbers(text: str) -> Iterator[tuple[str, str, bool]]:
    """Yield the value of each number, its words, and whether it is certainly a number."""
    text = _PARTS.sub(lambda match: " " * len(match[0]), text)
    idle = {place for match in _NO_NUMBER.finditer(text) for place in range(*match.span())}
    counted = {match.start() for match in _HAN_COUNTED.finditer(text)}
    for match in _NUMBER.finditer(text):
        words = match[0]
        if match["han"]:
            if match.start() not in idle:
                short = len(words) <= _LONGEST_NUMERAL
                yield str(_han_value(words)) if short else words, words, match.start() in counted
        elif match["month"]:
            yield str(_MONTH_NUMBERS[words[:3]]), words, words != "May" or bool(text[: match.start()].strip())
        else:
            value = float(_plain_value(match["digits"], match["word"]) * _SCALES.get(match["scale"] or "", 1))
            yield f"{value:.10g}", words, words != "one"


def _plain_value(digits: str | None, word: str | None) -> float:
    if digits:
        return float(digits.replace(",", ""))
    return sum(_WORDS[part] for part in re.split("[- ]", word or "zero"))


def _han_value(numeral: str) -> int:
    """Return the value of a Han numeral: positional if it has digits only ("二〇二六"), else by its units."""
    if all(sign in _HAN_DIGITS for sign in numeral):
        return int("".join(str(_HAN_DIGITS[sign]) for sign in numeral))
    total = section = digit = 0
    for sign in numeral:
        if sign in _HAN_DIGITS:
            digit = _HAN_DIGITS[sign]
        elif sign in _HAN_UNITS:
            section, digit = section + (digit or 1) * _HAN_UNITS[sign], 0
        else:
            total, section, digit = (total + section + digit or 1) * _SCALES[sign], 0, 0
    return total + section + digit


def _day(match: re.Match[str]) -> str:
    return (match[1] or match[0]).replace("天", "日")


def _names(sentence: str) -> Iterator[str]:
    """Yield the names in a sentence."""
    yield from (match[0] for pattern in (_ADDRESS, _CODE) for match in pattern.finditer(sentence))
    yield from (match[1] for match in _QUOTED.finditer(sentence))
    if language_of(sentence) == "zh":
        yield from (match[0] for match in _LATIN.finditer(sentence) if match[0].casefold() not in _UNITS)
        for match in _HAN_NAME.finditer(sentence):
            yield match["before_verb"] or match["after_title"]
        return
    for match in _CAPITAL.finditer(sentence):
        name = re.sub(r"['’]s$", "", match[0])
        if name.casefold() in _NEVER_NAMES or _month(name):
            continue
        begins = _BEGINNING.search(sentence[: match.start()])
        if begins and (name.casefold() in _INSTRUCTIONS or _DETERMINED.match(sentence, match.end())):
            continue
        if not begins or _CAPITAL.match(sentence[match.end() :].lstrip()) or not _LIKELY_PLAIN.search(name):
            yield name


def _month(name: str) -> bool:
    return name in _MONTHS or name.rstrip(".") in _MONTH_NUMBERS
