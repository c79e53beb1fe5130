"""List numbers as Word writes them in Chinese, Japanese and Korean: 三, 壹, 甲."""

from __future__ import annotations

__all__ = ["count_in_chinese"]

_DIGITS = "〇一二三四五六七八九"
_LEGAL = {
    "chineseLegalSimplified": ("零壹贰叁肆伍陆柒捌玖", "拾佰仟"),
    "ideographLegalTraditional": ("零壹貳參肆伍陸柒捌玖", "拾佰仟"),
}
_COUNTING = ("零一二三四五六七八九", "十百千")
_COUNTED = frozenset(
    (
        *("chineseCounting", "chineseCountingThousand", "japaneseCounting", "koreanCounting"),
        *("taiwaneseCounting", "taiwaneseCountingThousand"),
    )
)
_DIGITAL = ("ideographDigital", "japaneseDigitalTenThousand", "taiwaneseDigital", "koreanDigital2")
_SERIES = {
    "ideographTraditional": "甲乙丙丁戊己庚辛壬癸",
    "ideographZodiac": "子丑寅卯辰巳午未申酉戌亥",
    "ideographEnclosedCircle": "㊀㊁㊂㊃㊄㊅㊆㊇㊈㊉",
    "decimalEnclosedCircleChinese": "①②③④⑤⑥⑦⑧⑨⑩⑪⑫⑬⑭⑮⑯⑰⑱⑲⑳",
    "decimalEnclosedParen": "⑴⑵⑶⑷⑸⑹⑺⑻⑼⑽⑾⑿⒀⒁⒂⒃⒄⒅⒆⒇",
    "decimalEnclosedFullstop": "⒈⒉⒊⒋⒌⒍⒎⒏⒐⒑⒒⒓⒔⒕⒖⒗⒘⒙⒚⒛",
}
_WIDE = str.maketrans("0123456789", "０１２３４５６７８９")


def count_in_chinese(value: int, number_format: str) -> str | None:
    """Return a number in one of Word's East Asian formats (`w:numFmt`); `None` for other formats."""
    if number_format in ("decimalFullWidth", "decimalFullWidth2"):
        return str(value).translate(_WIDE)
    if number_format in _SERIES:
        series = _SERIES[number_format]
        return series[value - 1] if 1 <= value <= len(series) else str(value)
    if number_format in _DIGITAL:
        return "".join(_DIGITS[int(digit)] for digit in str(value))
    if number_format in _LEGAL:
        return _spelt(value, *_LEGAL[number_format])
    if number_format in _COUNTED:
        spelt = _spelt(value, *_COUNTING)
        return spelt.removeprefix("一") if 10 <= value < 20 else spelt
    return None


def _spelt(value: int, digits: str, units: str) -> str:
    """Spell out a number below ten thousand; larger numbers stay in Arabic digits."""
    if not 0 < value < 10_000:
        return str(value)
    text = ""
    gap = False
    for place in (3, 2, 1, 0):
        digit = value // 10**place % 10
        if digit:
            text += (digits[0] if gap and text else "") + digits[digit] + (units[place - 1] if place else "")
        gap = not digit
    return text
