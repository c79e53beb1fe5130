"""Waits until folders change, and until the change is over."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from watchfiles import Change, watch

__all__ = ["changes"]

_QUIET_S = 1.0
"""A file whose size and time have not changed for this long has been written."""

_LONGEST_WAIT_S = 30.0
"""A file that is written all the time, such as a log, is taken as it is after this long."""

_LOOK_EVERY_MS = 500


def changes(paths: Sequence[Path], ignored: Sequence[Path], stop: threading.Event) -> Iterator[None]:
    """Yield once when watching has begun, then once for each burst of changes under `paths`, when its files rest.

    What changes while the caller works on one burst is the next burst. A folder that goes and comes back is watched
    again. Ends when `stop` is set.

    Args:
        paths: the folders and files to watch.
        ignored: files and folders whose changes do not count: those that the caller writes.
        stop: ends it.
    """
    wanted = [path.expanduser().absolute() for path in paths]
    while not stop.is_set():
        yield from _until_any_comes_or_goes(wanted, ignored, stop)


def _until_any_comes_or_goes(wanted: list[Path], ignored: Sequence[Path], stop: threading.Event) -> Iterator[None]:
    there = _inodes(wanted)
    armed = False

    def counts(_: Change, path: str) -> bool:
        return not any(Path(path).is_relative_to(own) for own in ignored)

    # A path that is gone cannot be watched, only looked for.
    if not any(there):
        yield
        while not stop.wait(_LOOK_EVERY_MS / 1000) and _inodes(wanted) == there:
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
        if _inodes(wanted) != there:
            return


def _inodes(paths: list[Path]) -> list[int | None]:
    """Return the inode of each path that exists: a folder deleted and made again has another."""
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
