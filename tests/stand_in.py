"""A small real engine for tests of what stands around one: a subclass only says what it says."""

from __future__ import annotations

from kb_assistant.llms.base import Engine

__all__ = ["StandInEngine"]


class StandInEngine(Engine):
    """Everything of an engine but `generate_pieces`; a token is a word."""

    @property
    def engine_name(self) -> str:
        return "ipex"

    @property
    def context_tokens(self) -> int:
        return 100_000

    def get_token_ids(self, text: str) -> list[int]:
        return list(range(len(text.split())))
