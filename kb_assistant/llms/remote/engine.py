"""The openai engine: any server that speaks OpenAI's chat API, such as LMDeploy, vLLM or Ollama.

Questions and passages leave this process, and this machine if the server is elsewhere, so the engine is used only if
`base_url` is set. Nothing but the request is sent.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from pydantic import Field, PrivateAttr

from kb_assistant.errors import ModelError, UsageError
from kb_assistant.llms.base import Engine, Heartbeat, Piece
from kb_assistant.llms.chat_format import neutralise, published_control
from kb_assistant.llms.remote.destination import Destination, check_key, read_key
from kb_assistant.llms.remote.exchange import (
    ReceivedAnswer,
    list_served_models,
    list_served_models_or_none,
    retry_pause_s,
    run_until_cancelled,
)
from kb_assistant.llms.remote.token_estimate import estimate_tokens

if TYPE_CHECKING:
    from openai import AsyncOpenAI, AsyncStream
    from openai.types.chat import ChatCompletionChunk

    from kb_assistant.llms.remote.failures import Failures
    from kb_assistant.settings import Settings

__all__ = ["OpenAIEngine"]

KEY_VARIABLE = "KB_API_KEY"
_TRIES = 3
_CONNECT_S = 10.0
_MAX_STOPS = 4  # of OpenAI's API; the base class handles all of them
_MAX_CHARACTERS_PER_TOKEN = 32
_INTERRUPTED = "closed the connection in the middle of the answer; try again, or check its log"
_SENT_HEADERS = frozenset({"host", "accept", "accept-encoding", "connection", "content-type", "content-length"})


class OpenAIEngine(Engine):
    """Answers with a model on a server. Token counts before the answer are estimates; see `estimate_tokens`.

    Usage is what the server reports, or 0. Callers are served side by side, since the server has its own queue.
    """

    base_url: str
    model: str
    request_timeout_s: float = Field(default=120, gt=0)
    window_tokens: int = Field(default=8192, gt=0)
    system_prompt: str | None = Field(default=None, repr=False)

    _key: str | None = PrivateAttr(default=None)
    _server: Destination = PrivateAttr()

    def __init__(self, *, api_key: str | None = None, **fields: Any) -> None:
        """Take the fields and the API key, which is not a field, so that it is never shown or saved.

        Raises:
            SettingsError: the base URL or the key is malformed.
        """
        super().__init__(**fields)
        self._server = Destination.of(self.base_url)
        self._key = None if api_key is None else check_key(api_key, "the API key")

    @classmethod
    def from_settings(cls, settings: Settings, models: Path) -> Self:
        """Return the engine that the settings name, without contacting the server.

        Raises:
            UsageError: no server or no model is set, or the key cannot be read.
            ModelError: the package openai is not installed.
        """
        del models
        if not settings.base_url:
            raise UsageError("engine openai needs a server; set base_url in kb.toml, such as http://127.0.0.1:8000/v1")
        if not settings.model:
            raise UsageError("engine openai needs the name of a model on the server; give it with --model")
        key = os.environ.get(KEY_VARIABLE)
        if key is not None:
            key = check_key(key, KEY_VARIABLE)
        elif settings.api_key_file:
            key = read_key(Path(settings.api_key_file).expanduser())
        try:
            import openai  # noqa: F401 - fails now if it is not installed
        except ModuleNotFoundError as error:
            raise ModelError(
                f'engine openai needs {error.name}; run: pip install -c constraints.txt -e ".[openai]"'
            ) from error
        return cls(
            api_key=key,
            base_url=settings.base_url,
            model=settings.model,
            request_timeout_s=settings.request_timeout_s,
            window_tokens=settings.window_tokens,
            system_prompt=settings.system_prompt or None,
            temperature=settings.temperature,
            top_p=settings.top_p,
            max_new_tokens=min(settings.max_new_tokens, settings.window_tokens - 1),
        )

    @property
    def engine_name(self) -> str:
        """Always "openai"."""
        return "openai"

    @property
    def context_tokens(self) -> int:
        """How many tokens prompt and answer may have together, from the settings."""
        return self.window_tokens

    @cached_property
    def passage_tokens(self) -> int:
        """Default token budget for passages, for a server that is assumed to be fast."""
        return min(4000, self.window_tokens // 2)

    def get_token_ids(self, text: str) -> list[int]:
        """Return as many numbers as `text` has tokens by estimate; only the server knows the ids."""
        return list(range(estimate_tokens(text)))

    def count_prompt_tokens(self, prompt: str) -> int:
        """Return an estimate of the tokens of `prompt`, including the chat format."""
        around = 16  # more than a turn costs in any common chat format
        system = estimate_tokens(self.system_prompt) + around if self.system_prompt else 0
        return system + estimate_tokens(prompt) + around

    def ready(self) -> str:
        """Check that the server lists the model, and return that in words.

        Raises:
            ModelError: the server does not answer, or does not list the model.
        """
        import openai

        quick = self.model_copy(update={"request_timeout_s": min(_CONNECT_S, self.request_timeout_s)})

        async def list_models() -> tuple[str, ...]:
            async with quick._client() as client:
                return await list_served_models(client)

        with closing(asyncio.new_event_loop()) as loop:
            try:
                served = loop.run_until_complete(list_models())
            except (openai.OpenAIError, ValueError, TypeError, AttributeError) as error:
                raise quick._failures.explain(error) from error
        if self.model not in served:
            raise self._failures.error(f"has no model {self.model!r}; it serves: {', '.join(served) or 'none'}")
        return f"is served by {self._server.host}"

    def generate_pieces(
        self, prompt: str, *, stop: Sequence[str], max_new_tokens: int, cancelled: threading.Event
    ) -> Iterator[Piece | Heartbeat]:
        """Send the prompt to the server; closing the iterator closes the connection, even before the first token."""
        texts = [("system", self.system_prompt)] if self.system_prompt else []
        # Many servers interpret control tokens in messages, so they are broken up here.
        messages = [
            {"role": role, "content": neutralise(text, published_control(text))}
            for role, text in [*texts, ("user", prompt)]
        ]
        request: dict[str, Any] = {"messages": messages, "max_tokens": max_new_tokens}
        if stop:
            request["stop"] = list(stop[:_MAX_STOPS])

        def produce(emit: Callable[[Piece], None]) -> None:
            # A loop of its own, closed without waiting: a name lookup cannot be cancelled.
            with closing(asyncio.new_event_loop()) as loop:
                loop.run_until_complete(run_until_cancelled(cancelled, self._converse(request, emit)))
                loop.run_until_complete(loop.shutdown_asyncgens())

        return self._in_background(produce, cancelled, in_turn=False)

    async def _converse(self, request: dict[str, Any], emit: Callable[[Piece], None]) -> None:
        import openai

        async with self._client() as client:
            try:
                async with await self._open_stream(client, request) as stream:
                    await self._read(stream, request["max_tokens"], emit)
            except openai.NotFoundError as error:
                raise self._failures.explain(error, await list_served_models_or_none(client)) from error
            except (openai.OpenAIError, ValueError, TypeError, AttributeError) as error:
                raise self._failures.explain(error) from error

    async def _open_stream(self, client: AsyncOpenAI, request: dict[str, Any]) -> AsyncStream[ChatCompletionChunk]:
        """Send the request, and retry if that may help; after the first token nothing is sent twice."""
        import openai

        from kb_assistant.llms.remote.failures import is_transient

        counted: dict[str, Any] = {"stream_options": {"include_usage": True}}
        tries = 0
        while True:
            try:
                stream: AsyncStream[ChatCompletionChunk] = await client.chat.completions.create(
                    model=self.model,
                    temperature=self.temperature,
                    top_p=self.top_p if self.temperature else openai.omit,
                    stream=True,
                    **request,
                    **counted,
                )
            except openai.APIError as error:
                tries += 1
                if counted and isinstance(error, openai.APIStatusError) and "stream_options" in error.response.text:
                    counted = {}  # an older server, which reports no usage
                    continue
                if tries >= _TRIES or not is_transient(error):
                    raise
                await asyncio.sleep(retry_pause_s(error, tries))
            else:
                return stream

    async def _read(self, stream: AsyncStream[ChatCompletionChunk], limit: int, emit: Callable[[Piece], None]) -> None:
        import openai

        kind = stream.response.headers.get("content-type", "nothing").partition(";")[0]
        if kind != "text/event-stream":
            raise self._failures.error(f"sent {kind} instead of a stream; base_url usually ends in /v1")
        answer = ReceivedAnswer()
        try:
            async for chunk in stream:
                if piece := answer.take(chunk):
                    emit(piece)
                if answer.characters > limit * _MAX_CHARACTERS_PER_TOKEN:  # the server ignores the limit
                    answer.reason = "length"
                    break
        except openai.APITimeoutError:
            raise
        except openai.APIConnectionError as error:
            if answer.reason is None:
                raise self._failures.error(_INTERRUPTED) from error
        if answer.reason is None:
            raise self._failures.error(_INTERRUPTED)
        if answer.reason == "content_filter":
            raise self._failures.error("withheld the rest of the answer (content_filter); rephrase the question")
        emit(answer.last())

    def _client(self) -> AsyncOpenAI:
        import openai

        timeout = openai.Timeout(self.request_timeout_s, connect=min(_CONNECT_S, self.request_timeout_s))
        try:
            http_client = openai.DefaultAsyncHttpxClient(
                timeout=timeout,
                follow_redirects=False,  # key and passages go to the configured host only
                trust_env=not self._server.on_this_machine,  # proxies, except for this machine
                event_hooks={"request": [self._strip_headers]},
            )
        except (ImportError, ValueError) as error:  # a SOCKS proxy without its package, or an unknown scheme
            reason = f"cannot be reached through the proxy in the environment: {error}; unset ALL_PROXY, or correct it"
            raise self._failures.error(reason) from error
        return openai.AsyncOpenAI(
            api_key="none",  # the request hook sets it
            base_url=self._server.url,
            max_retries=0,
            timeout=timeout,
            http_client=http_client,
        )

    async def _strip_headers(self, request: Any) -> None:
        """Remove headers that the client adds about the machine, Python and OPENAI_ variables."""
        for name in [name for name in request.headers if name.lower() not in _SENT_HEADERS]:
            del request.headers[name]
        request.headers["user-agent"] = "kb"
        if self._key:
            request.headers["authorization"] = f"Bearer {self._key}"

    @property
    def _failures(self) -> Failures:
        from kb_assistant.llms.remote.failures import Failures

        return Failures(self._server, self.model, self.request_timeout_s, self._key)

    @property
    def _identifying_params(self) -> Mapping[str, Any]:
        own = {"model": self.model, "base_url": self._server.url, "system_prompt": self.system_prompt}
        return {**super()._identifying_params, **own}
