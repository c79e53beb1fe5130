"""The interface that every text engine implements, and all that engines have in common."""

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

__all__ = ["Engine", "FinishReason", "Piece", "Waiting"]

_HEARTBEAT_S = 0.1
"""How often a caller has control while an engine has nothing to say: so soon can it stop one."""

FinishReason = Literal["stop", "length", "cancelled"]


@dataclass(frozen=True)
class Piece:
    """A piece of an answer: its text, and the token counts up to and with this piece.

    `finish_reason` is None on every piece but the last.
    """

    text: str
    prompt_tokens: int
    completion_tokens: int
    finish_reason: FinishReason | None = None


@dataclass(frozen=True)
class Waiting:
    """There is no new text yet; `ahead` other callers are answered first."""

    ahead: int = 0


class Engine(LLM):
    """A LangChain `LLM` whose answers come in pieces and can be stopped at any token.

    A subclass gives `engine_name`, `context_tokens`, `get_token_ids` and `generate_pieces`.
    A caller stops an answer by closing the stream, or by raising in a callback with `raise_error = True`:
    in `on_llm_new_token`, or in `on_text`, which is called with an empty text and `ahead`, the number of
    callers that are answered first, about every tenth of a second while there is no token. Either way
    the generation has ended by the time the caller has control again.
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
        """How many tokens the prompt and the answer may have together."""

    def ready(self) -> str:
        """Return in words that the model can be asked.

        Raises:
            ModelError: it cannot.
        """
        return "loads"

    @cached_property
    def passage_tokens(self) -> int:
        """How many tokens of passages it reads in bearable time, where none are set; at most half its window."""
        return min(Machine.read().context_tokens, self.context_tokens // 2)

    @property
    def queue_length(self) -> int:
        """How many callers are being answered or wait for their turn."""
        return len(self._turns)

    @abstractmethod
    def get_token_ids(self, text: str) -> list[int]:
        """Return the ids of the tokens of `text` alone, with nothing added around it."""

    @abstractmethod
    def generate_pieces(
        self, prompt: str, *, stop: Sequence[str], max_new_tokens: int, cancelled: threading.Event
    ) -> Iterator[Piece | Waiting]:
        """Generate the answer to `prompt`, without the prompt, and end soon after `cancelled` is set.

        The last one is a piece and has a finish reason. Stop strings are cut off by the caller; they are
        given here for engines that can pass them on. What the iterator started has ended
        when it is closed.
        """

    def count_prompt_tokens(self, prompt: str) -> int:
        """Return how many tokens `prompt` takes, with all that the engine puts around it."""
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
            UsageError: the prompt is empty or too long, or an option is not known.
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
        """Answer the prompts in turn, with the tokens of all of them as usage."""
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
                f"engine {self.engine_name} does not know the option {', '.join(unknown)}; it takes max_new_tokens"
            )
        limit = options.get("max_new_tokens", self.max_new_tokens)
        if not isinstance(limit, int) or limit < 1:
            raise UsageError(f"max_new_tokens is {limit!r}; give a whole number from 1 up")
        return limit

    def _check_prompt(self, prompt: str, limit: int) -> None:
        if not prompt.strip():
            raise UsageError("the prompt is empty; ask a question")
        tokens = self.count_prompt_tokens(prompt)
        if tokens + limit > self.context_tokens:
            raise UsageError(
                f"the prompt has {tokens:,} tokens and the answer may take {limit:,}, but the model reads "
                f"{self.context_tokens:,} at once; use fewer passages, a shorter question or a smaller "
                "max_new_tokens"
            )

    def _in_background(
        self, produce: Callable[[Callable[[Piece], None]], None], cancelled: threading.Event, *, in_turn: bool = True
    ) -> Iterator[Piece | Waiting]:
        """Run `produce` in a thread and yield what it emits, for backends that call back or block.

        One such thread runs at a time: a model's key-value cache and buffers are not made for two.
        With `in_turn` false they run side by side. The thread holds the turn, not the reader, so a
        slow reader keeps nobody waiting. The thread has ended when this iterator has.
        """
        emitted: queue.SimpleQueue[Piece | Waiting | BaseException | None] = queue.SimpleQueue()

        def run() -> None:
            turns = self._turns if in_turn else Turns()
            try:
                with turns.turn(cancelled, lambda ahead: emitted.put(Waiting(ahead))) as mine:
                    if mine:
                        produce(emitted.put)
            except BaseException as error:  # noqa: BLE001 - it is raised again in the reader's thread
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
                    item = Waiting(ahead)
                if item is None:
                    return
                if isinstance(item, BaseException):
                    raise item
                ahead = item.ahead if isinstance(item, Waiting) else 0
                yield item
        finally:
            cancelled.set()
            thread.join()


def _filtered(
    pieces: Iterator[Piece | Waiting],
    stops: StopFilter,
    cancelled: threading.Event,
    on_wait: Callable[..., Any] | None,
) -> Iterator[GenerationChunk]:
    """Turn pieces into chunks up to the first stop string; the last chunk says how it went."""
    last = Piece("", 0, 0)
    for item in pieces:
        if isinstance(item, Waiting):
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
    # An engine that ends without a reason was cut short.
    reason = "stop" if stops.stopped else last.finish_reason or "cancelled"
    yield GenerationChunk(text=stops.flush(), generation_info={"token_usage": usage, "finish_reason": reason})


def _close(pieces: Iterator[Piece | Waiting]) -> None:
    """Close a generator now rather than when it is collected, so that its thread has ended."""
    close = getattr(pieces, "close", None)
    if close is not None:
        close()
