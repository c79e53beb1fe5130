"""The exchange with an OpenAI-compatible server: reading its stream, cancelling, retrying, listing its models."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from kb_assistant.llms.base import FinishReason, Piece

if TYPE_CHECKING:
    from openai import AsyncOpenAI
    from openai.types.chat import ChatCompletionChunk

__all__ = ["ReceivedAnswer", "list_served_models", "list_served_models_or_none", "retry_pause_s", "run_until_cancelled"]

_RETRY_PAUSE_S = 0.5  # before the second try; twice that before the third
_MAX_RETRY_PAUSE_S = 10.0  # whatever the server asks for
_POLL_S = 0.02


@dataclass
class ReceivedAnswer:
    """The part of an answer received so far."""

    reason: str | None = None
    characters: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0

    def take(self, chunk: ChatCompletionChunk) -> Piece | None:
        """Take the next chunk, and return its text, if any, as a piece."""
        if chunk.usage:
            self.prompt_tokens, self.completion_tokens = chunk.usage.prompt_tokens, chunk.usage.completion_tokens
        text = ""
        for choice in (chunk.choices or ())[:1]:  # the chunk with the usage has none
            self.reason = choice.finish_reason or self.reason
            text = choice.delta.content or ""
        self.characters += len(text)
        return Piece(text, self.prompt_tokens, self.completion_tokens) if text else None

    def last(self) -> Piece:
        """Return the last piece, with usage and finish reason."""
        reason: FinishReason = "length" if self.reason == "length" else "stop"
        return Piece("", self.prompt_tokens, self.completion_tokens, reason)


async def run_until_cancelled(cancelled: threading.Event, work: Coroutine[Any, Any, None]) -> None:
    """Await `work`; once `cancelled` is set, cancel it at whatever it waits for."""
    task = asyncio.ensure_future(work)
    while not task.done():
        if cancelled.is_set():
            task.cancel()
        await asyncio.wait({task}, timeout=_POLL_S)
    if not task.cancelled():
        task.result()


async def list_served_models(client: AsyncOpenAI) -> tuple[str, ...]:
    """Return the ids of the models that the server lists, sorted."""
    return tuple(sorted([model.id async for model in client.models.list()]))


async def list_served_models_or_none(client: AsyncOpenAI) -> tuple[str, ...] | None:
    """Return what `list_served_models` returns, or None if the server does not answer properly."""
    import openai

    try:
        return await list_served_models(client)
    except (openai.OpenAIError, ValueError, TypeError, AttributeError):
        return None


def retry_pause_s(error: Exception, tries: int) -> float:
    """Return the seconds to wait before the next try: what the server asks for, within bounds."""
    response = getattr(error, "response", None)
    wanted = response.headers.get("retry-after", "") if response is not None else ""
    asked = float(wanted) if wanted.isdecimal() else 0.0
    return min(max(asked, _RETRY_PAUSE_S * tries), _MAX_RETRY_PAUSE_S)
