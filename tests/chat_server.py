"""A real server of OpenAI's chat API over a model on this machine, as small as it can be.

The prompt goes to the model as it comes, in the model's own chat format, which `kb serve` does not do.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, StreamingResponse
from starlette.concurrency import run_in_threadpool

from kb_assistant.llms.base import Engine, Heartbeat

__all__ = ["chat_app", "running"]


def chat_app(engine: Engine, name: str) -> FastAPI:
    """Serve `engine` as the model `name`; one answer at a time, the others wait."""
    app = FastAPI()

    @app.get("/v1/models")
    async def models() -> Any:
        return {"object": "list", "data": [{"id": name, "object": "model", "created": 0, "owned_by": "test"}]}

    @app.post("/v1/chat/completions")
    async def chat(request: Request) -> Any:
        asked = await request.json()
        if asked["model"] != name:
            return JSONResponse({"error": {"message": f"no model {asked['model']}"}}, 404)
        return StreamingResponse(_events(engine, asked, request), media_type="text/event-stream")

    return app


async def _events(engine: Engine, asked: dict[str, Any], request: Request) -> AsyncIterator[str]:
    cancelled = threading.Event()
    prompt = asked["messages"][-1]["content"]
    pieces = engine.generate_pieces(prompt, stop=(), max_new_tokens=asked["max_tokens"], cancelled=cancelled)
    try:
        while (piece := await run_in_threadpool(next, pieces, None)) is not None:
            if await request.is_disconnected():
                return
            if isinstance(piece, Heartbeat):
                continue
            choice = {"index": 0, "delta": {"content": piece.text}, "finish_reason": piece.finish_reason}
            yield _event(choices=[choice])
            usage = {"prompt_tokens": piece.prompt_tokens, "completion_tokens": piece.completion_tokens}
        if asked.get("stream_options", {}).get("include_usage"):
            yield _event(choices=[], usage={**usage, "total_tokens": sum(usage.values())})
        yield "data: [DONE]\n\n"
    finally:
        cancelled.set()


def _event(**values: Any) -> str:
    chunk = {"id": "1", "object": "chat.completion.chunk", "created": 0, "model": "small", **values}
    return f"data: {json.dumps(chunk)}\n\n"


@contextmanager
def running(app: FastAPI) -> Iterator[str]:
    """Run an application on a free port of 127.0.0.1; gives its address."""
    config = uvicorn.Config(app, host="127.0.0.1", port=0, log_level="critical", timeout_graceful_shutdown=2)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        assert thread.is_alive()
        time.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join()
