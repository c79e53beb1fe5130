"""Turns the ids that a model generates into text, one by one, without ever showing half a character."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from kb_assistant.llms.base import FinishReason, Piece

__all__ = ["AnswerSink", "Detokenizer"]

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


class AnswerSink:
    """Takes the ids of an answer as they are generated, and emits its pieces."""

    def __init__(
        self,
        prompt_tokens: int,
        limit: int,
        end_ids: frozenset[int],
        detokenizer: Detokenizer,
        emit: Callable[[Piece], None],
    ) -> None:
        """Take the counts, the ids that end an answer, and where its pieces go."""
        self._prompt_tokens, self._limit = prompt_tokens, limit
        self._end_ids, self._detokenizer, self._emit = end_ids, detokenizer, emit
        self._ended = False
        self._count = 0

    def take(self, ids: Iterable[int]) -> None:
        """Take the next tokens."""
        for token_id in ids:
            self._count += 1
            if token_id in self._end_ids:
                self._ended = True
            elif text := self._detokenizer.push(token_id):
                self._emit(Piece(text, self._prompt_tokens, self._count))

    def finish(self) -> None:
        """Emit the last piece, with the reason why it is the last."""
        reason: FinishReason = "cancelled"
        if self._ended:
            reason = "stop"
        elif self._count >= self._limit:
            reason = "length"
        self._emit(Piece(self._detokenizer.flush(), self._prompt_tokens, self._count, reason))
