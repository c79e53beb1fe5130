"""The bridge that carries an answer from the engine's thread to the event loop, for the page and the API."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from kb_assistant.web.running_answers import RunningAnswers

__all__ = ["Bridge"]

Item = TypeVar("Item")


class Bridge(Generic[Item]):
    """Carries items from one thread to one reader on the event loop.

    Attributes:
        stop: set once nobody reads any more; the thread should then end.
    """

    def __init__(self) -> None:
        """Belong to the running event loop."""
        self.stop = threading.Event()
        self._loop = asyncio.get_running_loop()
        self._news = asyncio.Event()
        self._arrived: list[Item] = []
        self._ended = False
        self._error: BaseException | None = None

    def start(self, produce: Callable[[Callable[[Item], None]], None], answers: RunningAnswers, name: str) -> None:
        """Run `produce` in a thread of that name; it gets the function that sends an item to the reader."""

        def run() -> None:
            error = None
            try:
                produce(self.send)
            except BaseException as raised:  # noqa: BLE001 - raised again where the items are read
                error = raised
            self._call(self._end, error)

        answers.start(run, self.stop, name)

    def send(self, item: Item) -> None:
        """Send an item to the reader, from any thread."""
        self._call(self._add, item)

    async def read(self, patience_s: float | None = None) -> list[Item] | None:
        """Return all items that have arrived since the last call, or None after the last.

        Waits for the first item; returns an empty list if none comes within `patience_s`. Whatever the thread
        raised is raised here once its items have been read.
        """
        if not self._arrived and not self._ended:
            # wait_for of Python 3.11 loses a cancellation that meets an item.
            with suppress(TimeoutError):
                async with asyncio.timeout(patience_s):
                    await self._news.wait()
        self._news.clear()
        items, self._arrived = self._arrived, []
        if items or not self._ended:
            return items
        if self._error is not None:
            raise self._error
        return None

    def _call(self, function: Callable[..., None], *arguments: object) -> None:
        with suppress(RuntimeError):  # the loop is closed: the server is stopping
            self._loop.call_soon_threadsafe(function, *arguments)

    def _add(self, item: Item) -> None:
        self._arrived.append(item)
        self._news.set()

    def _end(self, error: BaseException | None) -> None:
        self._ended, self._error = True, error
        self._news.set()
