"""Messages in the user's language: translates the English messages of the code by their templates.

Errors, notes on files, help and findings are written in English where they arise, some in packages that know nothing of
this one. The files in `zh/` have the Chinese for each by its template: the f-string with a name in braces for each
value, such as `no model {name} in {folder}`. The command line, the page and the API translate a message when they show
it. A value that is a message itself is translated too. A test checks that none is missing.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

__all__ = ["localized", "translate", "use_language", "user_language"]

_PLACEHOLDER = re.compile(r"\{(\w+)\}")
_MIN_LITERAL_LETTERS = 5
"""A template with less text around its values is only matched as a whole message."""


_language = "en"


def use_language(language: str) -> None:
    """Set the language of `localized` for this process: "zh" or "en"."""
    global _language  # a process shows one language
    _language = language


def localized(message: str) -> str:
    """Return a message in this process's language."""
    return translate(message, _language)


def user_language(setting: str = "auto") -> str:
    """Return "zh" or "en": what the setting `language` says or, if that is "auto", the environment's locale."""
    if setting in ("zh", "en"):
        return setting
    variables = ("LC_ALL", "LC_MESSAGES", "LANG")
    locale = next((value for name in variables if (value := os.environ.get(name))), "")
    if locale.split(".")[0] not in ("", "C", "POSIX"):
        locale = os.environ.get("LANGUAGE", "") or locale  # gettext's list of preferences
    return "zh" if locale.lower().startswith("zh") else "en"


def translate(message: str, language: str) -> str:
    """Return a message in `language`, "zh" or "en"; unchanged if the catalogue does not have it."""
    if language != "zh":
        return message
    catalogue = _catalogue()
    if message in catalogue.plain:
        return catalogue.plain[message]
    for template in catalogue.templates:
        if match := template.pattern.fullmatch(message):
            values = {name: translate(value, language) for name, value in match.groupdict().items()}
            return template.translation.format_map(values)
    return message


@dataclass(frozen=True)
class _Template:
    pattern: re.Pattern[str]
    translation: str


@dataclass(frozen=True)
class _Catalogue:
    plain: Mapping[str, str]
    templates: tuple[_Template, ...]
    """The most specific, with the longest literal text, first."""


@cache
def _catalogue() -> _Catalogue:
    entries: dict[str, str] = {}
    for file in (files(__name__) / "zh").iterdir():
        entries |= json.loads(file.read_text(encoding="utf-8"))
    plain = {template: text for template, text in entries.items() if not _PLACEHOLDER.search(template)}
    with_values = sorted(entries.keys() - plain.keys(), key=lambda template: (-_literal_letters(template), template))
    templates = (
        _Template(_pattern(template), entries[template])
        for template in with_values
        if _literal_letters(template) >= _MIN_LITERAL_LETTERS
    )
    return _Catalogue(plain, tuple(templates))


def _literal_letters(template: str) -> int:
    return sum(map(str.isalpha, _PLACEHOLDER.sub("", template)))


def _pattern(template: str) -> re.Pattern[str]:
    parts = _PLACEHOLDER.split(template)  # literal, name, literal, …
    return re.compile(
        "".join(f"(?P<{part}>.*?)" if place % 2 else re.escape(part) for place, part in enumerate(parts)), re.DOTALL
    )
