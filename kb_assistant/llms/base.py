"""The interface of an engine: a LangChain `LLM` that streams, counts tokens and can be stopped."""

from __future__ import annotations

import queue
import threading
from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

from langchain_core.callbacks import CallbackManagerForLLMRun
from langchain_core.language_models.llms import LLM
from langchain_core.outputs import Generation, GenerationChunk, LLMResult
from pydantic import Field, PrivateAttr

from kb_assistant.errors import UsageError
from kb_assistant.llms.stopping import StopFilter
from kb_assistant.llms.turns import Turns
from kb_assistant.machine import Machine

__all__ = ["Engine", "FinishReason", "Heartbeat", "Piece"]

_HEARTBEAT_S = 0.1
"""How often a waiting caller gets control, and so how soon it can stop an engine."""

FinishReason = Literal["stop", "length", "cancelled"]


@dataclass(frozen=True)
class Piece:
    """A piece of an answer: its text, and the token counts up to and including this piece.

    `finish_reason` is None on every piece but the last.
    """

    text: str
    prompt_tokens: int
    completion_tokens: int
    finish_reason: FinishReason | None = None


@dataclass(frozen=True)
class Heartbeat:
    """Sent while there is no new text; `ahead` other callers are answered first."""

    ahead: int = 0


class Engine(LLM):
    """A LangChain `LLM` whose answers stream and can be stopped at any token.

    A subclass implements `engine_name`, `context_tokens`, `get_token_ids` and `generate_pieces`.
    A caller stops an answer by closing the stream, or by raising in a callback with `raise_error = True`: in
    `on_llm_new_token`, or in `on_text`, which is called about every tenth of a second while there is no token, with
    an empty text and `ahead`, the number of callers answered first. Either way generation has ended when the caller
    gets control back.
    """

    max_new_tokens: int = Field(default=512, gt=0)
    temperature: float = Field(default=0.0, ge=0)
    top_p: float = Field(default=0.8, gt=0, le=1)

    _turns: Turns = PrivateAttr(default_factory=Turns)

    @property
    @abstractmethod
    def engine_name(self) -> str:
        """The name that settings and results give this engine, such as "ipex"."""

    @property
    @abstractmethod
    def context_tokens(self) -> int:
        """How many tokens prompt and answer may have together."""

    def ready(self) -> str:
        """Check that the model can answer, and return that in words.

        Raises:
            ModelError: it cannot.
        """
        return "loads"

    @cached_property
    def passage_tokens(self) -> int:
        """Default token budget for passages: what this machine reads in reasonable time, at most half the context."""
        return min(Machine.read().context_tokens, self.context_tokens // 2)

    @property
    def queue_length(self) -> int:
        """How many callers are being answered or waiting."""
        return len(self._turns)

    @abstractmethod
    def get_token_ids(self, text: str) -> list[int]:
        """Return the token ids of `text`, with nothing added around it."""

    @abstractmethod
    def generate_pieces(
        self, prompt: str, *, stop: Sequence[str], max_new_tokens: int, cancelled: threading.Event
    ) -> Iterator[Piece | Heartbeat]:
        """Generate the answer to `prompt`, without the prompt; end soon after `cancelled` is set.

        The last item is a piece with a finish reason. The caller cuts the text at stop strings; they are passed for
        engines that can stop there themselves. Closing the iterator ends whatever it started.
        """

    def count_prompt_tokens(self, prompt: str) -> int:
        """Return how many tokens `prompt` takes, including what the engine puts around it."""
        return len(self.get_token_ids(prompt))

    @property
    def _llm_type(self) -> str:
        return f"kb-{self.engine_name}"

    @property
    def _identifying_params(self) -> Mapping[str, Any]:
        sampling = {"temperature": self.temperature, "top_p": self.top_p}
        return {"engine": self.engine_name, "max_new_tokens": self.max_new_tokens, **sampling}

    def _stream(
        self,
        prompt: str,
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> Iterator[GenerationChunk]:
        """Yield the answer in chunks; the last one carries the usage and the finish reason.

        Raises:
            UsageError: the prompt is empty or too long, or an option is unknown.
        """
        limit = self._answer_limit(kwargs)
        stops = StopFilter(stop or ())
        self._check_prompt(prompt, limit)
        cancelled = threading.Event()
        pieces = self.generate_pieces(prompt, stop=stop or (), max_new_tokens=limit, cancelled=cancelled)
        on_wait = run_manager.on_text if run_manager else None
        try:
            for chunk in _filtered(pieces, stops, cancelled, on_wait):
                if run_manager:
                    run_manager.on_llm_new_token(chunk.text, chunk=chunk)
                yield chunk
        finally:
            cancelled.set()
            _close(pieces)

    def _call(
        self,
        prompt: str,
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> str:
        """Return the whole answer."""
        return self._whole(prompt, stop, run_manager, **kwargs).text

    def _generate(
        self,
        prompts: list[str],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> LLMResult:
        """Answer the prompts one after the other; the usage counts the tokens of all."""
        answers = [self._whole(prompt, stop, run_manager, **kwargs) for prompt in prompts]
        infos = [answer.generation_info or {} for answer in answers]
        usage = {
            kind: sum(info["token_usage"][kind] for info in infos) for kind in ("prompt_tokens", "completion_tokens")
        }
        output: dict[str, Any] = {"token_usage": usage}
        if len(infos) == 1:
            output["finish_reason"] = infos[0]["finish_reason"]
        return LLMResult(generations=[[answer] for answer in answers], llm_output=output)

    def _whole(
        self, prompt: str, stop: list[str] | None, run_manager: CallbackManagerForLLMRun | None, **kwargs: Any
    ) -> Generation:
        chunks = list(self._stream(prompt, stop, run_manager, **kwargs))
        return Generation(text="".join(chunk.text for chunk in chunks), generation_info=chunks[-1].generation_info)

    def _answer_limit(self, options: Mapping[str, Any]) -> int:
        unknown = sorted(options.keys() - {"max_new_tokens"})
        if unknown:
            raise UsageError(
                f"engine {self.engine_name} has no option {', '.join(unknown)}; the only one is max_new_tokens"
            )
        limit = options.get("max_new_tokens", self.max_new_tokens)
        if not isinstance(limit, int) or limit < 1:
            raise UsageError(f"max_new_tokens must be a whole number of at least 1, not {limit!r}")
        return limit

    def _check_prompt(self, prompt: str, limit: int) -> None:
        if not prompt.strip():
            raise UsageError("the prompt is empty")
        tokens = self.count_prompt_tokens(prompt)
        if tokens + limit > self.context_tokens:
            raise UsageError(
                f"the prompt has {tokens:,} tokens and the answer may take {limit:,}, but the model's context is "
                f"{self.context_tokens:,} tokens; use fewer passages, a shorter question or a smaller max_new_tokens"
            )

    def _in_background(
        self, produce: Callable[[Callable[[Piece], None]], None], cancelled: threading.Event, *, in_turn: bool = True
    ) -> Iterator[Piece | Heartbeat]:
        """Run `produce` in a thread and yield what it emits, for backends that block or call back.

        One thread runs at a time, since a model's key-value cache serves one answer; with `in_turn` false they run side
        by side. The thread holds the turn, not its reader, so a slow reader delays nobody. The thread ends before this
        iterator does.
        """
        emitted: queue.SimpleQueue[Piece | Heartbeat | BaseException | None] = queue.SimpleQueue()

        def run() -> None:
            turns = self._turns if in_turn else Turns()
            try:
                with turns.turn(cancelled, lambda ahead: emitted.put(Heartbeat(ahead))) as mine:
                    if mine:
                        produce(emitted.put)
            except BaseException as error:  # noqa: BLE001 - raised again in the reader's thread
                emitted.put(error)
            else:
                emitted.put(None)

        thread = threading.Thread(target=run, name=f"kb-{self.engine_name}", daemon=True)
        thread.start()
        ahead = 0
        try:
            while True:
                try:
                    item = emitted.get(timeout=_HEARTBEAT_S)
                except queue.Empty:
                    item = Heartbeat(ahead)
                if item is None:
                    return
                if isinstance(item, BaseException):
                    raise item
                ahead = item.ahead if isinstance(item, Heartbeat) else 0
                yield item
        finally:
            cancelled.set()
            thread.join()


def _filtered(
    pieces: Iterator[Piece | Heartbeat],
    stops: StopFilter,
    cancelled: threading.Event,
    on_wait: Callable[..., Any] | None,
) -> Iterator[GenerationChunk]:
    """Turn pieces into chunks up to the first stop string; the last chunk carries usage and finish reason."""
    last = Piece("", 0, 0)
    for item in pieces:
        if isinstance(item, Heartbeat):
            if on_wait:
                on_wait("", ahead=item.ahead)
            continue
        last = item
        if text := stops.feed(last.text):
            yield GenerationChunk(text=text)
        if stops.stopped:
            cancelled.set()
            break
    usage = {"prompt_tokens": last.prompt_tokens, "completion_tokens": last.completion_tokens}
    # An engine that ends without a finish reason was interrupted.
    reason = "stop" if stops.stopped else last.finish_reason or "cancelled"
    yield GenerationChunk(text=stops.flush(), generation_info={"token_usage": usage, "finish_reason": reason})


def _close(pieces: Iterator[Piece | Heartbeat]) -> None:
    """Close a generator now instead of at garbage collection, so that its thread ends."""
    close = getattr(pieces, "close", None)
    if close is not None:
        close()
