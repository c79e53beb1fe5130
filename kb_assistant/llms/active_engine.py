"""The settings in force, and the engine that they name, loaded when it is first used."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import TYPE_CHECKING

from kb_assistant.settings import Settings, load_settings, save_settings

if TYPE_CHECKING:
    from kb_assistant.llms.base import Engine

__all__ = ["EngineInUse"]

_READ_AT_EACH_QUESTION = {"collection", "passages", "context_tokens", "refuse_below"}
"""Settings that a loaded engine goes on with; any other may be one that it was loaded with."""


class EngineInUse:
    """What of the engine and its settings `Assistant` shows; its docstrings say more."""

    def __init__(self, home: Path, settings: Settings) -> None:
        """Take the home folder and the settings in force; nothing is loaded yet."""
        self.settings = settings
        self.loaded: Engine | None = None
        """The language model, once it has been used."""
        self._home = home
        self._loading = threading.Lock()

    @property
    def name(self) -> str:
        """The engine that answers."""
        if self.settings.engine != "auto":
            return self.settings.engine
        from kb_assistant.llms import engine_for

        return engine_for(self.settings, self._home / "models")

    @property
    def engine(self) -> Engine | None:
        """The language model, loaded at the first use; None for the extractive engine."""
        if self.name == "extractive":
            return None
        with self._loading:
            if self.loaded is None:
                from kb_assistant.llms import load_engine

                self.loaded = load_engine(self.name, self.settings, self._home / "models")
            return self.loaded

    @property
    def sends_to(self) -> str | None:
        """The host that questions and passages are sent to, if that is not this machine."""
        if self.name != "openai" or not self.settings.base_url:
            return None
        from kb_assistant.llms.remote.destination import Destination

        server = Destination.of(self.settings.base_url)
        return None if server.on_this_machine else server.host

    @property
    def queue_length(self) -> int:
        """How many callers the language model serves or has yet to serve."""
        loaded = self.loaded  # looked at once: it may be None the next moment
        return 0 if loaded is None else loaded.queue_length

    def change(self, **values: str | float) -> Settings:
        """Set settings here and in kb.toml, or change nothing."""
        former = self.settings
        new = load_settings(self._home, **{**former.model_dump(), **values})
        held = new.model_dump(exclude=_READ_AT_EACH_QUESTION) != former.model_dump(exclude=_READ_AT_EACH_QUESTION)
        with self._loading:
            self.settings = new
            if held:
                self.loaded = None  # now, since two models may not fit into memory
        try:
            _ = self.engine  # says at once if its model cannot be used
            changed = {name: value for name, value in values.items() if getattr(former, name) != getattr(new, name)}
            if changed:
                save_settings(self._home, **changed)
        except Exception:
            with self._loading:
                self.settings = former
                if held:
                    self.loaded = None
            raise
        return new
