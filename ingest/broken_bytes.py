"""Decodes bytes of which a few are broken, and counts those."""

from __future__ import annotations

import codecs
from contextvars import ContextVar
from dataclasses import dataclass

__all__ = ["decode_leniently", "decodes", "most_broken"]

_MOST_BROKEN, _MOST_BROKEN_BYTES = 0.02, 10_000


def decode_leniently(
    data: bytes, encoding: str, *, limit: int | None = None, ignore_cut: bool = False
) -> tuple[str, int]:
    """Return the text, with U+FFFD for what is broken, and the number of broken bytes.

    The text is empty if more than `limit` bytes are broken, by default `most_broken`. A character
    that the end of the data cuts off is left out; with `ignore_cut`, it does not count as broken.
    """
    counter = _Counter(most_broken(data) if limit is None else limit, ignore_cut)
    token = _counter.set(counter)
    try:
        return data.decode(encoding, "ingest.broken_bytes"), counter.broken
    except UnicodeDecodeError:
        return "", counter.broken
    finally:
        _counter.reset(token)


def most_broken(data: bytes) -> int:
    """Return how many bytes may be broken in data that still counts as text."""
    return max(3, min(_MOST_BROKEN_BYTES, int(_MOST_BROKEN * len(data))))


def decodes(data: bytes, encoding: str) -> bool:
    """Return whether all of the data is of that encoding."""
    try:
        data.decode(encoding)
    except (UnicodeError, LookupError):
        return False
    return True


@dataclass
class _Counter:
    """An error handler that counts broken bytes."""

    limit: int
    ignore_cut: bool
    broken: int = 0

    def __call__(self, error: UnicodeError) -> tuple[str, int]:
        """Return what replaces the broken bytes and where to go on; raise `error` beyond the limit."""
        assert isinstance(error, UnicodeDecodeError)
        rest = error.object[error.start : error.start + 5]
        if error.start + len(rest) == len(error.object) and len(rest) < 4 and _is_cut(rest, error.encoding):
            self.broken += 0 if self.ignore_cut else len(rest)
            return "", len(error.object)
        self.broken += error.end - error.start
        if self.broken > self.limit:
            raise error
        return "\ufffd", error.end


_counter: ContextVar[_Counter] = ContextVar("_counter")
# One pass: decoding again from behind each broken byte would be quadratic.
codecs.register_error("ingest.broken_bytes", lambda error: _counter.get()(error))


def _is_cut(rest: bytes, encoding: str) -> bool:
    """Return whether `rest` is the beginning of a character and no more."""
    decoder = codecs.getincrementaldecoder(encoding)()
    try:
        return not decoder.decode(rest)
    except UnicodeError:
        return False
