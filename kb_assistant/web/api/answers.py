"""Answers, from the engine's thread to the event loop, and on to the client as server-sent events.

Every answer is made in a thread of its own; when its client has gone, the engine stops at
the next token.
"""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from fastapi import Request
from fastapi.responses import StreamingResponse

from kb_assistant.answering.follow_up import resolve_follow_up
from kb_assistant.answering.types import Answer, Citation, Turn
from kb_assistant.assistant import MAX_QUESTION_CHARACTERS
from kb_assistant.errors import KbError, UsageError
from kb_assistant.web.api.errors import judged

if TYPE_CHECKING:
    from kb_assistant.assistant import Assistant
    from kb_assistant.web.running_answers import UnderWay

__all__ = ["Event", "Pieces", "answering", "event_stream", "last"]

_MOST_TURNS = 20
"""Turns before the last that a follow-up may lean on."""
_DISCONNECT_POLL_S = 0.25
_KEEP_ALIVE_S = 10.0

Piece = tuple[Citation, ...] | int | str | Answer
Pieces = AsyncIterator[Piece | None]
"""The passages once they are found, how many callers are ahead, the text as it is written, the answer at last.

None stands for nothing, for a while.
"""
Event = tuple[str, Any] | str
"""A name and a value, or a comment, which keeps the connection alive."""


class _Feed:
    """What a thread hands on to the event loop; `gone` is set once nobody reads it any more."""

    def __init__(self) -> None:
        self.gone = threading.Event()
        self._loop = asyncio.get_running_loop()
        self._arrived: asyncio.Queue[Piece | BaseException | None] = asyncio.Queue()

    def put(self, item: Piece | BaseException | None) -> None:
        """Hand on a piece, an error, or None for the end; called in the thread."""
        with suppress(RuntimeError):  # the loop is closed: the server stops
            self._loop.call_soon_threadsafe(self._arrived.put_nowait, item)

    async def next(self) -> Piece | None:
        """Return the next piece, or None at the end, or raise the thread's error."""
        item = await self._arrived.get()
        if isinstance(item, BaseException):
            raise item
        return item

    async def pieces(self, first: Piece | None) -> Pieces:
        """Yield `first` and all that follows."""
        item = first
        try:
            while item is not None:
                yield item
                while True:
                    try:
                        # wait_for of Python 3.11 loses a cancellation that comes together with a piece
                        async with asyncio.timeout(_KEEP_ALIVE_S) as patience:
                            item = await self.next()
                        break
                    except TimeoutError:
                        if not patience.expired():
                            raise
                        yield None
        finally:
            self.gone.set()


async def answering(
    assistant: Assistant, under_way: UnderWay, question: str, before: Sequence[str], collection: str | None
) -> Pieces:
    """Begin an answer, and return its pieces once the first is there; what cannot be answered raises here."""
    feed = _Feed()

    def run() -> None:
        try:
            history = _turns(assistant, before[-_MOST_TURNS:], collection)
            stream = assistant.stream(
                question,
                collection=collection,
                history=history,
                on_passages=feed.put,
                on_waiting=feed.put,
                stop=feed.gone,
            )
            for piece in stream:
                feed.put(piece)
        except BaseException as error:  # noqa: BLE001 - raised again where the answer is read
            feed.put(error)
        else:
            feed.put(None)

    under_way.start(run, feed.gone, "kb-api")
    try:
        first = await feed.next()
    except BaseException:
        feed.gone.set()
        raise
    return feed.pieces(first)


def _turns(assistant: Assistant, questions: Sequence[str], collection: str | None) -> list[Turn]:
    """The conversation so far, understood question by question as it was when it was held."""
    turns: list[Turn] = []
    for question in map(str.strip, questions):
        if 0 < len(question) <= MAX_QUESTION_CHARACTERS:  # a longer one was no question
            asked = resolve_follow_up(question, turns, lambda wording: assistant.covered(wording, collection))
            turns.append(Turn(asked.question, asked.searched))
    return turns


async def last(pieces: Pieces, request: Request) -> Answer:
    """Return the whole answer; a client that has gone stops it."""
    finished = asyncio.ensure_future(_exhaust(pieces))
    while True:
        done, _ = await asyncio.wait({finished}, timeout=_DISCONNECT_POLL_S)
        if done:
            return finished.result()
        if await request.is_disconnected():
            finished.cancel()
            await asyncio.gather(finished, return_exceptions=True)
            raise UsageError("the client has gone")


async def _exhaust(pieces: Pieces) -> Answer:
    item: Piece | None = None
    async for item in pieces:  # noqa: B007 - the last one is the answer
        pass
    assert isinstance(item, Answer)  # a stream ends with its answer, or raises
    return item


def event_stream(events: AsyncIterator[Event], ending: str = "") -> StreamingResponse:
    """Return the response that sends events as they come."""

    async def lines() -> AsyncIterator[str]:
        try:
            async for event in events:
                if isinstance(event, str):
                    yield f": {event}\n\n"
                    continue
                name, value = event
                yield (f"event: {name}\n" if name else "") + f"data: {json.dumps(value, ensure_ascii=False)}\n\n"
        except KbError as error:
            yield f"event: error\ndata: {json.dumps(judged(error)[1], ensure_ascii=False)}\n\n"
            return
        if ending:
            yield f"data: {ending}\n\n"

    return StreamingResponse(lines(), media_type="text/event-stream", headers={"Cache-Control": "no-store"})
