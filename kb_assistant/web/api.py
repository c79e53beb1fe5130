"""The HTTP API: OpenAI's chat, models and embeddings over the documents, and kb's own search and ask.

Every answer is made in a thread of its own; when its client has gone, the engine stops at
the next token. Errors carry no paths: what a store or a model complains of goes to the
server's log.
"""

from __future__ import annotations

import asyncio
import base64
import json
import logging
import threading
import time
import uuid
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np
from fastapi import APIRouter, FastAPI, Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response, StreamingResponse
from pydantic import BaseModel, ConfigDict, Field

from kb_assistant.answer import Answer, Citation, Turn
from kb_assistant.assistant import MAX_QUESTION_CHARACTERS
from kb_assistant.conversation import settle
from kb_assistant.errors import KbError, UsageError
from kb_assistant.language import language_of
from kb_assistant.render import CHECKED, answer_json, citations_text, collections_json, hits_json, sources_json
from vectorstore import EmptyStoreError, StoreError, UnknownCollectionError

if TYPE_CHECKING:
    from kb_assistant.assistant import Assistant

__all__ = ["add_api"]

_MODEL = "kb"
_Question = Annotated[str, Field(min_length=1, max_length=MAX_QUESTION_CHARACTERS, pattern=r"\S")]
_MOST_TURNS = 20
"""Turns before the last that a follow-up may lean on."""
_MOST_TEXTS = 2_048
_LONGEST_MESSAGE = 100_000
_DISCONNECT_POLL_S = 0.25
_log = logging.getLogger(__name__)


class TextPart(BaseModel):
    """A part of a message; only text is read."""

    type: Literal["text"]
    text: str = Field(max_length=_LONGEST_MESSAGE)


class Message(BaseModel):
    """A turn of a conversation. System messages are taken and not followed: the prompts are kb's own."""

    model_config = ConfigDict(extra="ignore")

    role: Literal["system", "developer", "user", "assistant"]
    content: Annotated[str, Field(max_length=_LONGEST_MESSAGE)] | list[TextPart]

    @property
    def text(self) -> str:
        """The content as one text."""
        return self.content if isinstance(self.content, str) else "\n".join(part.text for part in self.content)


class StreamOptions(BaseModel):
    """Whether a stream ends with the tokens used."""

    include_usage: bool = False


class ChatRequest(BaseModel):
    """What OpenAI's clients send. Sampling options are taken and not followed: answers are greedy."""

    model_config = ConfigDict(extra="ignore")

    model: str = Field(max_length=200, description="kb, or kb/COLLECTION")
    messages: list[Message] = Field(min_length=1, max_length=1_000)
    stream: bool = False
    stream_options: StreamOptions | None = None


class EmbeddingsRequest(BaseModel):
    """Texts to embed with the model that the documents are embedded with."""

    model_config = ConfigDict(extra="ignore")

    model: str = Field(max_length=200, description="any; the vectors are the store's own")
    input: (
        Annotated[str, Field(max_length=_LONGEST_MESSAGE)]
        | Annotated[
            list[Annotated[str, Field(max_length=_LONGEST_MESSAGE)]], Field(min_length=1, max_length=_MOST_TEXTS)
        ]
    )
    encoding_format: Literal["float", "base64"] = "float"


class AskRequest(BaseModel):
    """A question, and the questions before it in the same conversation."""

    model_config = ConfigDict(extra="forbid")

    question: _Question
    collection: str | None = Field(None, max_length=200)
    history: list[Annotated[str, Field(max_length=_LONGEST_MESSAGE)]] = Field(
        default_factory=list, max_length=1_000, description="the questions so far, the first one first"
    )


class ErrorDetail(BaseModel):
    """What was wrong, in one line."""

    message: str
    type: str
    param: str | None = None
    code: str | None = None


class ErrorBody(BaseModel):
    """An error as OpenAI's clients read it."""

    error: ErrorDetail


_ERRORS: dict[int | str, dict[str, Any]] = {
    400: {"model": ErrorBody, "description": "what was asked cannot be meant"},
    404: {"model": ErrorBody, "description": "there is no such collection"},
    422: {"model": ErrorBody, "description": "the request has not the form it should have"},
    503: {"model": ErrorBody, "description": "the store or the language model cannot be used"},
}


def add_api(app: FastAPI, assistant: Assistant) -> None:
    """Add the API's routes, and the form of its errors, to a web application."""
    app.include_router(_openai(assistant))
    app.include_router(_own(assistant))
    app.add_exception_handler(RequestValidationError, _malformed)
    for kind in (KbError, StoreError):
        app.add_exception_handler(kind, _refused)


def _openai(assistant: Assistant) -> APIRouter:
    router = APIRouter(prefix="/v1", tags=["OpenAI"], responses=_ERRORS)

    @router.get("/models")
    def models() -> dict[str, Any]:
        """List `kb`, and `kb/COLLECTION` for each collection."""
        names = [_MODEL, *(f"{_MODEL}/{one.name}" for one in assistant.collections())]
        return {"object": "list", "data": [_model(name) for name in names]}

    @router.post("/chat/completions", response_class=JSONResponse)
    async def chat(request: Request, body: ChatRequest) -> Response:
        """Answer the last message from the documents; its citations come as footnotes and in `citations`."""
        collection = _collection(assistant, body.model)
        asked = [message.text for message in body.messages if message.role == "user"]
        if body.messages[-1].role != "user":
            raise UsageError("the last message is no question; its role has to be user")
        pieces = await _answering(assistant, asked[-1], asked[:-1], collection)
        about = {"id": f"chatcmpl-{uuid.uuid4().hex}", "created": int(time.time()), "model": body.model}
        if body.stream:
            usage = body.stream_options is not None and body.stream_options.include_usage
            return _events(_chunks(pieces, about, with_usage=usage), ending="[DONE]")
        answer = await _last(pieces, request)
        return JSONResponse(_completion(answer, about))

    @router.post("/embeddings")
    def embeddings(body: EmbeddingsRequest) -> dict[str, Any]:
        """Embed texts as documents are embedded."""
        texts = [body.input] if isinstance(body.input, str) else body.input
        vectors = assistant.embed(texts)
        data = [
            {"object": "embedding", "index": place, "embedding": _encoded(vector, body.encoding_format)}
            for place, vector in enumerate(vectors)
        ]
        return {"object": "list", "model": body.model, "data": data, "usage": {"prompt_tokens": 0, "total_tokens": 0}}

    return router


def _own(assistant: Assistant) -> APIRouter:
    router = APIRouter(tags=["kb"], responses=_ERRORS)

    @router.get("/api/search")
    def search(
        q: _Question,
        k: Annotated[int, Query(ge=1, le=100)] = 10,
        collection: Annotated[str | None, Query(max_length=200)] = None,
        source: Annotated[str | None, Query(max_length=1_000)] = None,
    ) -> dict[str, Any]:
        """Return the nearest passages, as `kb search --json` prints them."""
        return hits_json(q, assistant.search(q, limit=k, collection=collection, source=source))

    @router.post("/api/ask", response_class=StreamingResponse)
    async def ask(body: AskRequest) -> Response:
        """Answer as server-sent events: `passages` once, `token` for each piece, `answer` as `kb ask --json`."""
        return _events(_own_events(await _answering(assistant, body.question, body.history, body.collection)))

    @router.get("/api/sources")
    def sources(collection: Annotated[str | None, Query(max_length=200)] = None) -> list[dict[str, Any]]:
        """List the documents of a collection and what became of each; their folders are not told."""
        listed = sources_json(assistant.sources(collection))
        return [{key: value for key, value in one.items() if key != "path"} for one in listed]

    @router.get("/api/collections")
    def collections() -> list[dict[str, Any]]:
        """List the collections."""
        return collections_json(assistant.collections())

    @router.get("/healthz", responses={503: {"model": ErrorBody}})
    def health() -> dict[str, str]:
        """Tell that the server answers and its catalogue can be read."""
        assistant.collections()
        return {"status": "ok"}

    return router


# Answers, from the engine's thread to the event loop

_Found = tuple[Citation, ...]
_Piece = _Found | str | Answer
_Pieces = AsyncIterator[_Piece]
"""The passages once they are found, the text as it is written, and the answer at last."""


class _Feed:
    """What a thread hands on to the event loop; `gone` is set once nobody reads it any more."""

    def __init__(self) -> None:
        self.gone = threading.Event()
        self._loop = asyncio.get_running_loop()
        self._arrived: asyncio.Queue[_Piece | BaseException | None] = asyncio.Queue()

    def put(self, item: _Piece | BaseException | None) -> None:
        """Hand on a piece, an error, or None for the end; called in the thread."""
        with suppress(RuntimeError):  # the loop is closed: the server stops
            self._loop.call_soon_threadsafe(self._arrived.put_nowait, item)

    async def next(self) -> _Piece | None:
        """Return the next piece, or None at the end, or raise the thread's error."""
        item = await self._arrived.get()
        if isinstance(item, BaseException):
            raise item
        return item

    async def pieces(self, first: _Piece | None) -> _Pieces:
        """Yield `first` and all that follows."""
        item = first
        try:
            while item is not None:
                yield item
                item = await self.next()
        finally:
            self.gone.set()


async def _answering(assistant: Assistant, question: str, before: Sequence[str], collection: str | None) -> _Pieces:
    """Begin an answer, and return its pieces once the first is there; what cannot be answered raises here."""
    feed = _Feed()

    def run() -> None:
        try:
            history = _turns(assistant, before[-_MOST_TURNS:], collection)
            _read(assistant.stream(question, collection=collection, history=history, on_passages=feed.put), feed)
        except BaseException as error:  # noqa: BLE001 - raised again where the answer is read
            feed.put(error)
        else:
            feed.put(None)

    threading.Thread(target=run, name="kb-api", daemon=True).start()
    try:
        first = await feed.next()
    except BaseException:
        feed.gone.set()
        raise
    return feed.pieces(first)


def _read(stream: Iterator[str | Answer], feed: _Feed) -> None:
    try:
        for piece in stream:
            if feed.gone.is_set():
                return
            feed.put(piece)
    finally:
        stream.close()  # type: ignore[attr-defined]  # it is a generator, and closing it stops the engine


def _turns(assistant: Assistant, questions: Sequence[str], collection: str | None) -> list[Turn]:
    """The conversation so far, understood question by question as it was when it was held."""
    turns: list[Turn] = []
    for question in questions:
        if question.strip():
            asked = settle(question.strip(), turns, lambda wording: assistant.covered(wording, collection))
            turns.append(Turn(asked.question, asked.searched))
    return turns


async def _last(pieces: _Pieces, request: Request) -> Answer:
    """The whole answer; a client that has gone stops it."""
    finished = asyncio.ensure_future(_exhaust(pieces))
    while True:
        done, _ = await asyncio.wait({finished}, timeout=_DISCONNECT_POLL_S)
        if done:
            return finished.result()
        if await request.is_disconnected():
            finished.cancel()
            raise UsageError("the client has gone")


async def _exhaust(pieces: _Pieces) -> Answer:
    item: _Piece = ""
    async for item in pieces:  # noqa: B007 - the last one is the answer
        pass
    assert isinstance(item, Answer)  # a stream ends with its answer, or raises
    return item


# What is sent


def _events(events: AsyncIterator[tuple[str, Any]], ending: str = "") -> StreamingResponse:
    """Server-sent events from (event name, value) pairs."""

    async def lines() -> AsyncIterator[str]:
        try:
            async for name, value in events:
                yield (f"event: {name}\n" if name else "") + f"data: {json.dumps(value, ensure_ascii=False)}\n\n"
        except (KbError, StoreError) as error:
            yield f"event: error\ndata: {json.dumps(_judged(error)[1], ensure_ascii=False)}\n\n"
            return
        if ending:
            yield f"data: {ending}\n\n"

    return StreamingResponse(lines(), media_type="text/event-stream", headers={"Cache-Control": "no-store"})


async def _own_events(pieces: _Pieces) -> AsyncIterator[tuple[str, Any]]:
    async for piece in pieces:
        if isinstance(piece, str):
            yield "token", piece
        elif isinstance(piece, Answer):
            yield "answer", answer_json(piece)
        else:
            yield "passages", [asdict(citation) for citation in piece]


async def _chunks(pieces: _Pieces, about: dict[str, Any], *, with_usage: bool) -> AsyncIterator[tuple[str, Any]]:
    def chunk(delta: dict[str, Any], finish: str | None = None, **more: Any) -> tuple[str, Any]:
        choice = {"index": 0, "delta": delta, "finish_reason": finish}
        return "", {**about, "object": "chat.completion.chunk", "choices": [choice], **more}

    yield chunk({"role": "assistant", "content": ""})
    written = ""
    async for piece in pieces:
        if isinstance(piece, str):
            written += piece
            yield chunk({"content": piece})
        if not isinstance(piece, Answer):
            continue
        corrected = "" if written.split() == piece.text.split() else _corrected(piece)
        footnotes = citations_text(piece)
        if rest := corrected + (f"\n\n{footnotes}" if footnotes else ""):
            yield chunk({"content": rest})
        yield chunk({}, "stop", **_extra(piece))
        if with_usage:
            yield "", {**about, "object": "chat.completion.chunk", "choices": [], "usage": _usage(piece)}


def _corrected(answer: Answer) -> str:
    return f"\n\n{CHECKED[language_of(answer.question)]}\n{answer.text}"


def _completion(answer: Answer, about: dict[str, Any]) -> dict[str, Any]:
    content = "\n\n".join(part for part in (answer.text, citations_text(answer)) if part)
    message = {"role": "assistant", "content": content, "refusal": None}
    choice = {"index": 0, "message": message, "finish_reason": "stop", "logprobs": None}
    return {**about, "object": "chat.completion", "choices": [choice], "usage": _usage(answer), **_extra(answer)}


def _extra(answer: Answer) -> dict[str, Any]:
    return {"citations": [asdict(citation) for citation in answer.citations], "refused": answer.refused}


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
        raise UnknownCollectionError(f"there is no model {model!r}; ask for kb, or kb/COLLECTION")
    if collection and collection not in {one.name for one in assistant.collections()}:
        raise UnknownCollectionError(f"there is no collection {collection!r}")
    return collection or None


# Errors


def _judged(error: Exception) -> tuple[int, dict[str, Any]]:
    """The status and the body for an error; what may name a path stays in the log."""
    if isinstance(error, EmptyStoreError):
        return 404, _body("no documents yet", "invalid_request_error", "empty")
    if isinstance(error, UnknownCollectionError):
        return 404, _body(str(error), "invalid_request_error", "model_not_found")
    if isinstance(error, UsageError):
        return 400, _body(str(error), "invalid_request_error", "invalid_value")
    _log.error("%s: %s", type(error).__name__, error)
    message = "the store or the language model cannot be used; the server's log says why"
    return 503, _body(message, "server_error", "unavailable")


def _body(message: str, kind: str, code: str, param: str | None = None) -> dict[str, Any]:
    return {"error": {"message": message, "type": kind, "param": param, "code": code}}


def _refused(_: Request, error: Exception) -> JSONResponse:
    status, body = _judged(error)
    return JSONResponse(body, status)


def _malformed(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"] if part != "body")
    message = f"{where}: {first['msg']}".removeprefix(": ")
    return JSONResponse(_body(message, "invalid_request_error", "invalid_request", where or None), 422)
