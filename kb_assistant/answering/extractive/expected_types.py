"""Tells what type of answer a question expects (a time, a number, a person, a place, a reason, a name).

By patterns, for English and for simplified and traditional Chinese. The same module finds words of that type in a text.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator

__all__ = ["counted_noun", "cues", "expected_type", "find_answers", "words_near_interrogative"]

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

# For each subject of a question: the pattern of words that ask about it, and of words that an answer has.
_CUES = {
    "length": (
        r"\bhow (?:long|tall|high|deep|wide|far|large|big)\b|长|長|高|宽|寬|深|距离|距離|直径|直徑|海拔",
        r"\d ?(?:mm|cm|m|km|feet|foot|ft|inch(?:es)?|miles?|met(?:er|re)s?)\b"
        r"|[\d十百千万萬]\s?(?:[余餘多]?[公英]?[里尺寸分]|毫?厘?千?米)",
    ),
    "area": (r"\barea\b|面积|面積|多大", r"\bsquare\b|\bacres?\b|\bhectares?\b|平方|公顷|公頃|[亩畝]|km²"),
    "weight": (
        r"\bweigh|\bheavy\b|\bmass\b|重量|体重|體重|多重",
        r"\d ?(?:kg|g|tons?|tonnes?|pounds?|lbs?)\b|公斤|千克|[吨噸]|[\d十百]克",
    ),
    "money": (
        r"\bhow much\b|\bcosts?\b|\bprice\b|\bpaid\b|钱|錢|价|價|费|費|票房|奖金|獎金|薪|收入",
        r"[$€£¥]|\b(?:dollars?|euros?|pounds?)\b|[\d十百千万萬亿億]\s?[美日欧歐港英]?[元圆圓镑鎊]",
    ),
    "share": (
        r"\bpercent|\bproportion|\bfraction|\bshare\b|比例|比率|百分|率[是为為达]|分之",
        r"%|％|\bpercent|百分之|分之|[成]",
    ),
    "people": (
        r"\bpopulation\b|\bhow many people\b|人口|多少人|[几幾]人",
        r"\bpeople\b|\bpopulation\b|[\d十百千万萬亿億]\s?人|人口",
    ),
    "colour": (
        r"\bcolou?rs?\b|颜色|顏色|什么色|什麼色",
        r"\b(?:red|blue|green|white|black|yellow|brown|gray|grey|orange|purple|pink|gold)\b"
        r"|[红紅黄黃蓝藍绿綠白黑紫灰棕褐银銀金橙粉青赤]色",
    ),
    "works": (
        r"\b(?:books?|novels?|films?|movies?|songs?|albums?|works)\b|著作|作品|影片|电影|電影|歌曲|专辑|專輯"
        r"|[哪那][一几幾]?[部首本]|小说|小說|节目|節目",
        r"[《『“\"]",
    ),
    "post": (
        r"\b(?:position|post|job|title|office)\b|职务|職務|职位|職位|职业|職業|官职|官職|身份|何职|何職|什么官",
        r"\b(?:served|appointed|elected|president|director|minister|chair)|[任职職授擢迁遷]|当选|當選|主席"
        r"|[书書][记記]|教授|[部局校院市省会會县縣]长",
    ),
    "list": (
        r"\b(?:what|which) (?:\w+ )?(?:are|were|\w+s are|\w+s were)\b|\btypes of\b"
        r"|哪些|哪[几幾]|有什[么麼]|分别|分別|包括",
        r"、.*、|, .*, (?:and|or) |包括|分别|分別|\binclud|\bsuch as\b",
    ),
    "use": (
        r"\bused? for\b|\bpurpose\b|\bfunction\b|用途|作用|功能|用来|用來|用於|用于|功效|治疗|治療",
        r"\bused?\b|\bin order to\b|\bfor\b|用于|用於|用作|可用|用来|用來|作用|功能|治疗|治療|以便",
    ),
    "look": (
        r"\blook|\bappearance\b|\bshape\b|特点|特點|特征|特徵|外形|外观|外觀|形状|形狀|样子|樣子|什么样|什麼樣",
        r"\bshaped?\b|形|状|狀|[长長][约約]?\d|色|呈|光滑|[大小短粗细細]",
    ),
    "food": (r"\beats?\b|\bfeeds?\b|\bdiet\b|什么为食|什麼為食|吃什|食物|食性", r"\beats?\b|\bfeeds?\b|\bdiet|食|吃"),
    "home": (
        r"\blive|\bhabitat|\bfound\b|栖息|棲息|生活|分布|生长|生長|产于|產於",
        r"\blives?\b|\bfound\b|\bhabitat|分布|栖|棲|生活|生长|生長|产[于地]|產[於地]|见于|見於",
    ),
    "death": (
        r"\bdie[ds]?\b|\bdeath\b|去世|逝世|怎么死|死因|死于|病逝",
        r"\bdie[ds]?\b|\bdeath\b|\bkilled\b|死|逝|卒|去世|病故|[杀殺诛誅]|自[杀殺尽盡]|享年|薨|崩",
    ),
    "birth": (
        r"\bborn\b|\bbirth|出生|生于|生於|诞生|誕生",
        r"\bborn\b|\bbirth|出生|生于|生於|诞|誕|\d{4}年.{0,9}[－—–~-]",
    ),
    "school": (
        r"\b(?:graduate|university|college|school|study|studied)\b|毕业|畢業|就读|就讀|学校|學校|大学|大學|学院|學院",
        r"\bgraduat|\bUniversity\b|\bCollege\b|\bSchool\b|[毕畢][业業]|就[读讀]|大[学學]|[学學]院|[学學]校|学士|碩士|硕士"
        r"|博士",
    ),
    "manner": (
        r"\bhow (?:did|do|does|was|were|is|are|can)\b|如何|怎[么麼样樣]|方式|方法|何种|何種",
        r"\bby \w+ing\b|\bthrough\b|\busing\b|通过|通過|透过|透過|以.{1,12}方式|利用|采用|採用|使用|[经經]由",
    ),
    "result": (
        r"\bresult|\beffect|\bconsequence|\bhappen|结果|結果|影响|影響|后果|後果|反应|反應|回应|回應|怎么说",
        r"\bresult|\bcaus|\bled to\b|\btherefore\b|导致|導致|结果|結果|使|令|造成|因此|表示|[说說認认]",
    ),
    "importance": (
        r"\bimportan|\bsignifican|\bmeaning\b|意义|意義|重要|地位|评价|評價|寓意|含义|含義|意思",
        r"\bimportan|\bsignifican|\bmeans?\b|重要|最|意[为為指味义義思]|视为|視為|被[称稱誉譽]|表示|象征|象徵|寓意|指",
    ),
}
_COMPILED = {
    name: tuple(re.compile(pattern, re.IGNORECASE) for pattern in patterns) for name, patterns in _CUES.items()
}

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


def expected_type(question: str) -> str | None:
    """Return the type of answer that a question asks for: "time", "number", …; None if it shows none."""
    asked = unicodedata.normalize("NFKC", question)
    return next((kind for kind, pattern in _ASKED if pattern.search(asked)), None)


def find_answers(kind: str, question: str, text: str) -> Iterator[tuple[int, int]]:
    """Yield the spans of `text` that can be an answer of a type, except those that the question already contains."""
    said = question.casefold()
    for match in _WORDS[kind].finditer(text):
        if match[0].casefold() not in said:
            yield match.span()


def cues(question: str) -> dict[str, re.Pattern[str]]:
    """Return the subjects that a question asks about (length, colour), each with the pattern of its answers."""
    asked = unicodedata.normalize("NFKC", question)
    return {name: answer for name, (question_words, answer) in _COMPILED.items() if question_words.search(asked)}


def words_near_interrogative(question: str) -> str:
    """Return the words next to the interrogative: what the question wants to know of its subject."""
    match = _INTERROGATIVE.search(question)
    if match is None:
        return ""
    before, after = question[: match.start()], question[match.end() :]
    if _HAN.search(question):
        return f"{before[-6:]} {after[:6]}"
    return " ".join((*before.split()[-2:], *after.split()[:4]))


def counted_noun(question: str) -> str:
    """Return what "how many" counts: the first letters of an English word, or a Han character; empty if nothing."""
    match = _COUNTED.search(question)
    if match is None:
        return ""
    return match["han"] or match["words"].casefold()[:5]
