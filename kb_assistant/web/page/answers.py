"""Answers for the page: what is known so far, again and again, until the turn is kept."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import AsyncIterator, Callable
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import gradio as gr

from kb_assistant.assistant import MAX_QUESTION_CHARACTERS
from kb_assistant.chats.store import KeptTurn
from kb_assistant.errors import KbError
from kb_assistant.web.bridge import Bridge
from kb_assistant.web.page.calls import Arguments, collection_in, describe_error, event_arguments, owner_of

if TYPE_CHECKING:
    from kb_assistant.assistant import Assistant
    from kb_assistant.web.running_answers import RunningAnswers

__all__ = ["PageAnswers", "turn_json"]

_FRAME_S = 0.05
"""Text that comes faster is shown together."""
_HEARTBEAT_S = 1.0
"""How often something is sent: Gradio notices only then that a browser has left."""

_CATALOG_MAX = 1 << 63
"""Ids in the catalogue are smaller."""
_log = logging.getLogger(__name__)

State = dict[str, Any]


class PageAnswers:
    """The page's answers in progress, each of which its owner can stop."""

    def __init__(self, assistant: Assistant, answers: RunningAnswers) -> None:
        """Take what answers, and where answers run."""
        self._assistant = assistant
        self._answers = answers
        self._stops: dict[tuple[str, str], threading.Event] = {}

    async def answer(self, event: gr.EventData, request: gr.Request) -> AsyncIterator[State]:
        """Yield what is known of an answer, more each time; closing the generator stops the engine."""
        arguments = event_arguments(event, "key", "question", "chat_id", "instead_of", "collection")
        owner, key = owner_of(request), str(arguments.get("key", ""))
        bridge = Bridge[State]()
        self._stops[owner, key] = bridge.stop
        bridge.start(lambda send: self._produce(owner, arguments, bridge.stop, send), self._answers, "kb-page")
        state: State = {"key": key, "phase": "searching", "text": "", "beat": 0}
        try:
            yield state
            while state["phase"] not in ("done", "failed"):
                state = {**state, **await _news(bridge, state["text"]), "beat": state["beat"] + 1}
                yield state
                await asyncio.sleep(_FRAME_S)
        finally:
            bridge.stop.set()
            self._stops.pop((owner, key), None)

    def stop(self, owner: str, key: str) -> bool:
        """Stop an answer, and return whether it was still in progress."""
        stop = self._stops.get((owner, key))
        if stop:
            stop.set()
        return stop is not None

    def _produce(self, owner: str, arguments: Arguments, stop: threading.Event, send: Callable[[State], None]) -> None:
        pieces = self._assistant.chats.ask(
            str(arguments.get("question", ""))[: MAX_QUESTION_CHARACTERS + 1],
            owner=owner,
            chat_id=_id(arguments.get("chat_id")),
            collection=collection_in(arguments),
            instead_of=_id(arguments.get("instead_of")),
            on_begun=lambda turn: send({"turn_id": turn.id, "chat_id": turn.chat_id}),
            on_passages=lambda found: send({"phase": "reading", "passages": [asdict(passage) for passage in found]}),
            on_waiting=lambda ahead: send({"phase": "waiting" if ahead else "reading", "ahead": ahead}),
            stop=stop,
        )
        for piece in pieces:
            send({"turn": turn_json(piece), "phase": "done"} if isinstance(piece, KeptTurn) else {"piece": piece})


async def _news(bridge: Bridge[State], text: str) -> State:
    """Return what has changed since the last frame; nothing if nothing came within a heartbeat."""
    try:
        arrived = await bridge.read(_HEARTBEAT_S)
    except KbError as error:
        return {"phase": "failed", **describe_error(error)}
    except Exception:  # noqa: BLE001 - the page says that it failed, the log says why
        _log.exception("an answer failed")
        return {"phase": "failed", "error": "unavailable", "detail": ""}
    assert arrived is not None  # an answer ends with its turn, or raises
    changes: State = {}
    for item in arrived:
        if "piece" in item:
            text += item["piece"]
            changes |= {"phase": "writing", "text": text}
        else:
            changes |= item
    return changes


def turn_json(turn: KeptTurn) -> dict[str, Any]:
    """Return a kept turn as the script shows it."""
    values = asdict(turn)
    del values["about"]
    if turn.searched == turn.question:
        values["searched"] = ""
    return values


def _id(value: Any) -> int | None:
    return value if isinstance(value, int) and abs(value) < _CATALOG_MAX else None
