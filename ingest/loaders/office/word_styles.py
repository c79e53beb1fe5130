"""Which paragraphs of a Word document are headings, told by names of styles, which is what unstructured goes by."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from lxml import etree

if TYPE_CHECKING:
    from lxml.etree import _Element

__all__ = ["plain_styles"]

_W = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
_VAL = f"{_W}val"
_HEADING = re.compile(r"(?:heading|标题|標題|見出し)\s*([1-9])(?!\d)", re.IGNORECASE)
_LEVELS = tuple("012345678")
# Somebody gave a whole paragraph an outline level; it is no heading for that.
_LONGEST_HEADING = 150


def plain_styles(styles: _Element, root: _Element) -> None:
    """Name styles after the headings that they are, and give such a style to paragraphs with an outline level."""
    by_id = {style.get(f"{_W}styleId", ""): style for style in styles.iter(f"{_W}style")}
    levels = {name: _heading_level(name, by_id) for name in by_id}
    for name, level in levels.items():
        title = by_id[name].find(f"{_W}name")
        if level and title is not None:
            title.set(_VAL, f"heading {level}")
    for paragraph in root.iterfind(f"{_W}body/{_W}p"):
        outline = paragraph.find(f"{_W}pPr/{_W}outlineLvl")
        style = paragraph.find(f"{_W}pPr/{_W}pStyle")
        name = style.get(_VAL, "") if style is not None else ""
        if outline is None or levels.get(name) or _length(paragraph) > _LONGEST_HEADING:
            continue
        if outline.get(_VAL, "") in _LEVELS:
            _set_style(paragraph, _derived(styles, name, int(outline.get(_VAL, "0")) + 1))


def _heading_level(name: str, by_id: dict[str, _Element]) -> int:
    seen: set[str] = set()
    while name in by_id and name not in seen:
        seen.add(name)
        style = by_id[name]
        title = style.find(f"{_W}name")
        named = _HEADING.match(title.get(_VAL, "").strip()) if title is not None else None
        if named:
            return int(named[1])
        outline = style.find(f"{_W}pPr/{_W}outlineLvl")
        if outline is not None:
            level = outline.get(_VAL, "9")
            return int(level) + 1 if level in _LEVELS else 0
        base = style.find(f"{_W}basedOn")
        name = base.get(_VAL, "") if base is not None else ""
    return 0


def _derived(styles: _Element, base: str, level: int) -> str:
    """Return a heading style that is otherwise like `base`, so that its numbering stays."""
    name = f"{base}-outline-{level}"
    if not any(style.get(f"{_W}styleId") == name for style in styles.iter(f"{_W}style")):
        style = etree.SubElement(styles, f"{_W}style", {f"{_W}type": "paragraph", f"{_W}styleId": name})
        etree.SubElement(style, f"{_W}name", {_VAL: f"heading {level}"})
        if base:
            etree.SubElement(style, f"{_W}basedOn", {_VAL: base})
    return name


def _set_style(paragraph: _Element, name: str) -> None:
    properties = paragraph.find(f"{_W}pPr")
    assert properties is not None
    for style in properties.findall(f"{_W}pStyle"):
        properties.remove(style)
    style = etree.Element(f"{_W}pStyle", {_VAL: name})
    properties.insert(0, style)


def _length(paragraph: _Element) -> int:
    return sum(len(text.text or "") for text in paragraph.iter(f"{_W}t"))
