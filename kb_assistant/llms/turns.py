"""Lets callers use a model one at a time, in the order in which they came."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager

__all__ = ["Turns"]

_LOOK_EVERY_S = 0.05


class Turns:
    """A fair queue for one model: first come, first served; `len` is who has the model and who waits."""

    def __init__(self) -> None:
        """Begin with nobody in the queue."""
        self._tickets: deque[object] = deque()
        self._moved = threading.Condition()

    def __len__(self) -> int:
        """How many have the model or wait for it."""
        return len(self._tickets)

    @contextmanager
    def turn(self, cancelled: threading.Event, moved: Callable[[int], None] = lambda ahead: None) -> Iterator[bool]:
        """Wait for the turn and hold it; False, without one, where `cancelled` is set before it comes.

        Args:
            cancelled: ends the waiting.
            moved: called with how many are ahead, whenever that changes, until nobody is.
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
                    self._moved.wait_for(lambda: self._tickets[0] is ticket, _LOOK_EVERY_S)
            yield not cancelled.is_set()
        finally:
            with self._moved:
                self._tickets.remove(ticket)
                self._moved.notify_all()

    def _ahead(self, ticket: object) -> int:
        with self._moved:
            return self._tickets.index(ticket)
