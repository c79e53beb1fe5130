"""Runs a chain in its own thread, passes its text on as it is written, and stops it on demand.

Stopping works through LangChain's callbacks: the next callback raises `Cancelled`, which ends the
engine's loop.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable, Generator, Sequence
from typing import Any

from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.documents import Document
from langchain_core.outputs import LLMResult
from langchain_core.runnables import Runnable

from kb_assistant.answering.types import Usage
from kb_assistant.errors import Cancelled
from kb_assistant.privacy import untraced

__all__ = ["ChainRun", "StopHandler"]

# LangChain warns about every exception of a callback, but stopping is no failure.
logging.getLogger("langchain_core.callbacks.manager").addFilter(
    lambda record: not any("Cancelled(" in str(value) for value in record.args or ())
)


class StopHandler(BaseCallbackHandler):
    """Ends a chain's run once any of its events is set; every callback here raises `Cancelled` then."""

    raise_error = True  # otherwise LangChain logs the exception and goes on

    def __init__(self, *stops: threading.Event) -> None:
        """Take the events."""
        self._stops = stops

    def check(self) -> None:
        """Raise `Cancelled` if the run is to end."""
        if any(stop.is_set() for stop in self._stops):
            raise Cancelled("stopped")

    def on_retriever_end(self, documents: Sequence[Document], **_: Any) -> None:
        """Stop between the search and the engine."""
        self.check()

    def on_text(self, text: str, **_: Any) -> None:
        """Stop while the engine has not written anything yet."""
        self.check()

    def on_llm_new_token(self, token: str | list[str | dict[str, Any]], **_: Any) -> None:
        """Stop at a token."""
        self.check()


class ChainRun(StopHandler):
    """A run of a chain: iterate over `pieces`, then read `result`, `usage` and the times.

    Attributes:
        result: what the chain returned.
        usage: the tokens that the engine read and wrote.
        retrieval_s: seconds from the start until the passages were found; None before.
        first_token_s: seconds from the start until the first text; None if there was none.
    """

    def __init__(
        self,
        chain: Runnable[dict[str, Any], dict[str, Any]],
        inputs: dict[str, Any],
        on_passages: Callable[[Sequence[Document]], None] | None = None,
        on_queue: Callable[[int], None] | None = None,
        stop: threading.Event | None = None,
    ) -> None:
        """Start the chain; the callbacks are called in its thread.

        Args:
            chain: takes the inputs and returns `result`, `source_documents` and its other outputs.
            inputs: the chain's inputs.
            on_passages: called with the passages found.
            on_queue: called with the number of callers that the engine serves first, whenever it changes.
            stop: ends the run when it is set, from any thread; `pieces` then raises `Cancelled`.
        """
        self._closed = threading.Event()
        super().__init__(self._closed, stop or self._closed)
        self._on_passages = on_passages
        self._on_queue = on_queue
        self._ahead = 0
        self.result: dict[str, Any] = {}
        self.usage = Usage()
        self.retrieval_s: float | None = None
        self.first_token_s: float | None = None
        self._started = time.perf_counter()
        self._queue: queue.SimpleQueue[str | BaseException | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, args=(chain, inputs), name="kb-answer", daemon=True)
        self._thread.start()

    @property
    def elapsed_s(self) -> float:
        """Seconds since the start."""
        return time.perf_counter() - self._started

    def pieces(self) -> Generator[str, None, None]:
        """Yield the text as it is written; closing the iterator stops the chain within a token."""
        try:
            while (item := self._queue.get()) is not None:
                if isinstance(item, BaseException):
                    raise item
                yield item
        finally:
            self._closed.set()
            self._thread.join()

    def _run(self, chain: Runnable[dict[str, Any], dict[str, Any]], inputs: dict[str, Any]) -> None:
        try:
            self.check()
            with untraced():
                self.result = chain.invoke(inputs, {"callbacks": [self]})
        except BaseException as error:  # noqa: BLE001 - raised again in the thread that reads
            self._queue.put(error)
        else:
            self._queue.put(None)

    def on_retriever_end(self, documents: Sequence[Document], **_: Any) -> None:
        """Note the time and pass the passages on."""
        self.check()
        self.retrieval_s = self.elapsed_s
        if self._on_passages:
            self._on_passages(documents)

    def on_text(self, text: str, *, ahead: int | None = None, **_: Any) -> None:
        """Pass the place in the engine's queue on."""
        self.check()
        if ahead is None:  # LangChain itself reports a prompt here
            return
        if self._on_queue and ahead != self._ahead:
            self._on_queue(ahead)
        self._ahead = ahead

    def on_llm_new_token(self, token: str | list[str | dict[str, Any]], **_: Any) -> None:
        """Pass a token on."""
        self.check()
        if isinstance(token, str) and token:
            self.first_token_s = self.first_token_s or self.elapsed_s
            self._queue.put(token)

    def on_llm_end(self, response: LLMResult, **_: Any) -> None:
        """Note the tokens used."""
        usage = (response.llm_output or {}).get("token_usage", {})
        self.usage = Usage(usage.get("prompt_tokens", 0), usage.get("completion_tokens", 0))
