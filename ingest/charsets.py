"""Character frequencies in Chinese, Japanese and Korean, to tell which encoding some bytes are in.

Each model has a few classes of characters: those on every page, those of the encoding's
first level, and the rest. Bytes read in the wrong encoding come out as characters that
hardly anyone writes, and that shows within a few words.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass

__all__ = ["BROKEN", "MODELS", "WIDE", "Model"]

# A few hundred characters make up more than half of all text in each of these languages.
_SIMPLIFIED = (
    "的一是不了在人有我他这个们中来上大为和国地到以说时要就出会可也你对生能而子那得于着下自之年过发后作里用道行所然家种事成方多"
    "经么去法学如都同现当没动面起看定天分还进好小部其些主样理心她本前开但因只从想实日军者意无力它与长把机十民第公此已工使情明性"
    "知全三又关点正业外将两高间由问很最重并物手应战向头文体政美相见被利什二等产或新己制身果加西斯月话合回特代内信表化老给世位次"
    "度门任常先海通教儿原东声提立及比员解水名真论处走义各入几口认条平系气题活尔更别打女变四神总何电数安少报才结反受目太量再感建"
    "务做接必场件计管期市直德资命山金指克许统区保至队形社便空决治展马科司五基眼书非则听白却界达光放强即像难且权思王象完设式色路"
    "记南品住告类求据程北边死张该交规万取拉格望觉术领共确传师观清今切院让识候带导争运"
)
_TRADITIONAL = (
    "的一是不了在人有我他這個們中來上大為和國地到以說時要就出會可也你對生能而子那得於著下自之年過發後作里用道行所然家種事成方多"
    "經麼去法學如都同現當沒動面起看定天分還進好小部其些主樣理心她本前開但因只從想實日軍者意無力它與長把機十民第公此已工使情明性"
    "知全三又關點正業外將兩高間由問很最重並物手應戰向頭文體政美相見被利什二等產或新己制身果加西斯月話合回特代內信表化老給世位次"
    "度門任常先海通教兒原東聲提立及比員解水名真論處走義各入幾口認條平系氣題活爾更別打女變四神總何電數安少報才結反受目太量再感建"
    "務做接必場件計管期市直德資命山金指克許統區保至隊形社便空決治展馬科司五基眼書非則聽白卻界達光放強即像難且權思王象完設式色路"
    "記南品住告類求據程北邊死張該交規萬取拉格望覺術領共確傳師觀清今切院讓識候帶導爭運"
)
_KOREAN = (
    "이다는의에을를가은고하한로도지사기대어있으서자리인나정시해일여라그부수전상제주장보만면게들것안동원구국적성관과와"
)
_KANA = "".join(map(chr, (*range(0x3041, 0x3094), *range(0x30A1, 0x30F7)))) + "ー"
_PUNCTUATION = "，。、：；！？（）《》【】「」『』“”‘’—…·・～％\u3000" + "".join(map(chr, range(0xFF10, 0xFF1A)))
_SYMBOLS = "─│├└┌┐┘┤┬┴┼━┃■□●○◆◇★☆→←↑↓×÷±≤≥≠℃①②③④⑤⑥⑦⑧⑨⑩°′″"

# Costs are negative logarithms of how often a character of a class is written.
_UNHEARD_OF, _RARE, _ZERO, _CONTROL = 18.0, 13.0, 3.0, 25.0
BROKEN = 30.0
"""The cost of a byte that is not valid in an encoding."""

# Unlikely neighbours: a Han character inside a Latin word; in Korean also long runs of syllables
# without a space, and syllables next to Han characters.
_INSIDE_WORD = re.compile(r"[A-Za-z][^\x00-\xff][a-z]")
_UNLIKELY_IN_KOREAN = re.compile(rf"[가-힣]{{6}}|[가-힣](?=[一-龥])|[一-龥](?=[가-힣])|{_INSIDE_WORD.pattern}")


@dataclass(frozen=True, slots=True)
class Model:
    """An encoding, and the costs of its characters.

    Attributes:
        codecs: the encoding and its extensions, in the order in which they are tried.
        prior: the cost of the encoding itself, higher the rarer it is among our users' files.
        frequent: (characters, cost), the most frequent first.
        most: the highest average cost of a character in text that a person wrote.
        first: the lead bytes of its first level of characters.
        first_cost: the cost of those.
        second: the lead bytes of its second level, which is rarely written.
        unlikely: character sequences that hardly occur.
        unlikely_cost: the cost of each.
    """

    codecs: tuple[str, ...]
    prior: float
    frequent: tuple[tuple[str, float], ...]
    most: float = 12.6
    first: range = range(0)
    first_cost: float = 0
    second: range = range(0)
    unlikely: re.Pattern[str] = _INSIDE_WORD
    unlikely_cost: float = 8

    def cost(self, text: str, codec: str) -> float:
        """Return the cost of a text that was decoded with one of the codecs."""
        characters = sum(count * self._cost(character, codec) for character, count in Counter(text).items())
        return self.prior + characters + self.unlikely_cost * len(self.unlikely.findall(text))

    def _cost(self, character: str, codec: str) -> float:
        if character < "\x80":
            if character == "\0":
                return _ZERO
            return 0.0 if character >= " " or character in "\t\n\r\f\x1b" else _CONTROL
        for characters, cost in self.frequent:
            if character in characters:
                return cost
        lead = character.encode(codec, "replace")[-1 if codec == "utf-16-le" else 0]
        if lead in self.first:
            return self.first_cost
        if lead in self.second or (self.frequent is _CHINESE and _in_big5(character)):
            return _RARE
        return _UNHEARD_OF


def _in_big5(character: str) -> bool:
    """Return whether a character is one of the 5,401 in common use in traditional Chinese."""
    return 0xA4 <= character.encode("big5", "replace")[0] <= 0xC6


_MARKED = ((_PUNCTUATION, 5.5), (_SYMBOLS, 7.5))
_CHINESE = ((_SIMPLIFIED, 6.3), *_MARKED, (_TRADITIONAL, 10.0))
_JAPANESE = ((_KANA, 5.2), *_MARKED, (_TRADITIONAL, 8.3))
_TAIWANESE = ((_TRADITIONAL, 6.3), *_MARKED)
MODELS = (
    Model(("gb18030",), 0, _CHINESE, first=range(0xB0, 0xD8), first_cost=9.1, second=range(0xD8, 0xF8)),
    Model(
        ("big5", "cp950", "big5hkscs"),
        1,
        _TAIWANESE,
        first=range(0xA4, 0xC7),
        first_cost=9.3,
        second=range(0xC9, 0xFA),
    ),
    Model(("shift_jis", "cp932"), 2, _JAPANESE, first=range(0x88, 0x98), first_cost=8.8, second=range(0x98, 0xEB)),
    Model(("euc-jp",), 4, _JAPANESE, first=range(0xB0, 0xD0), first_cost=8.8, second=range(0xD0, 0xF5)),
    Model(
        ("euc-kr", "cp949"),
        5,
        ((_KOREAN, 5.2), *_MARKED),
        first=range(0xB0, 0xC9),
        first_cost=9.0,
        second=range(0xCA, 0xFE),
        unlikely=_UNLIKELY_IN_KOREAN,
        unlikely_cost=6,
    ),
)
"""Encodings in which ASCII is single bytes."""
WIDE = tuple(
    Model((codec,), 6, _CHINESE, most=11.0, first=range(0x4E, 0xA0), first_cost=10.5)
    for codec in ("utf-16-le", "utf-16-be")
)
"""UTF-16 without a byte order mark."""
