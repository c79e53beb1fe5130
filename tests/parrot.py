"""An engine that says the same to everything."""

import threading
from collections.abc import Iterator, Sequence

from pydantic import Field
from stand_in import StandInEngine

from kb_assistant.llms.base import Piece


class Parrot(StandInEngine):
    """Says the same to everything, word by word, and remembers what it was asked."""

    says: str
    heard: list[str] = Field(default_factory=list)

    def generate_pieces(
        self, prompt: str, *, stop: Sequence[str], max_new_tokens: int, cancelled: threading.Event
    ) -> Iterator[Piece]:
        self.heard.append(prompt)
        words = self.says.split(" ")
        for count, word in enumerate(words, start=1):
            text = word if count == len(words) else f"{word} "
            yield Piece(text, 1, count, "stop" if count == len(words) else None)
