"""Cell values as text, close to how a spreadsheet shows them; dates as ISO 8601."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from functools import lru_cache

__all__ = ["cell_text", "is_locale_date"]

# Sections of a format ("positive;negative;zero;text"), and the tokens of a section.
_SECTIONS = re.compile(r'(?:"[^"]*"|\\.|[^;"\\])+|(?<=;)(?=;|$)')
_TOKENS = re.compile(r'"([^"]*)"|\\(.)|_.|\*.|\[\$([^\]-]*)[^\]]*\]|\[[^\]]*\]|([#0?][#0?,]*(?:\.[#0?]+)?,*)|(.)')
_CONDITION = re.compile(r"\[[<>=]")
# The longest that Excel accepts.
_LONGEST_PATTERN = 255


def is_locale_date(format_number: int) -> bool:
    """Return whether a built-in format is a date in East Asian versions of Excel; files hold no pattern for these."""
    return 27 <= format_number <= 36 or 50 <= format_number <= 58


def cell_text(value: object, pattern: str = "General") -> str:
    """Return a cell's value as text.

    Args:
        value: what the cell holds.
        pattern: its number format.
    """
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).upper()
    if isinstance(value, int | float):
        return _number(value, pattern)
    if isinstance(value, datetime):
        if value.time() == time():
            return value.date().isoformat()
        # Serial numbers are floats, so seconds are inexact.
        rounded = value + timedelta(microseconds=500_000)
        return rounded.strftime("%Y-%m-%d %H:%M:%S").removesuffix(":00")
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, time):
        return value.strftime("%H:%M:%S").removesuffix(":00")
    return str(value)


@dataclass(frozen=True, slots=True)
class _Shape:
    """A section of a number format."""

    before: str
    after: str
    least_digits: int
    least_decimals: int
    most_decimals: int
    grouped: bool
    scale: float

    def show(self, value: float) -> str:
        sign = "-" if value < 0 else ""
        comma = "," if self.grouped else ""
        if isinstance(value, int) and self.scale == 1 and not self.most_decimals:
            digits = format(abs(value), f"{comma}d")
        else:
            digits = format(abs(value) * self.scale, f"{comma}.{self.most_decimals}f")
        for _ in range(self.most_decimals - self.least_decimals):
            digits = digits.removesuffix("0")
        whole, point, decimals = digits.removesuffix(".").partition(".")
        return f"{sign}{self.before}{whole.zfill(self.least_digits)}{point}{decimals}{self.after}"


def _number(value: float, pattern: str) -> str:
    if not math.isfinite(value):
        return str(value)
    positive, negative = _shapes(pattern)
    if positive is None:
        return _general(value)
    return negative.show(-value) if value < 0 and negative else positive.show(value)


def _general(value: float) -> str:
    if isinstance(value, int) or (value.is_integer() and abs(value) < 1e15):
        return str(int(value))
    # Excel shows 11 digits and keeps 15; beyond them is only rounding error.
    return format(value, ".11g" if abs(value) < 1e9 else ".15g")


@lru_cache(maxsize=1024)
def _shapes(pattern: str) -> tuple[_Shape | None, _Shape | None]:
    """Return the sections for positive and for negative numbers; the second is `None` unless the format has one."""
    sections = _SECTIONS.findall(pattern[:_LONGEST_PATTERN])
    if not sections or _CONDITION.search(pattern):
        return None, None
    return _shape(sections[0]), _shape(sections[1]) if len(sections) > 1 else None


def _shape(section: str) -> _Shape | None:
    """Parse a section of a format; `None` if it is not a plain number."""
    texts = ["", ""]
    digits = ""
    percents = 0
    for quoted, escaped, currency, number, other in _TOKENS.findall(section):
        if number and digits:
            return None  # a telephone number, a fraction
        if other and other not in "%+-() ¥$€£￥":
            return None  # "General", scientific, dates
        digits = digits or number
        percents += other == "%"
        texts[bool(digits)] += "" if number else quoted or escaped or currency or other
    if not digits:
        return None
    thousands = len(digits) - len(digits.rstrip(","))
    whole, _, decimals = digits.rstrip(",").partition(".")
    return _Shape(
        before=texts[0].lstrip(),
        after=texts[1].rstrip(),
        least_digits=whole.count("0"),
        least_decimals=decimals.count("0"),
        most_decimals=len(decimals),
        grouped="," in whole,
        scale=100.0**percents / 1000.0**thousands,
    )
