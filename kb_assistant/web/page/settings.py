"""Calls about the settings that the page can change, and about the machine."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, get_args

from kb_assistant.doctor import examine_machine
from kb_assistant.errors import UsageError
from kb_assistant.models.registry import list_models
from kb_assistant.settings import EngineName, Settings
from kb_assistant.web.page.calls import Arguments, PageCall

if TYPE_CHECKING:
    from kb_assistant.assistant import Assistant

__all__ = ["SettingCalls"]

_EDITABLE = ("engine", "model", "max_new_tokens", "passages", "temperature", "system_prompt")
_BOUNDED = ("max_new_tokens", "passages", "temperature")


class SettingCalls:
    """What the script calls to show and change settings."""

    def __init__(self, assistant: Assistant) -> None:
        """Take what has the settings."""
        self._assistant = assistant

    def all(self) -> Sequence[PageCall]:
        """Return the calls."""
        return self.settings, self.change_settings, self.machine

    def settings(self, owner: str, arguments: Arguments) -> Any:
        """Return the settings with the values that they can take."""
        current = self._assistant.settings
        models = list_models(self._assistant.home / "models")
        return {
            "values": {name: getattr(current, name) for name in _EDITABLE},
            "bounds": {name: _bounds(name) for name in _BOUNDED},
            "engines": list(get_args(EngineName)),
            "models": [model.name for model in models if model.kind == "language"],
            "answers_with": self._assistant.engine_name,
            "embedding": current.embedding_model,
            "sends_to": self._assistant.sends_to,
            "writable": _may_change(owner),
        }

    def change_settings(self, owner: str, arguments: Arguments) -> Any:
        """Change the given settings, and return all of them."""
        if not _may_change(owner):
            raise UsageError("all users share the settings; the administrator changes them in kb.toml")
        self._assistant.change_settings(**{name: arguments[name] for name in _EDITABLE if name in arguments})
        return self.settings(owner, arguments)

    def machine(self, owner: str, arguments: Arguments) -> Any:
        """Return what `kb doctor` finds about the machine."""
        findings = examine_machine(self._assistant.settings, self._assistant.home / "models")
        return [asdict(finding) for finding in findings]


def _may_change(owner: str) -> bool:
    """Settings are those of the whole home: where there are users, none of them changes them for the others."""
    return not owner


def _bounds(name: str) -> dict[str, float]:
    bounds: dict[str, float] = {}
    for rule in Settings.model_fields[name].metadata:
        for attribute, side in (("ge", "least"), ("le", "most")):
            if hasattr(rule, attribute):
                bounds[side] = getattr(rule, attribute)
    return bounds
