"""The current settings and the engine they name, loaded at its first use."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import TYPE_CHECKING

from kb_assistant.settings import Settings, load_settings, save_settings

if TYPE_CHECKING:
    from kb_assistant.llms.base import Engine

__all__ = ["ActiveEngine"]

_KEEP_ENGINE = {"collection", "passages", "context_tokens", "refuse_below"}
"""Settings that may change without loading the engine again."""


class ActiveEngine:
    """Holds an assistant's settings and its engine."""

    def __init__(self, home: Path, settings: Settings) -> None:
        """Take the home folder and the settings; nothing is loaded yet."""
        self.settings = settings
        self.loaded: Engine | None = None
        """The language model; None until its first use."""
        self._home = home
        self._loading = threading.Lock()

    @property
    def name(self) -> str:
        """The name of the engine that answers."""
        if self.settings.engine != "auto":
            return self.settings.engine
        from kb_assistant.llms import engine_for

        return engine_for(self.settings, self._home / "models")

    @property
    def engine(self) -> Engine | None:
        """The language model, loaded at its first use; None for the extractive engine."""
        if self.name == "extractive":
            return None
        with self._loading:
            if self.loaded is None:
                from kb_assistant.llms import load_engine

                self.loaded = load_engine(self.name, self.settings, self._home / "models")
            return self.loaded

    @property
    def sends_to(self) -> str | None:
        """The host that receives questions and passages; None if they stay on this machine."""
        if self.name != "openai" or not self.settings.base_url:
            return None
        from kb_assistant.llms.remote.destination import Destination

        server = Destination.of(self.settings.base_url)
        return None if server.on_this_machine else server.host

    @property
    def queue_length(self) -> int:
        """How many callers the language model is serving or has yet to serve."""
        loaded = self.loaded  # read once: another thread may set it to None
        return 0 if loaded is None else loaded.queue_length

    def change(self, **values: str | float) -> Settings:
        """Change settings here and in kb.toml; if anything fails, change nothing.

        Raises:
            SettingsError: a value is invalid or cannot be written.
            ModelError: the engine cannot use its model.
        """
        former = self.settings
        new = load_settings(self._home, **{**former.model_dump(), **values})
        reload = new.model_dump(exclude=_KEEP_ENGINE) != former.model_dump(exclude=_KEEP_ENGINE)
        with self._loading:
            self.settings = new
            if reload:
                self.loaded = None  # before the new one loads: two may not fit into memory
        try:
            _ = self.engine  # fails now if its model cannot be used
            changed = {name: value for name, value in values.items() if getattr(former, name) != getattr(new, name)}
            if changed:
                save_settings(self._home, **changed)
        except Exception:
            with self._loading:
                self.settings = former
                if reload:
                    self.loaded = None
            raise
        return new
