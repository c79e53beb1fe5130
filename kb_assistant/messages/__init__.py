"""Messages in the user's language: translates the English messages of the code by their templates.

Errors, notes on files, help and findings are written in English where they arise, some in packages that know nothing of
this one. The files in `zh/` have the Chinese for each by its template: the f-string with a name in braces for each
value, such as `no model {name} in {folder}`. The command line, the page and the API translate a message when they show
it; `--json` and programs get English. A value that is a message itself is translated too. `zh/words.json` has what the
templates do not: single words, and messages of the system and of libraries. A test checks that none is missing, and
none left over.

Notes on files are stored without the file's name, and quoted without the remedy: of `{name}: it is empty; fill it` the
catalogue also knows `it is empty; fill it` and `it is empty`.
"""

from __future__ import annotations

import os
import re

from kb_assistant.messages.catalogue import chinese_catalogue

__all__ = ["localized", "translate", "use_language", "user_language"]

_IN_BRACKETS = re.compile(r" \((?P<message>[^()]+(?:\([^()]*\)[^()]*)*)\)(?P<comma>, )?")

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
    return _chinese(message) if language == "zh" else message


def _chinese(message: str) -> str:
    catalogue = chinese_catalogue()
    if message in catalogue.plain:
        return catalogue.plain[message]
    for template in catalogue.templates:
        if match := template.pattern.match(message):
            return template.fill(match.groupdict(), _chinese)
    for ending in catalogue.endings:
        if match := ending.pattern.search(message):
            return _chinese(message[: match.start()]) + ending.fill(match.groupdict(), _chinese)
    return _translate_parts(message)


def _translate_parts(message: str) -> str:
    """Translate the messages within a text that is none itself: `a.pdf: MESSAGE`, or `a.pdf (MESSAGE), b.pdf`."""
    head, _, tail = message.partition(": ")
    if " (" not in head and tail and (parts := (_chinese(head), _chinese(tail))) != (head, tail):
        return "：".join(parts)
    return _IN_BRACKETS.sub(_translate_in_brackets, message)


def _translate_in_brackets(found: re.Match[str]) -> str:
    chinese = _chinese(found["message"])
    return found[0] if chinese == found["message"] else f"（{chinese}）{'、' if found['comma'] else ''}"
