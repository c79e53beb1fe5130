"""A knowledge-base assistant for private documents.

    >>> from kb_assistant import Assistant
    >>> with Assistant.open() as kb:                     # doctest: +SKIP
    ...     kb.ingest("handbook")
    ...     print(kb.ask("年假有几天？").text)

Names are imported when they are first used, so that `kb --help` answers at once.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kb_assistant.answering.types import Answer, Citation, Turn
    from kb_assistant.assistant import Assistant
    from kb_assistant.errors import KbError
    from kb_assistant.settings import Settings
    from kb_assistant.sync.uploads import Upload

__all__ = ["Answer", "Assistant", "Citation", "KbError", "Settings", "Turn", "Upload"]

_HOMES = {
    "Answer": "answering.types",
    "Assistant": "assistant",
    "Citation": "answering.types",
    "KbError": "errors",
    "Settings": "settings",
    "Turn": "answering.types",
    "Upload": "sync.uploads",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
