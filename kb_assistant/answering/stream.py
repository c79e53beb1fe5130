"""Runs a chain in a thread of its own and hands on its text as it comes.

Stopping works through LangChain's callbacks: the next token's callback raises
`Cancelled`, which ends the engine's loop.
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

__all__ = ["ChainRun"]

# LangChain warns of whatever a callback raises; stopping is no failure.
logging.getLogger("langchain_core.callbacks.manager").addFilter(
    lambda record: not any("Cancelled(" in str(value) for value in record.args or ())
)


class ChainRun(BaseCallbackHandler):
    """One run of a chain: iterate over `pieces`, then read `result`, `usage` and the times.

    Attributes:
        retrieval_s: seconds from the start until the passages were there; None before.
        first_token_s: seconds from the start until the first text; None if there was none.
    """

    raise_error = True  # or LangChain would log what a callback raises, and go on

    def __init__(
        self,
        chain: Runnable[dict[str, Any], dict[str, Any]],
        inputs: dict[str, Any],
        on_passages: Callable[[Sequence[Document]], None] | None = None,
        on_waiting: Callable[[int], None] | None = None,
        stop: threading.Event | None = None,
    ) -> None:
        """Start the chain; what it calls is called in its thread.

        Args:
            chain: takes the inputs and returns `result`, `source_documents` and what else it has.
            inputs: the chain's.
            on_passages: called with what was found.
            on_waiting: called with how many other callers the engine answers first, when that changes.
            stop: ends it when it is set, in whichever thread; `pieces` then raises `Cancelled`.
        """
        self._on_passages = on_passages
        self._on_waiting = on_waiting
        self._ahead = 0
        self.result: dict[str, Any] = {}
        self.usage = Usage()
        self.retrieval_s: float | None = None
        self.first_token_s: float | None = None
        self._started = time.perf_counter()
        self._queue: queue.SimpleQueue[str | BaseException | None] = queue.SimpleQueue()
        self._left = threading.Event()
        self._stop = stop or self._left
        self._thread = threading.Thread(target=self._run, args=(chain, inputs), name="kb-answer", daemon=True)
        self._thread.start()

    @property
    def elapsed_s(self) -> float:
        """Seconds since the start."""
        return time.perf_counter() - self._started

    def pieces(self) -> Generator[str, None, None]:
        """Yield the text as it comes; closing the iterator stops the chain within a token."""
        try:
            while (item := self._queue.get()) is not None:
                if isinstance(item, BaseException):
                    raise item
                yield item
        finally:
            self._left.set()
            self._thread.join()

    def _check(self) -> None:
        if self._left.is_set() or self._stop.is_set():
            raise Cancelled("stopped")

    def _run(self, chain: Runnable[dict[str, Any], dict[str, Any]], inputs: dict[str, Any]) -> None:
        try:
            self._check()
            self.result = chain.invoke(inputs, {"callbacks": [self]})
        except BaseException as error:  # noqa: BLE001 - handed on to the thread that reads
            self._queue.put(error)
        else:
            self._queue.put(None)

    def on_retriever_end(self, documents: Sequence[Document], **_: Any) -> None:
        """Note when the passages were there, and hand them on.

        Raises:
            Cancelled: nobody reads any more.
        """
        self._check()
        self.retrieval_s = self.elapsed_s
        if self._on_passages:
            self._on_passages(documents)

    def on_text(self, text: str, *, ahead: int | None = None, **_: Any) -> None:
        """Hand on how many callers are ahead, or stop the engine before its first token.

        Raises:
            Cancelled: nobody reads any more.
        """
        if ahead is None:  # LangChain itself tells of a prompt here
            return
        self._check()
        if self._on_waiting and ahead != self._ahead:
            self._on_waiting(ahead)
        self._ahead = ahead

    def on_llm_new_token(self, token: str | list[str | dict[str, Any]], **_: Any) -> None:
        """Hand on a token, or stop the engine.

        Raises:
            Cancelled: nobody reads any more.
        """
        self._check()
        if isinstance(token, str) and token:
            self.first_token_s = self.first_token_s or self.elapsed_s
            self._queue.put(token)

    def on_llm_end(self, response: LLMResult, **_: Any) -> None:
        """Note the tokens used."""
        usage = (response.llm_output or {}).get("token_usage", {})
        self.usage = Usage(usage.get("prompt_tokens", 0), usage.get("completion_tokens", 0))
