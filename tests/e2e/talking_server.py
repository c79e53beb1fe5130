"""A real page over an engine that takes a minute to answer; `python talking_server.py HOME SAID`.

Prints its address. The file SAID holds how many words the engine has come to.
"""

import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from stand_in import StandInEngine

from kb_assistant import Assistant
from kb_assistant.llms.base import Heartbeat, Piece
from kb_assistant.web.server import serve

WORDS = 600


class Talker(StandInEngine):
    """Says a word every tenth of a second, one caller after the other."""

    said: Path

    def generate_pieces(
        self, prompt: str, *, stop: Sequence[str], max_new_tokens: int, cancelled: threading.Event
    ) -> Iterator[Piece | Heartbeat]:
        def speak(emit: Callable[[Piece], None]) -> None:
            for count in range(1, WORDS + 1):
                if cancelled.wait(0.1):
                    return
                self.said.write_text(str(count))
                emit(Piece(f"word{count} ", 1, count, "stop" if count == WORDS else None))

        yield from self._in_background(speak, cancelled)


if __name__ == "__main__":
    with Assistant.open(sys.argv[1], engine="ipex", model="unused", port=0) as kb:
        kb.knowledge_base.active_engine.loaded = Talker(said=Path(sys.argv[2]))
        serve(kb, announce=lambda url: print(url, flush=True))  # noqa: T201 - it is how the test learns it
