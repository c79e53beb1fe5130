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
    from vectorstore import Filter

__all__ = ["Answer", "Assistant", "Citation", "Filter", "KbError", "Settings", "Turn", "Upload"]

_HOMES = {
    "Answer": "kb_assistant.answering.types",
    "Assistant": "kb_assistant.assistant",
    "Citation": "kb_assistant.answering.types",
    "Filter": "vectorstore",
    "KbError": "kb_assistant.errors",
    "Settings": "kb_assistant.settings",
    "Turn": "kb_assistant.answering.types",
    "Upload": "kb_assistant.sync.uploads",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
