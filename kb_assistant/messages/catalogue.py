"""The Chinese of messages by their templates, read from the files in `zh/`."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

__all__ = ["Catalogue", "Template", "chinese_catalogue"]

_PLACEHOLDER = re.compile(r"\{(\w+)\}")
_MIN_LITERAL_LETTERS = 5
"""A template with less text around its values matches nothing."""
_ENDING = (" ", ", ", "; ")
_SEAM = "\0"
_SPACED_SEAM = re.compile(
    rf"(?<=[\u3400-\u9fff]) {_SEAM}(?=[\u3400-\u9fff])|(?<=[\u3400-\u9fff]){_SEAM} (?=[\u3400-\u9fff])"
)


@dataclass(frozen=True)
class Template:
    """A message with values."""

    pattern: re.Pattern[str]
    translation: str

    def fill(self, values: Mapping[str, str], translate: Callable[[str], str]) -> str:
        """Return the translation with its values, of which some are messages; no space parts Chinese from Chinese."""
        shown = {}
        for name, value in values.items():
            chinese = translate(value)
            shown[name] = value if chinese == value else f"{_SEAM}{chinese}{_SEAM}"
        return _SPACED_SEAM.sub("", self.translation.format_map(shown)).replace(_SEAM, "")


@dataclass(frozen=True)
class Catalogue:
    """The messages of a language.

    Attributes:
        plain: those without values.
        templates: those with values; the most specific, with the longest literal text, first.
        endings: those that are added to a message or a list, such as ` and {more} more` and `; run kb ingest`.
    """

    plain: Mapping[str, str]
    templates: tuple[Template, ...]
    endings: tuple[Template, ...]


@cache
def chinese_catalogue() -> Catalogue:
    """Return the Chinese of all messages."""
    entries: dict[str, str] = {}
    for file in (files("kb_assistant.messages") / "zh").iterdir():
        entries |= json.loads(file.read_text(encoding="utf-8"))
    entries = _parts_of_notes(entries) | entries
    by_specificity = sorted(
        (template for template in entries if _literal_letters(template) >= _MIN_LITERAL_LETTERS),
        key=lambda template: (-_literal_letters(template), -len(_PLACEHOLDER.sub("", template)), template),
    )
    templates = {template: Template(_pattern(template), entries[template]) for template in by_specificity}
    return Catalogue(
        plain={template: text for template, text in entries.items() if not _PLACEHOLDER.search(template)},
        templates=tuple(found for template, found in templates.items() if _PLACEHOLDER.search(template)),
        endings=tuple(found for template, found in templates.items() if template.startswith(_ENDING)),
    )


def _parts_of_notes(entries: Mapping[str, str]) -> dict[str, str]:
    """Return each `{name}: REASON; REMEDY` as it is stored and quoted: `REASON; REMEDY` and `REASON`."""
    parts = {}
    for template, chinese in entries.items():
        if template.startswith("{name}: ") and chinese.startswith("{name}：") and template.count("{name}") == 1:
            note, chinese_note = template.removeprefix("{name}: "), chinese.removeprefix("{name}：")
            parts[note.split(";")[0]] = chinese_note.split("；")[0]
            parts[note] = chinese_note
    return {
        template: chinese
        for template, chinese in parts.items()
        if set(_PLACEHOLDER.findall(chinese)) <= set(_PLACEHOLDER.findall(template))
    }


def _literal_letters(template: str) -> int:
    return sum(map(str.isalpha, _PLACEHOLDER.sub("", template)))


def _pattern(template: str) -> re.Pattern[str]:
    parts = _PLACEHOLDER.split(template)  # literal, name, literal, …
    pattern = "".join(f"(?P<{part}>.*?)" if place % 2 else re.escape(part) for place, part in enumerate(parts))
    if template.startswith("{name}: "):  # of a file, not of a file in a message that ends alike
        pattern = pattern.replace(".*?", "(?:(?!: ).)*?", 1)
    if template.startswith(_ENDING):  # not with another ending in it
        pattern = pattern.replace(".*?", "[^,;]*?")
    return re.compile(pattern + r"\Z", re.DOTALL)
