"""The openai engine: any server that speaks OpenAI's chat API, such as LMDeploy, vLLM or Ollama.

What it is given leaves this process, and this machine where the server is elsewhere: the engine
is used only where `base_url` is set. Nothing but the request is sent.
"""

from __future__ import annotations

import asyncio
import os
import re
import threading
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from pydantic import Field, PrivateAttr

from kb_assistant.errors import ModelError, UsageError
from kb_assistant.llms.base import Engine, FinishReason, Piece, Waiting
from kb_assistant.llms.chat_format import neutralise, published_control
from kb_assistant.llms.remote.destination import Destination, checked_key, read_key

if TYPE_CHECKING:
    from openai import AsyncOpenAI, AsyncStream
    from openai.types.chat import ChatCompletionChunk

    from kb_assistant.llms.remote.failures import Trouble
    from kb_assistant.settings import Settings

__all__ = ["OpenAIEngine", "estimated_tokens"]

KEY_VARIABLE = "KB_API_KEY"
_TRIES = 3
_PAUSE_S = 0.5  # before the second try; twice that before the third
_LONGEST_PAUSE_S = 10.0  # that a server may ask for
_CONNECT_S = 10.0
_LOOK_EVERY_S = 0.02  # for the wish to stop
_MOST_STOPS = 4  # that OpenAI's API takes; the base cuts at all of them
_MOST_CHARACTERS_A_TOKEN = 32
_CUT_SHORT = "ended in the middle of the answer; try again, or look into its log"
_SENT_HEADERS = frozenset({"host", "accept", "accept-encoding", "connection", "content-type", "content-length"})
_TOKEN = re.compile(r"[ \t]?[A-Za-z]{1,5}|[ \t]{1,4}(?=[ \t\r\n]|$)|[ \t]?[\r\n]+|[ \t]?\S|.", re.DOTALL)


class OpenAIEngine(Engine):
    """Answers with a model that a server holds. Its token counts of texts are estimates, see `estimated_tokens`.

    Usage is what the server says; 0 tokens where it does not say. Callers go side by side: the
    server has a queue of its own.
    """

    base_url: str
    model: str
    request_timeout_s: float = Field(default=120, gt=0)
    window_tokens: int = Field(default=8192, gt=0)
    system_prompt: str | None = Field(default=None, repr=False)

    _key: str | None = PrivateAttr(default=None)
    _server: Destination = PrivateAttr()

    def __init__(self, *, api_key: str | None = None, **fields: Any) -> None:
        """Take the fields, and the key, which is no field: it must not be shown or written anywhere.

        Raises:
            SettingsError: the base URL or the key cannot be one.
        """
        super().__init__(**fields)
        self._server = Destination.of(self.base_url)
        self._key = None if api_key is None else checked_key(api_key, "the API key")

    @classmethod
    def from_settings(cls, settings: Settings, models: Path) -> Self:
        """Return the engine that the settings name; the server is not asked yet.

        Raises:
            UsageError: no server or no model is set, or the key cannot be read.
            ModelError: the package openai is not installed.
        """
        del models
        if not settings.base_url:
            raise UsageError("engine openai needs a server; set base_url in kb.toml, such as http://127.0.0.1:8000/v1")
        if not settings.model:
            raise UsageError("engine openai needs the name of a model that the server has; give it with --model")
        key = os.environ.get(KEY_VARIABLE)
        if key is not None:
            key = checked_key(key, KEY_VARIABLE)
        elif settings.api_key_file:
            key = read_key(Path(settings.api_key_file).expanduser())
        try:
            import openai  # noqa: F401 - only to say at once where it is missing
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
        """How many tokens the prompt and the answer may have together, as the settings say."""
        return self.window_tokens

    @cached_property
    def passage_tokens(self) -> int:
        """How many tokens of passages it is given, where none are set: the server is thought to be a fast one."""
        return min(4000, self.window_tokens // 2)

    def get_token_ids(self, text: str) -> list[int]:
        """Return as many numbers as `text` is estimated to have tokens; only the server knows their ids."""
        return list(range(estimated_tokens(text)))

    def count_prompt_tokens(self, prompt: str) -> int:
        """Return how many tokens `prompt` is estimated to take, with the chat format around it."""
        around = 16  # more than any of the usual chat formats takes for a turn
        system = estimated_tokens(self.system_prompt) + around if self.system_prompt else 0
        return system + estimated_tokens(prompt) + around

    def ready(self) -> str:
        """Ask the server for its models, and return in words that ours is there.

        Raises:
            ModelError: the server cannot be asked, or does not list the model.
        """
        import openai

        quick = self.model_copy(update={"request_timeout_s": min(_CONNECT_S, self.request_timeout_s)})

        async def listed() -> tuple[str, ...]:
            async with quick._client() as client:
                return await _served(client)

        with closing(asyncio.new_event_loop()) as loop:
            try:
                served = loop.run_until_complete(listed())
            except (openai.OpenAIError, ValueError, TypeError, AttributeError) as error:
                raise quick._trouble.explained(error) from error
        if self.model not in served:
            raise self._trouble.of(f"has no model {self.model!r}; it serves: {', '.join(served) or 'none'}")
        return f"is served by {self._server.host}"

    def generate_pieces(
        self, prompt: str, *, stop: Sequence[str], max_new_tokens: int, cancelled: threading.Event
    ) -> Iterator[Piece | Waiting]:
        """Ask the server; closing the iterator closes the connection, also before the first token."""
        texts = [("system", self.system_prompt)] if self.system_prompt else []
        # Many servers read control tokens in what they are sent as such, so they are broken up here.
        messages = [
            {"role": role, "content": neutralise(text, published_control(text))}
            for role, text in [*texts, ("user", prompt)]
        ]
        request: dict[str, Any] = {"messages": messages, "max_tokens": max_new_tokens}
        if stop:
            request["stop"] = list(stop[:_MOST_STOPS])

        def produce(emit: Callable[[Piece], None]) -> None:
            # A loop of its own, closed without waiting: a name that is being looked up cannot be stopped.
            with closing(asyncio.new_event_loop()) as loop:
                loop.run_until_complete(_unless(cancelled, self._converse(request, emit)))
                loop.run_until_complete(loop.shutdown_asyncgens())

        return self._in_background(produce, cancelled, in_turn=False)

    async def _converse(self, request: dict[str, Any], emit: Callable[[Piece], None]) -> None:
        import openai

        async with self._client() as client:
            try:
                async with await self._opened(client, request) as stream:
                    await self._read(stream, request["max_tokens"], emit)
            except openai.NotFoundError as error:
                raise self._trouble.explained(error, await _served_or_none(client)) from error
            except (openai.OpenAIError, ValueError, TypeError, AttributeError) as error:
                raise self._trouble.explained(error) from error

    async def _opened(self, client: AsyncOpenAI, request: dict[str, Any]) -> AsyncStream[ChatCompletionChunk]:
        """Send the request, again where that may help; from the first token on nothing is sent twice."""
        import openai

        from kb_assistant.llms.remote.failures import may_pass

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
                    counted = {}  # an older server; it will not tell the usage
                    continue
                if tries >= _TRIES or not may_pass(error):
                    raise
                await asyncio.sleep(_pause_s(error, tries))
            else:
                return stream

    async def _read(self, stream: AsyncStream[ChatCompletionChunk], limit: int, emit: Callable[[Piece], None]) -> None:
        import openai

        kind = stream.response.headers.get("content-type", "nothing").partition(";")[0]
        if kind != "text/event-stream":
            raise self._trouble.of(f"sent {kind} in place of a stream; base_url most often ends in /v1")
        answer = _Answer()
        try:
            async for chunk in stream:
                if piece := answer.take(chunk):
                    emit(piece)
                if answer.characters > limit * _MOST_CHARACTERS_A_TOKEN:  # it does not keep to the limit
                    answer.reason = "length"
                    break
        except openai.APITimeoutError:
            raise
        except openai.APIConnectionError as error:
            if answer.reason is None:
                raise self._trouble.of(_CUT_SHORT) from error
        if answer.reason is None:
            raise self._trouble.of(_CUT_SHORT)
        if answer.reason == "content_filter":
            raise self._trouble.of("held back the rest of the answer (content_filter); word the question otherwise")
        emit(answer.last())

    def _client(self) -> AsyncOpenAI:
        import openai

        timeout = openai.Timeout(self.request_timeout_s, connect=min(_CONNECT_S, self.request_timeout_s))
        try:
            http_client = openai.DefaultAsyncHttpxClient(
                timeout=timeout,
                follow_redirects=False,  # the key and the passages go to the host that was set, and to no other
                trust_env=not self._server.on_this_machine,  # proxies, but never for this machine
                event_hooks={"request": [self._only_the_request]},
            )
        except (ImportError, ValueError) as error:  # SOCKS without its package, or an unknown kind
            reason = f"cannot be asked through the proxy of the environment: {error}; unset ALL_PROXY, or correct it"
            raise self._trouble.of(reason) from error
        return openai.AsyncOpenAI(
            api_key="none",  # the hook sets it
            base_url=self._server.url,
            max_retries=0,
            timeout=timeout,
            http_client=http_client,
        )

    async def _only_the_request(self, request: Any) -> None:
        """Take out what the client adds: the machine, Python, and OPENAI_ variables of the environment."""
        for name in [name for name in request.headers if name.lower() not in _SENT_HEADERS]:
            del request.headers[name]
        request.headers["user-agent"] = "kb"
        if self._key:
            request.headers["authorization"] = f"Bearer {self._key}"

    @property
    def _trouble(self) -> Trouble:
        from kb_assistant.llms.remote.failures import Trouble

        return Trouble(self._server, self.model, self.request_timeout_s, self._key)

    @property
    def _identifying_params(self) -> Mapping[str, Any]:
        own = {"model": self.model, "base_url": self._server.url, "system_prompt": self.system_prompt}
        return {**super()._identifying_params, **own}


@dataclass
class _Answer:
    """What has come of an answer so far."""

    reason: str | None = None
    characters: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0

    def take(self, chunk: ChatCompletionChunk) -> Piece | None:
        """Take the next chunk, and return its text where it has some."""
        if chunk.usage:
            self.prompt_tokens, self.completion_tokens = chunk.usage.prompt_tokens, chunk.usage.completion_tokens
        text = ""
        for choice in (chunk.choices or ())[:1]:  # the chunk with the usage has none
            self.reason = choice.finish_reason or self.reason
            text = choice.delta.content or ""
        self.characters += len(text)
        return Piece(text, self.prompt_tokens, self.completion_tokens) if text else None

    def last(self) -> Piece:
        """Return the last piece."""
        reason: FinishReason = "length" if self.reason == "length" else "stop"
        return Piece("", self.prompt_tokens, self.completion_tokens, reason)


def estimated_tokens(text: str) -> int:
    """Return about how many tokens a model would make of `text`, rather too many than too few.

    One for each Chinese character, digit and sign, one for every five letters begun of a word, and for a
    character beyond the Basic Multilingual Plane (most emoji) its four bytes.

    >>> estimated_tokens("年假有几天？"), estimated_tokens("annual leave")
    (6, 3)
    """
    return sum(4 if piece.lstrip() > "\uffff" else 1 for piece in _TOKEN.findall(text))


async def _unless(cancelled: threading.Event, work: Coroutine[Any, Any, None]) -> None:
    """Do the work; where `cancelled` is set before it is done, stop it at whatever it waits for."""
    task = asyncio.ensure_future(work)
    while not task.done():
        if cancelled.is_set():
            task.cancel()
        await asyncio.wait({task}, timeout=_LOOK_EVERY_S)
    if not task.cancelled():
        task.result()


async def _served(client: AsyncOpenAI) -> tuple[str, ...]:
    return tuple(sorted([model.id async for model in client.models.list()]))


async def _served_or_none(client: AsyncOpenAI) -> tuple[str, ...] | None:
    import openai

    try:
        return await _served(client)
    except (openai.OpenAIError, ValueError, TypeError, AttributeError):
        return None


def _pause_s(error: Exception, tries: int) -> float:
    """How long to wait before the next try: what the server asks for, within reason."""
    response = getattr(error, "response", None)
    wanted = response.headers.get("retry-after", "") if response is not None else ""
    asked = float(wanted) if wanted.isdecimal() else 0.0
    return min(max(asked, _PAUSE_S * tries), _LONGEST_PAUSE_S)
