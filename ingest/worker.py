"""A reader process: files in by name, chunks out, nothing else.

Run as `python -m ingest.worker PID` by `reader.Reader`, which is process PID. On
standard input come JSON lines, the settings first, then a path each; on standard output go
JSON lines, `null` after each page and the reading at the end. Documents are hostile, so
this process is not to reach the network, and does not outlive the one that started it.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
import threading
import time
from pathlib import Path
from typing import IO, Any, NoReturn

from ingest.options import Limits, LoadOptions
from ingest.read_file import ChunkSettings, read_file

_NETWORK = ("socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.sendto", "socket.sendmsg")


def main() -> None:
    """Read files until standard input ends."""
    sys.addaudithook(_stay_offline)
    threading.Thread(target=_end_with, args=(int(sys.argv[1]),), daemon=True).start()
    answers = _own_output()
    first = sys.stdin.readline()
    if not first:  # who started it has gone before it was ready
        _end()
    settings = json.loads(first)
    chunker = ChunkSettings(**settings["chunks"]).chunker()
    options = LoadOptions(
        Limits(**settings["limits"]),
        tuple(settings["passwords"]),
        settings["ocr"],
        page_done=lambda: _write(answers, None),
    )
    for line in sys.stdin:
        _write(answers, read_file(Path(json.loads(line)), chunker, options).as_json())
    _end()


def _stay_offline(event: str, _arguments: tuple[Any, ...]) -> None:
    if event in _NETWORK:
        raise PermissionError(f"{event}: reading a document must not reach the network")


def _own_output() -> IO[str]:
    """Return standard output, and let nothing else write to it: libraries print."""
    own = os.fdopen(os.dup(1), "w", encoding="utf-8")
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)
    return own


def _write(stream: IO[str], value: Any) -> None:
    stream.write(json.dumps(value) + "\n")
    stream.flush()


def _end_with(parent: int) -> None:
    """End this process, what it has started and what it has left lying about, when `parent` has gone."""
    while os.getppid() == parent:
        time.sleep(0.5)
    _end()


def _end() -> NoReturn:
    shutil.rmtree(os.environ.get("TMPDIR", ""), ignore_errors=True)
    if hasattr(os, "killpg"):
        os.killpg(0, signal.SIGKILL)  # it leads a group of its own
    os._exit(1)


if __name__ == "__main__":
    main()
