"""Turns the ids that a model generates into text, one by one, without ever showing half a character."""

from __future__ import annotations

from collections.abc import Callable, Sequence

__all__ = ["Detokenizer"]

_UNFINISHED = "\ufffd"


class Detokenizer:
    """Decodes a growing list of token ids piece by piece.

    A Chinese character may be spread over several tokens, and SentencePiece drops the blank
    before the first word; so each step decodes the last shown tokens together with the new ones
    and shows the difference, once it ends in a whole character. (The method of Hugging Face's
    text-generation-inference.)
    """

    def __init__(self, decode: Callable[[Sequence[int]], str]) -> None:
        """Take the function that decodes a list of ids."""
        self._decode = decode
        self._context: list[int] = []  # shown already, decoded again for what follows
        self._new: list[int] = []  # not shown yet

    def push(self, token_id: int) -> str:
        """Take the next id and return the text that is complete with it, perhaps none."""
        self._new.append(token_id)
        text = self._pending()
        if not text or text.endswith(_UNFINISHED):
            return ""
        self._context, self._new = self._new, []
        return text

    def flush(self) -> str:
        """Return what was held back, less a character that was never finished."""
        text = self._pending().rstrip(_UNFINISHED)
        self._context, self._new = self._new, []
        return text

    def _pending(self) -> str:
        shown = self._decode(self._context)
        return self._decode([*self._context, *self._new])[len(shown) :]
