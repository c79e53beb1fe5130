"""Turns generated token ids into text as they come, never showing half a character."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from kb_assistant.llms.base import FinishReason, Piece

__all__ = ["AnswerSink", "Detokenizer"]

_UNFINISHED = "\ufffd"


class Detokenizer:
    """Decodes a growing list of token ids piece by piece.

    A Chinese character may span several tokens, and SentencePiece drops the blank before the first word. So each step
    decodes the tokens shown last together with the new ones, and shows the difference once it ends in a complete
    character. The method is that of Hugging Face's text-generation-inference.
    """

    def __init__(self, decode: Callable[[Sequence[int]], str]) -> None:
        """Take the function that decodes a list of ids."""
        self._decode = decode
        self._context: list[int] = []  # shown already; decoded again as context
        self._new: list[int] = []  # not shown yet

    def push(self, token_id: int) -> str:
        """Take the next id and return the text that it completes, which may be empty."""
        self._new.append(token_id)
        text = self._pending()
        if not text or text.endswith(_UNFINISHED):
            return ""
        self._context, self._new = self._new, []
        return text

    def flush(self) -> str:
        """Return the text held back, without an incomplete character at its end."""
        text = self._pending().rstrip(_UNFINISHED)
        self._context, self._new = self._new, []
        return text

    def _pending(self) -> str:
        shown = self._decode(self._context)
        return self._decode([*self._context, *self._new])[len(shown) :]


class AnswerSink:
    """Takes an answer's ids as they are generated, and emits its pieces."""

    def __init__(
        self,
        prompt_tokens: int,
        limit: int,
        end_ids: frozenset[int],
        detokenizer: Detokenizer,
        emit: Callable[[Piece], None],
    ) -> None:
        """Take the token counts, the ids that end an answer, and the receiver of its pieces."""
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
        """Emit the last piece, with the finish reason."""
        reason: FinishReason = "cancelled"
        if self._ended:
            reason = "stop"
        elif self._count >= self._limit:
            reason = "length"
        self._emit(Piece(self._detokenizer.flush(), self._prompt_tokens, self._count, reason))
