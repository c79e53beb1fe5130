"""The threads of all answers in progress, so that the server can stop them and wait for them before it exits."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

__all__ = ["RunningAnswers"]

# An ipex model leaves at its next layer: one of seven billion parameters after two seconds in a long prompt.
_CLOSE_S = 2.5


class RunningAnswers:
    """The answers in progress, of the page and of the API.

    A process that exits while a model computes is aborted by the model's library.
    """

    def __init__(self) -> None:
        """Start with none."""
        self._stops: dict[threading.Thread, threading.Event] = {}
        self._lock = threading.Lock()

    def start(self, answer: Callable[[], None], stop: threading.Event, name: str) -> None:
        """Run `answer` in a thread of that name; it has to end soon after `stop` is set."""

        def run() -> None:
            try:
                answer()
            finally:
                with self._lock:
                    self._stops.pop(threading.current_thread(), None)

        thread = threading.Thread(target=run, name=name, daemon=True)
        with self._lock:
            self._stops[thread] = stop
            thread.start()

    def stop_all(self) -> None:
        """Tell every answer to stop."""
        for stop in list(self._stops.values()):
            stop.set()

    def close(self) -> bool:
        """Stop all answers, wait a moment for them, and return whether they have ended."""
        self.stop_all()
        deadline = time.monotonic() + _CLOSE_S
        with self._lock:
            threads = list(self._stops)
        for thread in threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        return not self._stops
