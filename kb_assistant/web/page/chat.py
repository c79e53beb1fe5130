"""The conversation: answers as they come, and what is kept of them."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import gradio as gr

from kb_assistant.answering.types import Citation
from kb_assistant.assistant import MAX_QUESTION_CHARACTERS
from kb_assistant.chats.store import KeptTurn
from kb_assistant.errors import KbError, UnknownCollectionError
from kb_assistant.web.page.calls import Asked, Call, collection_in, failure, owner_of

if TYPE_CHECKING:
    from kb_assistant.assistant import Assistant
    from kb_assistant.web.running_answers import UnderWay

__all__ = ["Answering", "ChatCalls"]

_FRAME_S = 0.05
"""Text that comes faster than that is shown together."""
_HEARTBEAT_S = 1.0
"""So often something is sent even where nothing happens: only then is it noticed that the browser has gone."""

_TOO_LARGE = 1 << 63
"""For the catalogue's numbers."""

State = dict[str, Any]


class Answering:
    """The answers under way, each of which its owner can stop."""

    def __init__(self, assistant: Assistant, under_way: UnderWay) -> None:
        """Take who answers, and where answers run."""
        self._assistant = assistant
        self._under_way = under_way
        self._stops: dict[tuple[str, str], threading.Event] = {}

    async def answer(self, event: gr.EventData, request: gr.Request) -> AsyncIterator[State]:
        """Yield what is known of an answer, more each time; stops the engine when it is closed."""
        asked: Asked = event._data if isinstance(event._data, dict) else {}
        owner, key = owner_of(request), str(asked.get("key", ""))
        stop = threading.Event()
        self._stops[owner, key] = stop
        loop, arrived = asyncio.get_running_loop(), asyncio.Queue[State]()

        def put(news: State) -> None:
            with suppress(RuntimeError):  # the loop is closed: the server stops
                loop.call_soon_threadsafe(arrived.put_nowait, news)

        self._under_way.start(lambda: self._run(owner, asked, stop, put), stop, "kb-page")
        state: State = {"key": key, "phase": "searching", "text": "", "beat": 0}
        try:
            yield dict(state)
            while state["phase"] not in ("done", "failed"):
                with suppress(TimeoutError):
                    async with asyncio.timeout(_HEARTBEAT_S):  # wait_for loses a cancellation that meets news
                        news = await arrived.get()
                    state = _merged(state, news)
                    await asyncio.sleep(_FRAME_S)
                while not arrived.empty():
                    state = _merged(state, arrived.get_nowait())
                state["beat"] += 1
                yield dict(state)
        finally:
            stop.set()
            self._stops.pop((owner, key), None)

    def stop(self, owner: str, asked: Asked) -> bool:
        """Stop an answer, and return whether it was still under way."""
        stop = self._stops.get((owner, str(asked["key"])))
        if stop:
            stop.set()
        return stop is not None

    def _run(self, owner: str, asked: Asked, stop: threading.Event, put: Any) -> None:
        try:
            for piece in self._assistant.chats.ask(
                str(asked.get("question", ""))[: MAX_QUESTION_CHARACTERS + 1],
                owner=owner,
                chat_id=_number(asked.get("chat_id")),
                collection=collection_in(asked),
                instead_of=_number(asked.get("instead_of")),
                on_begun=lambda turn: put({"turn_id": turn.id, "chat_id": turn.chat_id}),
                on_passages=lambda passages: put({"phase": "reading", "passages": _citations(passages)}),
                on_waiting=lambda ahead: put({"phase": "waiting" if ahead else "reading", "ahead": ahead}),
                stop=stop,
            ):
                put({"turn": _turn(piece), "phase": "done"} if isinstance(piece, KeptTurn) else {"piece": piece})
        except KbError as error:
            put({"phase": "failed", **failure(error)})
        except BaseException:
            put({"phase": "failed", "error": "unavailable", "detail": ""})
            raise


def _number(value: Any) -> int | None:
    return value if isinstance(value, int) and abs(value) < _TOO_LARGE else None


def _merged(state: State, news: State) -> State:
    if "piece" in news:
        return {**state, "phase": "writing", "text": state["text"] + news["piece"]}
    return {**state, **news}


class ChatCalls:
    """What the script asks about conversations."""

    def __init__(self, assistant: Assistant, answering: Answering) -> None:
        """Take whose conversations, and the answers under way."""
        self._assistant = assistant
        self._answering = answering

    def all(self) -> Sequence[Call]:
        """Return the calls."""
        return (
            *(self.begin, self.suggestions, self.chats, self.open_chat, self.rename_chat, self.delete_chat),
            *(self.export_chat, self.export_feedback, self.rate, self.stop_answer),
        )

    def begin(self, owner: str, asked: Asked) -> Any:
        """Return what the page shows before anything is asked."""
        return {
            "user": owner,
            "collection": self._assistant.settings.collection,
            "sends_to": self._assistant.sends_to,
            "longest": MAX_QUESTION_CHARACTERS,
            "chats": self.chats(owner, asked),
        }

    def suggestions(self, owner: str, asked: Asked) -> Any:
        """Return questions to begin with."""
        try:
            return list(self._assistant.suggestions(collection_in(asked)))
        except UnknownCollectionError:  # no document has made it yet
            return []

    def chats(self, owner: str, asked: Asked) -> Any:
        """Return the conversations, the latest first."""
        return [asdict(chat) for chat in self._assistant.chats.list(owner)]

    def open_chat(self, owner: str, asked: Asked) -> Any:
        """Return a conversation with its turns."""
        chat, turns = self._assistant.chats.open(owner, int(asked["chat_id"]))
        return {**asdict(chat), "turns": [_turn(turn) for turn in turns]}

    def rename_chat(self, owner: str, asked: Asked) -> Any:
        """Give a conversation another title."""
        self._assistant.chats.rename(owner, int(asked["chat_id"]), str(asked["title"]))
        return True

    def delete_chat(self, owner: str, asked: Asked) -> Any:
        """Delete a conversation."""
        self._assistant.chats.delete(owner, int(asked["chat_id"]))
        return True

    def export_chat(self, owner: str, asked: Asked) -> Any:
        """Return a conversation as Markdown."""
        return self._assistant.chats.markdown(owner, int(asked["chat_id"]))

    def export_feedback(self, owner: str, asked: Asked) -> Any:
        """Return what was found good as questions for `kb eval`."""
        return self._assistant.chats.evaluation_lines(owner)

    def rate(self, owner: str, asked: Asked) -> Any:
        """Keep what is thought of an answer."""
        verdict, reason = int(asked["verdict"]), str(asked.get("reason", ""))
        self._assistant.chats.rate(owner, int(asked["turn_id"]), verdict, reason)
        return True

    async def stop_answer(self, owner: str, asked: Asked) -> Any:
        """Stop an answer under way, however many other calls there are."""
        return self._answering.stop(owner, asked)


def _citations(passages: Sequence[Citation]) -> list[dict[str, Any]]:
    return [asdict(one) for one in passages]


def _turn(turn: KeptTurn) -> dict[str, Any]:
    values = asdict(turn)
    del values["about"]
    if turn.searched == turn.question:
        values["searched"] = ""
    return values
