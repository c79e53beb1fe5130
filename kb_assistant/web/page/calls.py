"""Calls from the page's script: plain functions of (owner, what was asked), and what becomes of their errors."""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import Awaitable, Callable
from typing import Any

import gradio as gr
from starlette.requests import Request

from kb_assistant.errors import (
    EmptyStoreError,
    KbError,
    PageImageError,
    SettingsError,
    UnknownChatError,
    UnknownCollectionError,
    UnknownSourceError,
    UsageError,
)

__all__ = ["Asked", "Call", "called", "collection_in", "failure", "owner_of"]

Asked = dict[str, Any]
"""What the script sends: it may be anything, from anyone who may ask at all."""

Call = Callable[[str, Asked], Any]
"""Takes the owner and what is asked, and returns what JSON can hold; named as the script calls it.

One that is asynchronous runs on the event loop, which it must not hold up; the others in threads, which are few.
"""

_KNOWN: tuple[tuple[type[Exception], str], ...] = (
    (EmptyStoreError, "empty"),
    (UnknownCollectionError, "no_collection"),
    (UnknownSourceError, "no_document"),
    (UnknownChatError, "no_chat"),
    (PageImageError, "not_drawn"),
)
_log = logging.getLogger(__name__)


def owner_of(request: gr.Request | Request) -> str:
    """Return the name of the user who asks; empty where there are no users."""
    own = request if isinstance(request, Request) else request.request  # calls get the one, events the other
    assert own is not None  # every event here comes over HTTP
    return str(getattr(own.state, "user", ""))


def collection_in(asked: Asked) -> str | None:
    """Return the name of the collection that is asked about; None for the one that is set."""
    name = asked.get("collection")
    return name if isinstance(name, str) else None


def called(call: Call) -> Callable[[Any, gr.Request], Awaitable[Any]]:
    """Return a call as Gradio takes it, with errors as data."""

    async def run(asked: Any, request: gr.Request) -> Any:
        given = owner_of(request), asked if isinstance(asked, dict) else {}
        try:
            return await (call(*given) if inspect.iscoroutinefunction(call) else asyncio.to_thread(call, *given))
        except KbError as error:
            return failure(error)
        except (KeyError, TypeError, ValueError, ArithmeticError):  # no script of ours sends that
            return {"error": "malformed", "detail": ""}

    run.__name__ = call.__name__
    return run


def failure(error: Exception) -> dict[str, str]:
    """Return what the page is told of an error; what may name a path stays in the log."""
    for kind, code in _KNOWN:
        if isinstance(error, kind):
            return {"error": code, "detail": ""}
    if isinstance(error, UsageError) and not isinstance(error, SettingsError):
        return {"error": "usage", "detail": str(error)}
    _log.error("%s: %s", type(error).__name__, error)
    return {"error": "unavailable", "detail": ""}
