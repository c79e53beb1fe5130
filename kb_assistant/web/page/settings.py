"""What can be set from the page, and what the machine is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, get_args

from kb_assistant.doctor import examine_machine
from kb_assistant.errors import UsageError
from kb_assistant.models.registry import list_models
from kb_assistant.settings import EngineName, Settings
from kb_assistant.web.page.calls import Asked, Call

if TYPE_CHECKING:
    from kb_assistant.assistant import Assistant

__all__ = ["SettingCalls"]

_SET_HERE = ("engine", "model", "max_new_tokens", "passages", "temperature", "system_prompt")
_BOUNDED = ("max_new_tokens", "passages", "temperature")


class SettingCalls:
    """What the script asks about settings."""

    def __init__(self, assistant: Assistant) -> None:
        """Take whose settings."""
        self._assistant = assistant

    def all(self) -> Sequence[Call]:
        """Return the calls."""
        return self.settings, self.change_settings, self.machine

    def settings(self, owner: str, asked: Asked) -> Any:
        """Return what is set, and what it could be set to."""
        held = self._assistant.settings
        models = list_models(self._assistant.home / "models")
        return {
            "values": {name: getattr(held, name) for name in _SET_HERE},
            "bounds": {name: _bounds(name) for name in _BOUNDED},
            "engines": list(get_args(EngineName)),
            "models": [one.name for one in models if one.kind == "language"],
            "answers_with": self._assistant.engine_name,
            "embedding": held.embedding_model,
            "sends_to": self._assistant.sends_to,
            "writable": _may_set(owner),
        }

    def change_settings(self, owner: str, asked: Asked) -> Any:
        """Set what is given, and return what is set then."""
        if not _may_set(owner):
            raise UsageError("the settings are for all users; who runs the server changes them in kb.toml")
        self._assistant.change_settings(**{name: asked[name] for name in _SET_HERE if name in asked})
        return self.settings(owner, asked)

    def machine(self, owner: str, asked: Asked) -> Any:
        """Return what `kb doctor` finds of the machine."""
        return [asdict(one) for one in examine_machine(self._assistant.settings, self._assistant.home / "models")]


def _may_set(owner: str) -> bool:
    """Settings are of the whole home: where there are several users, none of them sets them for the others."""
    return not owner


def _bounds(name: str) -> dict[str, float]:
    found: dict[str, float] = {}
    for rule in Settings.model_fields[name].metadata:
        for key, side in (("ge", "least"), ("le", "most")):
            if hasattr(rule, key):
                found[side] = getattr(rule, key)
    return found
