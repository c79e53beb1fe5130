"""A real server over an engine that waits for permission to answer; `python echo_server.py HOME`.

Prints its address. As long as there is a file HOME/wait, no answer is begun.
"""

import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from stand_in import StandInEngine

from kb_assistant import Assistant
from kb_assistant.llms.base import Heartbeat, Piece
from kb_assistant.web.server import serve


class Echo(StandInEngine):
    """Answers with the quota asked for, in the words of the documents."""

    wait: Path

    def generate_pieces(
        self, prompt: str, *, stop: Sequence[str], max_new_tokens: int, cancelled: threading.Event
    ) -> Iterator[Piece | Heartbeat]:
        number = prompt.rpartition("quota number ")[2].split()[0].rstrip("?")
        words = f"Quota number {number} is {int(number) * 7} animals.".split()

        def produce(emit: Callable[[Piece], None]) -> None:
            while self.wait.exists() and not cancelled.is_set():
                time.sleep(0.02)
            for count, word in enumerate(words, start=1):
                emit(Piece(f"{word} ", 1, count, "stop" if count == len(words) else None))

        yield from self._in_background(produce, cancelled)


if __name__ == "__main__":
    with Assistant.open(sys.argv[1], engine="ipex", model="unused", port=0) as kb:
        kb.knowledge_base.active_engine.loaded = Echo(wait=Path(sys.argv[1]) / "wait")
        serve(kb, announce=lambda url: print(url, flush=True))  # noqa: T201 - it is how the test learns it
