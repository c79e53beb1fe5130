"""Waits for folders to change, and then for the change to be over."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from watchfiles import Change, watch

__all__ = ["changes"]

_QUIET_S = 1.0
"""A file that has kept its size and time for so long is not being written any more."""

_LONGEST_WAIT_S = 30.0
"""One that is always being written, a log say, is taken as it is after so long."""

_LOOK_EVERY_MS = 500


def changes(paths: Sequence[Path], ignored: Path, stop: threading.Event) -> Iterator[None]:
    """Yield as soon as it watches, and then once for each burst of changes under `paths`, when its files rest.

    What happens while the caller is at work on one burst is the next one. A folder that goes
    and comes back is watched again. What lies in the folder `ignored` does not count: it is
    where the caller writes. Ends when `stop` is set.
    """
    wanted = [path.expanduser().absolute() for path in paths]
    while not stop.is_set():
        yield from _until_one_comes_or_goes(wanted, ignored, stop)


def _until_one_comes_or_goes(wanted: list[Path], ignored: Path, stop: threading.Event) -> Iterator[None]:
    there = _there(wanted)
    armed = False

    def counts(_: Change, path: str) -> bool:
        return not Path(path).is_relative_to(ignored)

    # Of one that is gone nothing can be watched but whether it is back.
    if not any(there):
        yield
        while not stop.wait(_LOOK_EVERY_MS / 1000) and _there(wanted) == there:
            pass
        return
    present = [path for path, inode in zip(wanted, there, strict=True) if inode]
    for burst in watch(
        *present,
        watch_filter=counts,
        stop_event=stop,
        step=200,
        debounce=5_000,
        rust_timeout=_LOOK_EVERY_MS,
        yield_on_timeout=True,
        ignore_permission_denied=True,
    ):
        if burst:
            _wait_for({Path(path) for _, path in burst}, stop)
        if stop.is_set():
            return
        if burst or not armed:
            armed = True
            yield
        if _there(wanted) != there:
            return


def _there(paths: list[Path]) -> list[int | None]:
    """Which of the paths exist, told by their inodes: one that was deleted and made again is another."""
    return [path.stat().st_ino if path.exists() else None for path in paths]


def _wait_for(paths: set[Path], stop: threading.Event) -> None:
    until = time.monotonic() + _LONGEST_WAIT_S
    before = None
    while (state := [_state(path) for path in sorted(paths)]) != before and time.monotonic() < until:
        before = state
        if stop.wait(_QUIET_S):
            return


def _state(path: Path) -> tuple[int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size
