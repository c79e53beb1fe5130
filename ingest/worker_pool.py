"""Reads files in worker processes, which are killed when they exceed their bounds.

While a worker reads, this process embeds and stores earlier results, so that all cores have
work. Workers answer in JSON: a document that takes over a worker still cannot run anything here.
"""

from __future__ import annotations

import json
import os
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import asdict
from itertools import chain, islice
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import Any, Self, TypeVar

import psutil

from ingest.errors import TooLargeError
from ingest.options import Limits, LoadOptions
from ingest.read_file import ChunkSettings, Reading
from ingest.scratch_folder import make_scratch_folder

__all__ = ["WorkerPool"]

T = TypeVar("T")

_CHECK_EVERY_S = 0.2
_MAX_WORKERS = 8
_NO_MORE = object()
_STOPPED = "it was stopped"


class WorkerPool:
    """A few processes that read files. Use it as a context manager, or call `close`."""

    def __init__(self, chunks: ChunkSettings, options: LoadOptions, processes: int | None = None) -> None:
        """Set how to read; processes start when there is something to read.

        Args:
            chunks: how to cut documents.
            options: bounds, passwords, OCR.
            processes: how many workers at most; by default one core is left for embedding.
        """
        self._options = options
        self._settings = json.dumps(
            {
                "chunks": asdict(chunks),
                "limits": asdict(options.limits),
                "passwords": options.passwords,
                "ocr": options.ocr,
            }
        )
        self._max_workers = processes or min(_MAX_WORKERS, max(1, _cores() - 1))
        self._workers: list[_Worker] = []
        self._threads: list[threading.Thread] = []
        self._closed = threading.Event()

    def __enter__(self) -> Self:
        """Return the pool itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the processes."""
        self.close()

    def close(self) -> None:
        """End the processes, even in the middle of a file."""
        self._closed.set()
        for worker in self._workers:
            worker.close()
        for thread in self._threads:
            thread.join()
        for worker in self._workers:
            worker.clear()

    def read(self, files: Iterable[tuple[T, Path]]) -> Iterator[tuple[T, Reading]]:
        """Yield the key of each (key, path) with the result of reading the path, in the order they finish."""
        waiting = iter(files)
        taking = threading.Lock()
        # Bounded, so that few results wait in memory to be stored.
        done: queue.Queue[Any] = queue.Queue(maxsize=2 * self._max_workers)
        first = list(islice(waiting, self._max_workers))
        while len(self._workers) < len(first):
            self._workers.append(_Worker(self._settings, self._options.limits))
        if first and not self._threads:
            self._start(self._watch)
        for worker, item in zip(self._workers, first, strict=False):
            self._start(self._work, worker, chain([item], _shared(waiting, taking)), done)
        working = len(first)
        while working:
            result = done.get()
            if result is None:
                working -= 1
            elif isinstance(result, BaseException):
                raise result
            else:
                yield result

    def _work(self, worker: _Worker, items: Iterator[tuple[Any, Path]], done: queue.Queue[Any]) -> None:
        try:
            for key, path in items:
                self._put(done, (key, worker.read(path)))
                if self._closed.is_set():
                    break
        except BaseException as error:  # noqa: BLE001 - raised again in `read`
            self._put(done, error)
        else:
            self._put(done, None)

    def _put(self, done: queue.Queue[Any], result: Any) -> None:
        while not self._closed.is_set():
            with suppress(queue.Full):
                done.put(result, timeout=_CHECK_EVERY_S)
                return

    def _start(self, target: Callable[..., None], *arguments: Any) -> None:
        thread = threading.Thread(target=target, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _watch(self) -> None:
        while not self._closed.wait(_CHECK_EVERY_S):
            for worker in self._workers:
                worker.check()


class _Worker:
    """A handle on one worker process, which is started again after it had to be killed."""

    def __init__(self, settings: str, limits: Limits) -> None:
        self._settings = settings
        self._limits = limits
        self._process: subprocess.Popen[str] | None = None
        self._scratch: TemporaryDirectory[str] | None = None
        self._page_began: float | None = None
        self._file = 0
        """Counts files, so that a bound that one exceeded does not fail the next."""
        self._killed_for = ""
        self._closed = False
        self._lock = threading.Lock()

    def read(self, path: Path) -> Reading:
        """Read one file; it fails if it exceeds a bound or crashes the process."""
        process = self._process or self._start()
        if process is None:
            return Reading(TooLargeError.status, notes=(_STOPPED,))
        with self._lock:
            self._file += 1
        self._page_began = time.monotonic()
        answer = self._ask(process, str(path))
        self._page_began = None
        if answer is None:
            self.clear()
            reason = self._killed_for or "reading it crashed; open it in its own program and save it again"
            return Reading(TooLargeError.status, notes=(reason,))
        if _memory_bytes(process.pid) > self._limits.memory_bytes // 2:
            self.clear()  # memory that a large file left in use would count against the next
        return Reading.from_json(answer)

    def _ask(self, process: subprocess.Popen[str], path: str) -> dict[str, Any] | None:
        """Return the process's answer, or None if it has ended."""
        assert process.stdin is not None  # both are pipes
        assert process.stdout is not None
        with suppress(OSError, json.JSONDecodeError):  # the process was killed
            process.stdin.write(json.dumps(path) + "\n")
            process.stdin.flush()
            for line in process.stdout:
                answer = json.loads(line)
                if answer is not None:
                    return dict(answer)
                self._page_began = time.monotonic()
        return None

    def _start(self) -> subprocess.Popen[str] | None:
        """Return a new process, or None once this is closed."""
        with self._lock:
            if self._closed:
                return None
            self._killed_for = ""
            self._scratch = make_scratch_folder(os.getpid())
            folder = self._scratch.name
            process = subprocess.Popen(  # noqa: S603 - this interpreter, and a module of this package
                # -P: not a folder called "ingest" in the current directory.
                [sys.executable, "-P", "-m", "ingest.worker", str(os.getpid()), folder],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                encoding="utf-8",
                # Importing unstructured reports to its makers unless told not to.
                env={**os.environ, "DO_NOT_TRACK": "true", "TMPDIR": folder, "TEMP": folder, "TMP": folder},
                start_new_session=True,
            )
            self._process = process
        assert process.stdin is not None  # a pipe
        with suppress(OSError):  # it has already ended; reading will report that
            process.stdin.write(self._settings + "\n")
        return process

    def check(self) -> None:
        """Kill the process if the file at hand takes too much time or memory."""
        process, began, file = self._process, self._page_began, self._file
        if process is None or began is None:
            return
        if time.monotonic() - began > self._limits.seconds:
            self.kill(f"it took longer than {self._limits.seconds:g} s to read; split it, or raise max_seconds", file)
        elif _memory_bytes(process.pid, family=True) > self._limits.memory_bytes:
            megabytes = self._limits.memory_bytes // 1_000_000
            self.kill(f"reading it took more than {megabytes:,} MB of memory; split it, or raise max_memory_mb", file)

    def close(self) -> None:
        """Kill the process and start no other; `clear` removes what it leaves behind."""
        with self._lock:
            self._closed = True
        self.kill(_STOPPED)

    def kill(self, reason: str, file: int | None = None) -> None:
        """Kill the process and those it started, unless it has gone on to another file than `file`."""
        with self._lock:
            if file is not None and file != self._file:
                return
            if self._process is not None and self._process.poll() is None:
                self._killed_for = self._killed_for or reason
                for process in _family(self._process.pid):
                    with suppress(psutil.Error):
                        process.kill()

    def clear(self) -> None:
        """End the process, and remove its temporary files."""
        self.kill("")
        with self._lock:
            process, self._process = self._process, None
            if process is None:
                return
            process.wait()
            for stream in (process.stdin, process.stdout):
                with suppress(OSError):  # a line was still to be sent
                    stream.close()  # type: ignore[union-attr]
            if self._scratch is not None:
                self._scratch.cleanup()


def _shared(items: Iterator[T], taking: threading.Lock) -> Iterator[T]:
    """Yield from an iterator that several threads share."""
    while True:
        with taking:
            item = next(items, _NO_MORE)
        if item is _NO_MORE:
            return
        yield item  # type: ignore[misc]


def _family(pid: int) -> list[psutil.Process]:
    """Return the process and those it started, such as converters."""
    try:
        own = psutil.Process(pid)
        return [own, *own.children(recursive=True)]
    except psutil.Error:
        return []


def _memory_bytes(pid: int, *, family: bool = False) -> int:
    total = 0
    with suppress(psutil.Error):
        for process in _family(pid) if family else [psutil.Process(pid)]:
            total += process.memory_info().rss
    return total


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
