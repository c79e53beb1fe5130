"""Answers under way, each in a thread of its own: told to stop together, and waited for when the server ends.

A process that ends while a model computes is aborted by the model's library.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

__all__ = ["UnderWay"]

_CLOSE_S = 2.5
"""A model of ipex leaves at its next layer, one of seven billion parameters after two seconds in a long prompt."""


class UnderWay:
    """Whatever answers, for the page or the API."""

    def __init__(self) -> None:
        """Begin with none."""
        self._stops: dict[threading.Thread, threading.Event] = {}
        self._lock = threading.Lock()

    def start(self, answer: Callable[[], None], stop: threading.Event, name: str) -> None:
        """Run `answer`, which ends soon after `stop` is set, in a thread of that name."""

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
        """Tell all of them to stop."""
        for stop in list(self._stops.values()):
            stop.set()

    def close(self) -> bool:
        """Stop all, wait a moment for them, and return whether they have ended."""
        self.stop_all()
        until = time.monotonic() + _CLOSE_S
        with self._lock:
            threads = list(self._stops)
        for thread in threads:
            thread.join(max(0.0, until - time.monotonic()))
        return not self._stops
