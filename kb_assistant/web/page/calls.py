"""Calls from the page's script: plain functions of (owner, arguments), whose errors are returned as data."""

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
from kb_assistant.messages import translate
from kb_assistant.web.ui_texts import preferred_language

__all__ = ["Arguments", "PageCall", "collection_in", "describe_error", "event_arguments", "expose", "owner_of"]

Arguments = dict[str, Any]
"""What the script sends. Any user can send anything, so each call checks what it reads."""

PageCall = Callable[[str, Arguments], Any]
"""Takes the owner and the arguments, and returns what JSON can hold. The script calls it by its name.

Asynchronous calls run on the event loop and must not block it; the others run in threads, which are few.
"""

_CODES: tuple[tuple[type[Exception], str], ...] = (
    (EmptyStoreError, "empty"),
    (UnknownCollectionError, "no_collection"),
    (UnknownSourceError, "no_document"),
    (UnknownChatError, "no_chat"),
    (PageImageError, "not_drawn"),
)
_log = logging.getLogger(__name__)


def owner_of(request: gr.Request | Request) -> str:
    """Return the name of the user who asks, or '' if there are no users."""
    # Gradio gives calls Starlette's request, and events its own wrapper.
    http = request if isinstance(request, Request) else request.request
    assert http is not None  # every event here comes over HTTP
    return str(getattr(http.state, "user", ""))


def event_arguments(event: gr.EventData, *names: str) -> Arguments:
    """Return those of the named values that came with an event."""
    try:
        return {name: getattr(event, name) for name in names if hasattr(event, name)}
    except TypeError:  # the script sends an object; something else was sent
        return {}


def collection_in(arguments: Arguments) -> str | None:
    """Return the name of the collection in the arguments, or None for the one in the settings."""
    name = arguments.get("collection")
    return name if isinstance(name, str) else None


def expose(call: PageCall) -> Callable[[Any, gr.Request], Awaitable[Any]]:
    """Return a call in the form that Gradio takes, with errors returned as data."""

    async def run(sent: Any, request: gr.Request) -> Any:
        owner, arguments = owner_of(request), sent if isinstance(sent, dict) else {}
        try:
            if inspect.iscoroutinefunction(call):
                return await call(owner, arguments)
            return await asyncio.to_thread(call, owner, arguments)
        except KbError as error:
            told = describe_error(error)
            return {**told, "detail": translate(told["detail"], preferred_language(request.headers))}
        except (KeyError, TypeError, ValueError, ArithmeticError):  # our script never sends such arguments
            return {"error": "malformed", "detail": ""}

    run.__name__ = call.__name__
    return run


def describe_error(error: Exception) -> dict[str, str]:
    """Return what the page is told about an error; a message that may name a path goes to the log only."""
    for kind, code in _CODES:
        if isinstance(error, kind):
            return {"error": code, "detail": ""}
    if isinstance(error, UsageError) and not isinstance(error, SettingsError):
        return {"error": "usage", "detail": str(error)}
    _log.error("%s: %s", type(error).__name__, error)
    return {"error": "unavailable", "detail": ""}
