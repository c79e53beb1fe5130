"""Search and questions over HTTP."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Query
from fastapi.responses import Response, StreamingResponse
from pydantic import BaseModel, ConfigDict, Field

from kb_assistant.answering.presentation import answer_json
from kb_assistant.answering.types import Answer
from kb_assistant.serialization import hits_json
from kb_assistant.web.api.answers import Event, Pieces, answering, event_stream
from kb_assistant.web.api.errors import ERRORS, ErrorBody
from kb_assistant.web.api.forms import LONGEST_MESSAGE, CollectionName, Question

if TYPE_CHECKING:
    from kb_assistant.assistant import Assistant
    from kb_assistant.web.running_answers import UnderWay

__all__ = ["question_routes"]


class AskRequest(BaseModel):
    """A question, and the questions before it in the same conversation."""

    model_config = ConfigDict(extra="forbid")

    question: Question
    collection: CollectionName | None = None
    history: list[Annotated[str, Field(max_length=LONGEST_MESSAGE)]] = Field(
        default_factory=list, max_length=1_000, description="the questions so far, the first one first"
    )


def question_routes(assistant: Assistant, under_way: UnderWay) -> APIRouter:
    """Return the routes that find and answer."""
    router = APIRouter(tags=["kb"], responses=ERRORS)

    @router.get("/api/search")
    def search(
        q: Question,
        k: Annotated[int, Query(ge=1, le=100)] = 10,
        collection: Annotated[str | None, Query(max_length=200)] = None,
        source: Annotated[str | None, Query(max_length=1_000)] = None,
    ) -> dict[str, Any]:
        """Return the nearest passages, as `kb search --json` prints them."""
        return hits_json(q, assistant.search(q, limit=k, collection=collection, source=source))

    @router.post("/api/ask", response_class=StreamingResponse)
    async def ask(body: AskRequest) -> Response:
        """Answer as server-sent events.

        `waiting` tells how many questions a model answers first, `passages` comes once, `token` for each piece,
        and `answer` last, as `kb ask --json` prints it; or `error`.
        """
        pieces = await answering(assistant, under_way, body.question, body.history, body.collection)
        return event_stream(_own_events(pieces))

    @router.get("/healthz", responses={503: {"model": ErrorBody}})
    def health() -> dict[str, str]:
        """Tell that the server answers and its catalogue can be read."""
        assistant.collections()
        return {"status": "ok"}

    return router


async def _own_events(pieces: Pieces) -> AsyncIterator[Event]:
    async for piece in pieces:
        if isinstance(piece, str):
            yield "token", piece
        elif isinstance(piece, Answer):
            yield "answer", answer_json(piece)
        elif isinstance(piece, int):
            yield "waiting", {"ahead": piece}
        elif piece is None:
            yield "still at it"
        else:
            yield "passages", [asdict(citation) for citation in piece]
