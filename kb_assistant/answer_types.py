"""What a question asks for (a time, a number, a person, a place, a reason) and where a text holds such words.

By patterns, in English and in Chinese of both scripts; a question of none of these kinds has none.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator

__all__ = ["KINDS", "answer_kind", "answer_words", "asked_near", "what_is_counted"]

_ZH_DIGITS = "〇零一二三四五六七八九十百千万萬亿億两兩"
_MONTHS = (
    "January|February|March|April|May|June|July|August|September|October|November|December"
    "|Jan|Feb|Mar|Apr|Jun|Jul|Aug|Sept?|Oct|Nov|Dec"
)
_EN_NUMBER = (
    "two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|thirteen|fourteen|fifteen|sixteen|seventeen|eighteen"
    "|nineteen|twenty|thirty|forty|fifty|sixty|seventy|eighty|ninety|hundred|thousand|million|billion|dozen|half"
    "|one|once|twice|third|quarter"
)

_ASKED = (
    ("reason", re.compile(r"\bwhy\b|为什么|為什麼|为何|為何|原因|缘故|理由|怎么会|怎麼會", re.IGNORECASE)),
    (
        "time",
        re.compile(
            r"\bwhen\b|\b(?:what|which) (?:\w+ )?(?:year|date|day|month|century|decade|time|period|era|season)\b"
            r"|什么时候|什麼時候|什么时间|什麼時間|何时|何時|哪一?[年月天日]|哪个?(?:世纪|月|年代|时期|朝代)"
            r"|哪個?(?:世紀|月|年代|時期|朝代)|几[年月日号点时]|幾[年月日號點時]|何年|時間|哪些年|多少年(?![来以內内])",
            re.IGNORECASE,
        ),
    ),
    (
        "number",
        re.compile(
            r"\bhow (?:many|much|long|often|old|far|tall|high|large|big|fast|soon|deep|wide)\b"
            r"|\b(?:what|which) (?:\w+ )?(?:percent|percentage|number|amount|proportion|fraction|price|fee|cost|rate)\b"
            r"|多少|多久|多长|多長|多高|多大|多远|多遠|多快|多重|多深|[几幾](?!乎|近|何)|比例|第几|第幾|分之|數量|数量",
            re.IGNORECASE,
        ),
    ),
    (
        "person",
        re.compile(
            r"\bwho\b|\bwhom\b|\bwhose\b|谁|誰|哪[一]?[位名]|哪个人|哪個人|何人|什么人|什麼人|哪些人"
            r"|哪[个個一]?(?:导演|導演|皇帝|作家|教授|总统|總統|国王|國王|演员|演員|将军|將軍)",
            re.IGNORECASE,
        ),
    ),
    (
        "place",
        re.compile(
            r"\bwhere\b|\b(?:what|which) (?:\w+ )?(?:country|city|state|town|place|location|continent|region|island)\b"
            r"|哪里|哪裡|哪裏|哪儿|哪兒|何处|何處|何地|什么地方|什麼地方|哪[一]?[个個]?(?:国|國|城|省|市|县|縣|州|区|區|地|岛|島|洲)",
            re.IGNORECASE,
        ),
    ),
    (
        "name",
        re.compile(
            r"\bname of\b|\b(?:called|named|known as|nickname|title)\b|叫什么|叫什麼|叫做|称为|稱為"
            r"|名字|名称|名稱|名为|名為|何名"
            r"|哪[一]?[部首本]|哪[个個](?:节目|節目|作品|乐队|樂隊|公司)",
            re.IGNORECASE,
        ),
    ),
)
_WORDS = {
    "time": re.compile(
        rf"\b1\d{{3}}s?\b|\b20\d\ds?\b|\b(?:{_MONTHS})\b\.?(?: \d{{1,2}})?|\bcentur(?:y|ies)\b|\b\d{{1,2}}:\d\d\b"
        r"|\b\d{1,4} ?(?:BC|AD|BCE|CE|a\.m\.|p\.m\.|am|pm)\b|\b(?:Mon|Tues|Wednes|Thurs|Fri|Satur|Sun)day\b"
        r"|\b(?:year|month|week|day|decade)s? (?:later|earlier|after|before|ago)\b"
        rf"|(?:\d{{1,4}}|[{_ZH_DIGITS}]{{1,4}}|元|去|今|明|同|翌|次)\s?年|\d{{1,2}}\s?[月日号號点點時时]"
        rf"|[{_ZH_DIGITS}]{{1,3}}[月日号號點]|(?:\d{{1,2}}|[{_ZH_DIGITS}]{{1,3}})\s?世[纪紀]|年代|时期|時期|[唐宋元明清汉漢隋秦晋晉]朝?[代末初]"
    ),
    "number": re.compile(
        rf"\d[\d,.]*\d|\d|\b(?:{_EN_NUMBER})\b|[½¼¾]"
        rf"|(?:[〇零二三四五六七八九十百千万萬亿億两兩][{_ZH_DIGITS}]*|一(?=[{_ZH_DIGITS}位名座所部年月日次条條]))[{_ZH_DIGITS}]*",
        re.IGNORECASE,
    ),
    "person": re.compile(
        r"(?<![.!?] )(?<!^)\b[A-Z][\w'’.-]+(?: (?:[A-Z][\w'’.-]*|of|the|von|van|de))*"
        r"|[\u4e00-\u9fff]{1,6}[·‧．•・][\u4e00-\u9fff]{1,6}"
        r"|[赵趙钱錢孙孫李周吴吳郑鄭王冯馮陈陳卫衛蒋蔣沈韩韓杨楊朱秦许許何吕呂张張孔曹严嚴华華金魏陶姜谢謝邹鄒苏蘇潘范范彭鲁魯"
        r"马馬方俞任袁柳唐罗羅薛雷贺賀倪汤湯郝毕畢常于傅康伍余顾顧孟黄黃穆萧蕭尹姚邵汪毛成戴宋庞龐熊纪紀项項祝董梁杜阮蓝藍闵"
        r"贾賈江颜顏郭梅林钟鐘徐邱高夏蔡田樊胡凌霍万柯卢盧莫房丁邓鄧洪石崔龚龔程陆陸翁曾关關]"
        r"[\u4e00-\u9fff]{1,2}(?=[，。、和与與（(在于於的是为為曾担擔任说說等]|$)"
        r"|总统|總統|皇帝|教授|先生|女士|导演|導演|将军|將軍|国王|國王|总理|總理|主席|博士|司令"
    ),
    "place": re.compile(
        r"\b(?:in|at|from|to|near|of|on|between|outside|across)(?: the)? (?:[a-z]+ern |[a-z]+ ){0,2}[A-Z][\w'’-]+"
        r"|[\u4e00-\u9fff](?:省|市|县|縣|国|國|州|区|區|镇|鎮|乡|鄉|村|路|街|岛|島|山|河|江|湖|海|港|湾|灣|洲|城|站|大学|大學|公园|公園)"
        r"|位于|位於|地处|地處"
    ),
    "reason": re.compile(
        r"\bbecause\b|\bdue to\b|\bsince\b|\btherefore\b|\bso that\b|\bin order to\b|\bas a result\b"
        r"|\bto avoid\b|\bowing\b"
        r"|\bcaused?\b|\bso\b|因为|因為|由于|由於|因此|因而|所以|为了|為了|以便|导致|導致|使得|原因|故|因",
        re.IGNORECASE,
    ),
    "name": re.compile(
        r"[“\"《「『‘][^”\"》」』’]{1,40}[”\"》」』’]|(?<![.!?] )(?<!^)\b[A-Z][\w'’.-]+|\b(?:called|named|known as)\b"
        r"|称为|稱為|名为|名為|叫做|称作|稱作|又称|又稱|简称|簡稱|称之|稱之|命名"
    ),
}
KINDS = tuple(_WORDS)
"""The kinds of answers that are told apart."""

_INTERROGATIVE = re.compile(
    r"\bhow (?:many|much|long|often|old|far)\b|\b(?:what|which|who|whom|whose|when|where|why|how)\b"
    r"|什么|什麼|甚麼|多少|多久|哪[一些]?[个個位名年里裡兒儿]?|谁|誰|何[时時处處地人年]|为何|為何|如何|怎[么麼样樣]|几|幾|第几|第幾",
    re.IGNORECASE,
)
_COUNTED = re.compile(
    r"\bhow (?:many|much) (?:\w+ )??(?P<words>[a-z]{3,})\b|(?:多少|[几幾])[个個]?(?P<han>[\u4e00-\u9fff])",
    re.IGNORECASE,
)
_HAN = re.compile(r"[\u3400-\u9fff]")


def answer_kind(question: str) -> str | None:
    """Return which of `KINDS` a question asks for, or None."""
    asked = unicodedata.normalize("NFKC", question)
    return next((kind for kind, pattern in _ASKED if pattern.search(asked)), None)


def answer_words(kind: str, question: str, text: str) -> Iterator[tuple[int, int]]:
    """Yield the spans of `text` that can be an answer of a kind, without those that the question says itself."""
    said = question.casefold()
    for match in _WORDS[kind].finditer(text):
        if match[0].casefold() not in said:
            yield match.span()


def asked_near(question: str) -> str:
    """Return the words around a question's interrogative, which say what is wanted of its subject."""
    match = _INTERROGATIVE.search(question)
    if match is None:
        return ""
    before, after = question[: match.start()], question[match.end() :]
    if _HAN.search(question):
        return f"{before[-6:]} {after[:6]}"
    return " ".join((*before.split()[-2:], *after.split()[:4]))


def what_is_counted(question: str) -> str:
    """Return what stands after a question's "how many": an English word's beginning, or a Han character; or nothing."""
    match = _COUNTED.search(question)
    if match is None:
        return ""
    return match["han"] or match["words"].casefold()[:5]
