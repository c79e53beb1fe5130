"""Cuts a stream of text at the first stop string, however the text is split into pieces."""

from __future__ import annotations

from collections.abc import Sequence

from kb_assistant.errors import UsageError

__all__ = ["StopFilter"]


class StopFilter:
    """Passes text through up to the first complete stop string, which is never shown.

    Text that may start a stop string is held back until the next piece decides, so the output does not depend on how
    the text is split. The stop string that is complete first wins; of several that end together, the longest.

    >>> stops = StopFilter(["END"])
    >>> [stops.feed(piece) for piece in ("one E", "ND two", "three")], stops.stopped
    (['one ', '', ''], True)
    """

    def __init__(self, stops: Sequence[str] = ()) -> None:
        """Watch for `stops`.

        Raises:
            UsageError: a stop string is empty; every text contains it.
        """
        if not all(stops):
            raise UsageError("a stop string is empty, which would end every answer at once; leave it out")
        self._stops = tuple(stops)
        self._held = ""
        self.stopped = False

    def feed(self, text: str) -> str:
        """Take the next piece of text and return what can be shown."""
        if self.stopped:
            return ""
        text = self._held + text
        found = [(at + len(stop), at) for stop in self._stops if (at := text.find(stop)) >= 0]
        if found:
            self.stopped, self._held = True, ""
            return text[: min(found)[1]]
        kept = len(text) - self._open_length(text)
        self._held = text[kept:]
        return text[:kept]

    def flush(self) -> str:
        """Return the text held back, which at the end of the text is no stop string."""
        held, self._held = self._held, ""
        return held

    def _open_length(self, text: str) -> int:
        """Length of the longest suffix of `text` that starts a stop string."""
        longest = min(len(text), max(map(len, self._stops), default=1) - 1)
        for length in range(longest, 0, -1):
            if any(stop.startswith(text[-length:]) for stop in self._stops):
                return length
        return 0
