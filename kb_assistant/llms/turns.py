"""Lets callers use a model one at a time, first come, first served."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager

__all__ = ["Turns"]

_POLL_S = 0.05


class Turns:
    """A fair queue for one model; its length counts the caller that has the model and those that wait."""

    def __init__(self) -> None:
        """Start with an empty queue."""
        self._tickets: deque[object] = deque()
        self._moved = threading.Condition()

    def __len__(self) -> int:
        """How many callers have the model or wait for it."""
        return len(self._tickets)

    @contextmanager
    def turn(self, cancelled: threading.Event, moved: Callable[[int], None] = lambda ahead: None) -> Iterator[bool]:
        """Wait for the turn and hold it; gives False if `cancelled` is set before the turn comes.

        Args:
            cancelled: ends the wait.
            moved: called with the number of callers ahead, whenever it changes, until it is 0.
        """
        ticket, told = object(), 0
        with self._moved:
            self._tickets.append(ticket)
        try:
            while not cancelled.is_set() and (ahead := self._ahead(ticket)):
                if ahead != told:
                    moved(ahead)
                    told = ahead
                with self._moved:
                    self._moved.wait_for(lambda: self._tickets[0] is ticket, _POLL_S)
            yield not cancelled.is_set()
        finally:
            with self._moved:
                self._tickets.remove(ticket)
                self._moved.notify_all()

    def _ahead(self, ticket: object) -> int:
        with self._moved:
            return self._tickets.index(ticket)
