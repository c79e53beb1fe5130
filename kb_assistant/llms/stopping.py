"""Cuts a stream of text at the first stop string, wherever the pieces happen to break."""

from __future__ import annotations

from collections.abc import Sequence

from kb_assistant.errors import UsageError

__all__ = ["StopFilter"]


class StopFilter:
    """Passes text through until a stop string is complete, and shows none of that string.

    Text that may be the start of a stop string is held back until the next piece settles it, so
    what comes out does not depend on how the text was split. The stop string that is complete
    first wins; of several that end at the same character, the longest.

    >>> stops = StopFilter(["END"])
    >>> [stops.feed(piece) for piece in ("one E", "ND two", "three")], stops.stopped
    (['one ', '', ''], True)
    """

    def __init__(self, stops: Sequence[str] = ()) -> None:
        """Watch for `stops`.

        Raises:
            UsageError: one of them is empty, which every text would contain.
        """
        if not all(stops):
            raise UsageError("an empty stop string would end every answer at once; leave it out")
        self._stops = tuple(stops)
        self._held = ""
        self.stopped = False

    def feed(self, text: str) -> str:
        """Take the next piece of text and return what can be shown by now."""
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
        """Return what is still held back: the text ended, so it was no stop string after all."""
        held, self._held = self._held, ""
        return held

    def _open_length(self, text: str) -> int:
        """Length of the longest end of `text` that is the start of a stop string."""
        longest = min(len(text), max(map(len, self._stops), default=1) - 1)
        for length in range(longest, 0, -1):
            if any(stop.startswith(text[-length:]) for stop in self._stops):
                return length
        return 0
