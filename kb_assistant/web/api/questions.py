"""Search and answers over HTTP."""

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
from kb_assistant.web.api.answers import AnswerPieces, ServerEvent, start_answer, stream_events
from kb_assistant.web.api.errors import ERRORS, ErrorBody
from kb_assistant.web.api.fields import MAX_MESSAGE_CHARACTERS, CollectionName, Question

if TYPE_CHECKING:
    from kb_assistant.assistant import Assistant
    from kb_assistant.web.running_answers import RunningAnswers

__all__ = ["question_routes"]


class SearchRequest(BaseModel):
    """A search, in the parameters of the address."""

    model_config = ConfigDict(extra="forbid")

    q: Question
    k: int = Field(10, ge=1, le=100, description="how many passages")
    collection: CollectionName | None = None
    source: str | None = Field(None, max_length=1_000, description="only documents whose name matches, with * and ?")


class AskRequest(BaseModel):
    """A question, and the earlier questions of the same conversation."""

    model_config = ConfigDict(extra="forbid")

    question: Question
    collection: CollectionName | None = None
    history: list[Annotated[str, Field(max_length=MAX_MESSAGE_CHARACTERS)]] = Field(
        default_factory=list, max_length=1_000, description="the earlier questions, oldest first"
    )


def question_routes(assistant: Assistant, answers: RunningAnswers) -> APIRouter:
    """Return the routes for search and answers."""
    router = APIRouter(tags=["kb"], responses=ERRORS)

    @router.get("/api/search")
    def find_passages(
        search: Annotated[SearchRequest, Query()],
    ) -> dict[str, Any]:
        """Return the nearest passages, as `kb search --json` prints them."""
        return hits_json(
            search.q,
            assistant.search(search.q, limit=search.k, collection=search.collection, source=search.source),
        )

    @router.post("/api/ask", response_class=StreamingResponse)
    async def ask(body: AskRequest) -> Response:
        """Answer as server-sent events.

        `waiting` has the number of questions that are answered first, `passages` comes once, `token` for each piece
        of text, and last `answer`, as `kb ask --json` prints it; or `error`.
        """
        pieces = await start_answer(assistant, answers, body.question, body.history, body.collection)
        return stream_events(_ask_events(pieces))

    @router.get("/healthz", responses={503: {"model": ErrorBody}})
    def health() -> dict[str, str]:
        """Confirm that the server responds and can read its catalogue."""
        assistant.collections()
        return {"status": "ok"}

    return router


async def _ask_events(pieces: AnswerPieces) -> AsyncIterator[ServerEvent]:
    async for piece in pieces:
        if isinstance(piece, str):
            yield "token", piece
        elif isinstance(piece, Answer):
            yield "answer", answer_json(piece)
        elif isinstance(piece, int):
            yield "waiting", {"ahead": piece}
        elif piece is None:
            yield "keep-alive"
        else:
            yield "passages", [asdict(citation) for citation in piece]
