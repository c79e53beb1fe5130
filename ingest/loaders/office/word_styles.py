"""Heading level, list membership and numbering from the styles of a Word document."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lxml.etree import _Element

__all__ = ["NumberingReference", "ParagraphStyle", "WordStyles", "numbering_of", "outline_level"]

_W = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
_VAL = f"{_W}val"
_HEADING = re.compile(r"(?:heading|标题|標題|見出し)\s*([1-9])(?!\d)", re.IGNORECASE)
_LIST = re.compile(r"List(?: (?:Bullet|Continue|Number|Paragraph))?(?: [2-5])?")
_TITLES = {"title": 1, "subtitle": 2}
_NOT_LISTED = ("caption", "quote", "intense quote", "macro", "no spacing")
_LEVELS = tuple("012345678")


@dataclass(frozen=True, slots=True)
class NumberingReference:
    """The list that numbers a paragraph.

    Attributes:
        number_id: `w:numId`; "0" removes numbering.
        level: `w:ilvl`, if given.
        style_id: the style it comes from; `None` if the paragraph sets it itself.
    """

    number_id: str | None = None
    level: int | None = None
    style_id: str | None = None


@dataclass(frozen=True, slots=True)
class ParagraphStyle:
    """A paragraph style, inheritance resolved.

    Attributes:
        level: heading level from 1; 0 for other text.
        is_list: whether it is one of Word's list styles.
        is_plain: whether it is a style, such as Caption, that stays plain text even when numbered.
        numbering: the list that numbers it.
    """

    level: int = 0
    is_list: bool = False
    is_plain: bool = False
    numbering: NumberingReference = NumberingReference()


class WordStyles:
    """The paragraph styles of a document, by id."""

    def __init__(self, root: _Element | None) -> None:
        styles = list(root.iter(f"{_W}style")) if root is not None else []
        self._by_id = {style.get(f"{_W}styleId", ""): style for style in styles}
        self._default = next(
            (
                style.get(f"{_W}styleId", "")
                for style in styles
                if style.get(f"{_W}type") == "paragraph" and style.get(f"{_W}default") in ("1", "true", "on")
            ),
            "",
        )
        self._found: dict[str, ParagraphStyle] = {}

    def of(self, properties: _Element | None) -> ParagraphStyle:
        """Return the style named in a paragraph's `w:pPr`, or else the default style."""
        named = properties.find(f"{_W}pStyle") if properties is not None else None
        name = named.get(_VAL, "") if named is not None else self._default
        if name not in self._found:
            self._found[name] = self._read(name)
        return self._found[name]

    def _read(self, name: str) -> ParagraphStyle:
        style = self._by_id.get(name)
        shown = _name(style) if style is not None else ""
        level = self._heading_level(name) or _TITLES.get(shown.lower(), 0)
        plain = shown.lower() in _NOT_LISTED
        return ParagraphStyle(level, _LIST.fullmatch(shown) is not None, plain, self._numbering(name))

    def _chain(self, name: str) -> Iterator[_Element]:
        """Yield a style and the styles it is based on."""
        seen: set[str] = set()
        while name in self._by_id and name not in seen:
            seen.add(name)
            style = self._by_id[name]
            yield style
            base = style.find(f"{_W}basedOn")
            name = base.get(_VAL, "") if base is not None else ""

    def _heading_level(self, name: str) -> int:
        for style in self._chain(name):
            if named := _HEADING.match(_name(style)):
                return int(named[1])
            if (level := outline_level(style.find(f"{_W}pPr"))) is not None:
                return level
        return 0

    def _numbering(self, name: str) -> NumberingReference:
        number_id, level, style_id = None, None, None
        for style in self._chain(name):
            own = numbering_of(style.find(f"{_W}pPr"))
            if number_id is None and own.number_id is not None:
                number_id, style_id = own.number_id, style.get(f"{_W}styleId", "")
            level = own.level if level is None else level
        return NumberingReference(number_id, level, style_id)


def numbering_of(properties: _Element | None) -> NumberingReference:
    """Return the numbering set in a `w:pPr` itself."""
    numbering = properties.find(f"{_W}numPr") if properties is not None else None
    if numbering is None:
        return NumberingReference()
    number, level = numbering.find(f"{_W}numId"), numbering.find(f"{_W}ilvl")
    at = level.get(_VAL, "") if level is not None else ""
    return NumberingReference(number.get(_VAL) if number is not None else None, int(at) if at.isdecimal() else None)


def outline_level(properties: _Element | None) -> int | None:
    """Return the outline level set in a `w:pPr` itself, from 1; 0 for body text, `None` if not set."""
    outline = properties.find(f"{_W}outlineLvl") if properties is not None else None
    if outline is None:
        return None
    level = outline.get(_VAL, "9")
    return int(level) + 1 if level in _LEVELS else 0


def _name(style: _Element) -> str:
    name = style.find(f"{_W}name")
    return name.get(_VAL, "").strip() if name is not None else ""
