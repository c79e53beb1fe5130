"""A worker process: reads the files it is told to, and answers with their chunks.

A `WorkerPool` runs it as `python -m ingest.worker PID FOLDER`, PID being the pool's process and
FOLDER the worker's temporary folder. Standard input brings JSON lines: the settings, then one path
each. Standard output takes JSON lines: `null` after each page, and the result of each file.
Documents are hostile, so this process may not reach the network, and it ends with the pool.
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
from ingest.scratch_folder import belongs_to

_NETWORK = ("socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.sendto", "socket.sendmsg")


def main() -> None:
    """Read files until standard input ends."""
    parent, scratch = _arguments()
    sys.addaudithook(_forbid_network)
    threading.Thread(target=_end_with, args=(parent, scratch), daemon=True).start()
    results = _take_stdout()
    first = sys.stdin.readline()
    if not first:  # the pool was closed before this process was ready
        _end(scratch)
    settings = json.loads(first)
    chunker = ChunkSettings(**settings["chunks"]).chunker()
    options = LoadOptions(
        Limits(**settings["limits"]),
        tuple(settings["passwords"]),
        settings["ocr"],
        page_done=lambda: _write(results, None),
    )
    for line in sys.stdin:
        _write(results, read_file(Path(json.loads(line)), chunker, options).as_json())
    _end(scratch)


def _arguments() -> tuple[int, Path]:
    """Return the pool's process and the temporary folder, which is removed in the end."""
    match sys.argv[1:]:
        case [parent, folder] if parent.isdecimal() and belongs_to(Path(folder), int(parent)):
            return int(parent), Path(folder)
    print(  # noqa: T201 - nobody else is there to do it
        "ingest.worker: only a worker pool starts this, with a temporary folder that it has made; "
        "run `kb ingest PATH` to read documents",
        file=sys.stderr,
    )
    sys.exit(2)


def _forbid_network(event: str, _arguments: tuple[Any, ...]) -> None:
    if event in _NETWORK:
        raise PermissionError(f"{event}: reading a document must not reach the network")


def _take_stdout() -> IO[str]:
    """Return standard output for results alone; what libraries print goes nowhere."""
    results = os.fdopen(os.dup(1), "w", encoding="utf-8")
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)
    return results


def _write(stream: IO[str], value: Any) -> None:
    stream.write(json.dumps(value) + "\n")
    stream.flush()


def _end_with(parent: int, scratch: Path) -> None:
    """End this process when `parent` has ended."""
    while os.getppid() == parent:
        time.sleep(0.5)
    _end(scratch)


def _end(scratch: Path) -> NoReturn:
    """Remove the temporary folder, and end this process and those it started."""
    shutil.rmtree(scratch, ignore_errors=True)
    if hasattr(os, "killpg") and os.getpgrp() == os.getpid():  # the pool gave it a group of its own
        os.killpg(0, signal.SIGKILL)
    os._exit(1)


if __name__ == "__main__":
    main()
