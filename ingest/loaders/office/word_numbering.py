"""Labels that Word shows before list items and headings: "2.1", "(a)", "第三条".

A file only says which list a paragraph belongs to; Word counts when it lays out the page.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ingest.loaders.office.chinese_numbers import count_in_chinese
from ingest.loaders.office.word_styles import NumberingReference

if TYPE_CHECKING:
    from lxml.etree import _Element

__all__ = ["ListNumbers"]

_W = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
_VAL = f"{_W}val"
_DEEPEST = 8
_PLACE = re.compile(r"%([1-9])")
_ROMAN = (
    *((1000, "m"), (900, "cm"), (500, "d"), (400, "cd"), (100, "c"), (90, "xc")),
    *((50, "l"), (40, "xl"), (10, "x"), (9, "ix"), (5, "v"), (4, "iv"), (1, "i")),
)


class ListNumbers:
    """Counts the lists of a document; call `label` once for each paragraph, in order."""

    def __init__(self, root: _Element | None) -> None:
        self._lists: dict[str, _Element] = {}
        self._forms: dict[str, _Element] = {}
        if root is not None:
            for number in root.iterfind(f"{_W}num"):
                self._lists.setdefault(number.get(f"{_W}numId", ""), number)
            for form in root.iterfind(f"{_W}abstractNum"):
                self._forms.setdefault(form.get(f"{_W}abstractNumId", ""), form)
        self._by_style = {_value(form, "styleLink"): form for form in self._forms.values()}
        self._levels: dict[tuple[str, int], _Element | None] = {}
        self._counts: dict[str, list[int | None]] = {}
        self._restarted: set[tuple[str, int]] = set()

    def label(self, own: NumberingReference, style: NumberingReference) -> str:
        """Count a paragraph and return its label; empty for bullets.

        Args:
            own: numbering set by the paragraph.
            style: numbering set by its style.
        """
        number_id = own.number_id if own.number_id is not None else style.number_id
        form_id = _value(self._lists.get(number_id or ""), "abstractNumId")
        form = self._forms.get(form_id)
        if number_id is None or form is None:
            return ""
        level = own.level if own.level is not None else style.level
        if level is None:
            level = _linked_level(form, style.style_id if own.number_id is None else None)
        described = self._level(number_id, form, level)
        if described is None:
            return ""
        counts = self._count(number_id, form_id, level)
        if _value(described, "numFmt") in ("bullet", "none"):
            return ""

        def shown(place: re.Match[str]) -> str:
            at = int(place[1]) - 1
            referred = self._level(number_id, form, at) if at <= level else None
            if referred is None:
                return ""
            count = counts[at]
            return _written(self._start(number_id, form, at) if count is None else count, _value(referred, "numFmt"))

        return _PLACE.sub(shown, _value(described, "lvlText")).strip()

    def _count(self, number_id: str, form_id: str, level: int) -> list[int | None]:
        """Advance a level and restart the levels below it."""
        form = self._forms[form_id]
        counts = self._counts.setdefault(form_id, [None] * (_DEEPEST + 1))
        count = counts[level]
        restarts = self._start_override(number_id, level) is not None and (number_id, level) not in self._restarted
        if count is None or restarts:
            self._restarted.add((number_id, level))
            counts[level] = self._start(number_id, form, level)
        else:
            counts[level] = count + 1
        for deeper in range(level + 1, _DEEPEST + 1):
            restart = _value(self._level(number_id, form, deeper), "lvlRestart")
            if not restart.isdecimal() or (restart != "0" and level < int(restart)):
                counts[deeper] = None
        return counts

    def _level(self, number_id: str, form: _Element, level: int) -> _Element | None:
        """Return the definition of a level of a list."""
        if (number_id, level) not in self._levels:
            override = _at(self._lists[number_id], "lvlOverride", level)
            own = override.find(f"{_W}lvl") if override is not None else None
            link = _value(form, "numStyleLink")
            linked = self._by_style.get(link, form) if link else form
            self._levels[number_id, level] = own if own is not None else _at(linked, "lvl", level)
        return self._levels[number_id, level]

    def _start_override(self, number_id: str, level: int) -> int | None:
        override = _at(self._lists[number_id], "lvlOverride", level)
        start = _value(override, "startOverride")
        return int(start) if start.isdecimal() else None

    def _start(self, number_id: str, form: _Element, level: int) -> int:
        override = self._start_override(number_id, level)
        start = _value(self._level(number_id, form, level), "start")
        return override if override is not None else int(start) if start.isdecimal() else 1


def _linked_level(form: _Element, style_id: str | None) -> int:
    """Return the level that a list links to a style."""
    for level in form.iterfind(f"{_W}lvl"):
        at = level.get(f"{_W}ilvl", "")
        if style_id is not None and _value(level, "pStyle") == style_id and at.isdecimal():
            return int(at)
    return 0


def _at(element: _Element, tag: str, level: int) -> _Element | None:
    return next((child for child in element.iterfind(f"{_W}{tag}") if child.get(f"{_W}ilvl") == str(level)), None)


def _value(element: _Element | None, tag: str) -> str:
    """Return the value of a child element; empty if missing."""
    child = element.find(f"{_W}{tag}") if element is not None else None
    return child.get(_VAL, "") if child is not None else ""


def _written(value: int, number_format: str) -> str:
    """Return a number in one of Word's formats; in plain digits if the format is unknown."""
    if (chinese := count_in_chinese(value, number_format)) is not None:
        return chinese
    if number_format == "decimalZero":
        return f"{value:02d}"
    if number_format == "ordinal":
        ending = {1: "st", 2: "nd", 3: "rd"}.get(value % 10, "th")
        return f"{value}{'th' if 10 <= value % 100 <= 20 else ending}"
    if number_format == "decimalEnclosedCircle" and 1 <= value <= 20:
        return chr(0x2460 + value - 1)
    if number_format in ("lowerLetter", "upperLetter") and 0 < value <= 26 * 30:
        letters = chr(ord("a") + (value - 1) % 26) * ((value - 1) // 26 + 1)
        return letters.upper() if number_format == "upperLetter" else letters
    if number_format in ("lowerRoman", "upperRoman") and 0 < value < 4000:
        return _roman(value).upper() if number_format == "upperRoman" else _roman(value)
    return str(value)


def _roman(value: int) -> str:
    letters = ""
    for size, sign in _ROMAN:
        times, value = divmod(value, size)
        letters += sign * times
    return letters
