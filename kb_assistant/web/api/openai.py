"""OpenAI-compatible chat, models and embeddings, over the documents."""

from __future__ import annotations

import base64
import time
import uuid
from collections.abc import AsyncIterator
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np
from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel, ConfigDict, Field

from kb_assistant.answering.presentation import CHECKED, citations_text, unsupported_text
from kb_assistant.answering.types import Answer
from kb_assistant.errors import UnknownCollectionError, UsageError
from kb_assistant.language import language_of
from kb_assistant.web.api.answers import AnswerPieces, ServerEvent, final_answer, start_answer, stream_events
from kb_assistant.web.api.errors import ERRORS
from kb_assistant.web.api.fields import MAX_MESSAGE_CHARACTERS

if TYPE_CHECKING:
    from kb_assistant.assistant import Assistant
    from kb_assistant.web.running_answers import RunningAnswers

__all__ = ["openai_routes"]

_MODEL = "kb"
_MAX_TEXTS = 2_048


class TextPart(BaseModel):
    """A part of a message; only text is accepted."""

    type: Literal["text"]
    text: str = Field(max_length=MAX_MESSAGE_CHARACTERS)


class Message(BaseModel):
    """A message of a conversation. System messages are accepted and ignored: kb has its own prompts."""

    model_config = ConfigDict(extra="ignore")

    role: Literal["system", "developer", "user", "assistant"]
    content: Annotated[str, Field(max_length=MAX_MESSAGE_CHARACTERS)] | list[TextPart]

    @property
    def text(self) -> str:
        """The content as one text."""
        return self.content if isinstance(self.content, str) else "\n".join(part.text for part in self.content)


class StreamOptions(BaseModel):
    """Whether a stream ends with the number of tokens used."""

    include_usage: bool = False


class ChatRequest(BaseModel):
    """What OpenAI's clients send. Sampling options are accepted and ignored: the settings decide."""

    model_config = ConfigDict(extra="ignore")

    model: str = Field(max_length=200, description="kb, or kb/COLLECTION")
    messages: list[Message] = Field(min_length=1, max_length=1_000)
    stream: bool = False
    stream_options: StreamOptions | None = None


class EmbeddingsRequest(BaseModel):
    """Texts to embed with the same model as the documents."""

    model_config = ConfigDict(extra="ignore")

    model: str = Field(max_length=200, description="ignored: the collection's own embedding model is used")
    input: (
        Annotated[str, Field(max_length=MAX_MESSAGE_CHARACTERS)]
        | Annotated[
            list[Annotated[str, Field(max_length=MAX_MESSAGE_CHARACTERS)]], Field(min_length=1, max_length=_MAX_TEXTS)
        ]
    )
    encoding_format: Literal["float", "base64"] = "float"


def openai_routes(assistant: Assistant, answers: RunningAnswers) -> APIRouter:
    """Return the routes under /v1."""
    router = APIRouter(prefix="/v1", tags=["OpenAI"], responses=ERRORS)

    @router.get("/models")
    def models() -> dict[str, Any]:
        """List `kb`, and `kb/COLLECTION` for each collection."""
        names = [_MODEL, *(f"{_MODEL}/{collection.name}" for collection in assistant.collections())]
        return {"object": "list", "data": [_model(name) for name in names]}

    @router.post("/chat/completions", response_class=JSONResponse)
    async def chat(request: Request, body: ChatRequest) -> Response:
        """Answer the last message from the documents, with citations as footnotes and in `citations`."""
        collection = _collection(assistant, body.model)
        questions = [message.text for message in body.messages if message.role == "user"]
        if body.messages[-1].role != "user":
            raise UsageError("the last message must have the role user: it is the question")
        pieces = await start_answer(assistant, answers, questions[-1], questions[:-1], collection)
        about = {"id": f"chatcmpl-{uuid.uuid4().hex}", "created": int(time.time()), "model": body.model}
        if body.stream:
            usage = body.stream_options is not None and body.stream_options.include_usage
            return stream_events(_chunks(pieces, about, with_usage=usage), ending="[DONE]")
        answer = await final_answer(pieces, request)
        return JSONResponse(_completion(answer, about))

    @router.post("/embeddings")
    def embeddings(body: EmbeddingsRequest) -> dict[str, Any]:
        """Embed texts with the same model as the documents."""
        texts = [body.input] if isinstance(body.input, str) else body.input
        vectors = assistant.embed(texts)
        data = [
            {"object": "embedding", "index": index, "embedding": _encoded(vector, body.encoding_format)}
            for index, vector in enumerate(vectors)
        ]
        return {"object": "list", "model": body.model, "data": data, "usage": {"prompt_tokens": 0, "total_tokens": 0}}

    return router


async def _chunks(pieces: AnswerPieces, about: dict[str, Any], *, with_usage: bool) -> AsyncIterator[ServerEvent]:
    def chunk(delta: dict[str, Any], finish: str | None = None, **more: Any) -> tuple[str, Any]:
        choice = {"index": 0, "delta": delta, "finish_reason": finish}
        return "", {**about, "object": "chat.completion.chunk", "choices": [choice], **more}

    yield chunk({"role": "assistant", "content": ""})
    written = ""
    async for piece in pieces:
        if isinstance(piece, str):
            written += piece
            yield chunk({"content": piece})
        elif piece is None or isinstance(piece, int):  # clients ignore comments, which keep the connection open
            yield "keep-alive" if piece is None else f"{piece} ahead"
        if not isinstance(piece, Answer):
            continue
        corrected = "" if written.split() == piece.text.split() else _corrected(piece)
        if rest := corrected + "".join(f"\n\n{footnote}" for footnote in _footnotes(piece)):
            yield chunk({"content": rest})
        yield chunk({}, "stop", **_extra(piece))
        if with_usage:
            yield "", {**about, "object": "chat.completion.chunk", "choices": [], "usage": _usage(piece)}


def _footnotes(answer: Answer) -> list[str]:
    return [footnote for footnote in (unsupported_text(answer), citations_text(answer)) if footnote]


def _corrected(answer: Answer) -> str:
    return f"\n\n{CHECKED[language_of(answer.question)]}\n{answer.text}"


def _completion(answer: Answer, about: dict[str, Any]) -> dict[str, Any]:
    content = "\n\n".join([answer.text, *_footnotes(answer)])
    message = {"role": "assistant", "content": content, "refusal": None}
    choice = {"index": 0, "message": message, "finish_reason": "stop", "logprobs": None}
    return {**about, "object": "chat.completion", "choices": [choice], "usage": _usage(answer), **_extra(answer)}


def _extra(answer: Answer) -> dict[str, Any]:
    return {
        "citations": [asdict(citation) for citation in answer.citations],
        "refused": answer.refused,
        "unsupported": answer.unsupported,
    }


def _usage(answer: Answer) -> dict[str, int]:
    used = asdict(answer.usage)
    return {**used, "total_tokens": sum(used.values())}


def _model(name: str) -> dict[str, Any]:
    return {"id": name, "object": "model", "created": 0, "owned_by": "kb"}


def _encoded(vector: np.ndarray, form: str) -> list[float] | str:
    if form == "float":
        values: list[float] = vector.tolist()
        return values
    return base64.b64encode(vector.astype("<f4").tobytes()).decode("ascii")


def _collection(assistant: Assistant, model: str) -> str | None:
    name, _, collection = model.partition("/")
    if name != _MODEL:
        raise UnknownCollectionError(f"there is no model {model!r}; use kb, or kb/COLLECTION")
    if collection and collection not in {known.name for known in assistant.collections()}:
        raise UnknownCollectionError(f"there is no collection {collection!r}; GET /api/collections lists them")
    return collection or None
