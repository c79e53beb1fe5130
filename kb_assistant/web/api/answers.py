"""Answers for API clients: as pieces, as a whole, and as server-sent events."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Sequence
from typing import TYPE_CHECKING, Any

from fastapi import Request
from fastapi.responses import StreamingResponse

from kb_assistant.answering.follow_up import resolve_follow_up
from kb_assistant.answering.types import Answer, Citation, Turn
from kb_assistant.assistant import MAX_QUESTION_CHARACTERS
from kb_assistant.errors import KbError, UsageError
from kb_assistant.web.api.errors import describe_error
from kb_assistant.web.bridge import Bridge

if TYPE_CHECKING:
    from kb_assistant.assistant import Assistant
    from kb_assistant.web.running_answers import RunningAnswers

__all__ = ["AnswerPieces", "ServerEvent", "final_answer", "pieces_of", "start_answer", "stream_events"]

_MAX_TURNS = 20
"""How many earlier turns a follow-up can refer to."""
_DISCONNECT_POLL_S = 0.25
_KEEP_ALIVE_S = 10.0

AnswerPiece = tuple[Citation, ...] | int | str | Answer
AnswerPieces = AsyncIterator[AnswerPiece | None]
"""The passages once they are found, how many callers are ahead, the text as it is written, and last the answer.

None means that nothing has come for a while.
"""
ServerEvent = tuple[str, Any] | str
"""A name and a value; or a comment, which keeps the connection open."""


async def start_answer(
    assistant: Assistant, answers: RunningAnswers, question: str, earlier: Sequence[str], collection: str | None
) -> AnswerPieces:
    """Start an answer and return its pieces once the first has come; a question that cannot be answered raises here."""
    bridge = Bridge[AnswerPiece]()

    def produce(send: Callable[[AnswerPiece], None]) -> None:
        stream = assistant.stream(
            question,
            collection=collection,
            history=_history(assistant, earlier[-_MAX_TURNS:], collection),
            on_passages=send,
            on_waiting=send,
            stop=bridge.stop,
        )
        for piece in stream:
            send(piece)

    bridge.start(produce, answers, "kb-api")
    try:
        first = await bridge.read()
    except BaseException:
        bridge.stop.set()
        raise
    return pieces_of(bridge, first)


async def pieces_of(bridge: Bridge[AnswerPiece], first: Sequence[AnswerPiece] | None = ()) -> AnswerPieces:
    """Yield the pieces that a bridge brings, after those of `first`; closing the generator stops the thread."""
    pieces = first
    try:
        while pieces is not None:
            for piece in pieces:
                yield piece
            pieces = await bridge.read(_KEEP_ALIVE_S)
            if pieces == []:
                yield None
    finally:
        bridge.stop.set()


def _history(assistant: Assistant, questions: Sequence[str], collection: str | None) -> list[Turn]:
    """Resolve each earlier question as it was resolved when it was asked."""
    turns: list[Turn] = []
    for question in map(str.strip, questions):
        if 0 < len(question) <= MAX_QUESTION_CHARACTERS:  # a longer one was never answered
            resolved = resolve_follow_up(question, turns, lambda wording: assistant.covered(wording, collection))
            turns.append(Turn(resolved.question, resolved.searched))
    return turns


async def final_answer(pieces: AnswerPieces, request: Request) -> Answer:
    """Return the whole answer; stop it when the client disconnects."""
    finished = asyncio.ensure_future(_last_piece(pieces))
    while True:
        done, _ = await asyncio.wait({finished}, timeout=_DISCONNECT_POLL_S)
        if done:
            return finished.result()
        if await request.is_disconnected():
            finished.cancel()
            await asyncio.gather(finished, return_exceptions=True)
            raise UsageError("the client has disconnected")


async def _last_piece(pieces: AnswerPieces) -> Answer:
    piece: AnswerPiece | None = None
    async for piece in pieces:  # noqa: B007 - the last piece is the answer
        pass
    assert isinstance(piece, Answer)  # a stream ends with its answer, or raises
    return piece


def stream_events(events: AsyncIterator[ServerEvent], ending: str = "") -> StreamingResponse:
    """Return a response that sends events as they come, and `ending` after the last."""

    async def lines() -> AsyncIterator[str]:
        try:
            async for event in events:
                if isinstance(event, str):
                    yield f": {event}\n\n"
                    continue
                name, value = event
                yield (f"event: {name}\n" if name else "") + f"data: {json.dumps(value, ensure_ascii=False)}\n\n"
        except KbError as error:
            yield f"event: error\ndata: {json.dumps(describe_error(error)[1], ensure_ascii=False)}\n\n"
            return
        if ending:
            yield f"data: {ending}\n\n"

    return StreamingResponse(lines(), media_type="text/event-stream")
