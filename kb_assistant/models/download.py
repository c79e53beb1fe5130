"""Fetches a file from a hub: goes on where an earlier try broke off, and keeps only what has the right checksum."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable
from pathlib import Path

import httpx

from ingest import content_hash
from kb_assistant.errors import ModelError
from kb_assistant.models.hubs import RemoteFile, status_trouble

__all__ = ["fetch", "is_whole"]

_MOST_FAILURES = 5  # in a row, without a byte between them
_PASSING_STATUS = frozenset({408, 416, 429, 500, 502, 503, 504})


class _BrokenOffError(Exception):
    """The connection ended before the file did."""


def fetch(client: httpx.Client, file: RemoteFile, target: Path, advance: Callable[[int], None]) -> None:
    """Fetch `file` to `target`, unless it is there already; `target` only ever holds the whole file.

    Args:
        client: for the file's hub.
        file: what to fetch.
        target: where it goes; beside it lies what there is so far, with the suffix .part.
        advance: called with how many bytes more are there, fewer than 0 where some have to be fetched again.

    Raises:
        ModelError: the hub does not give it out, breaks off again and again, or gives other bytes than it says.
    """
    if target.exists() and is_whole(file, target):
        advance(file.size)
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f"{target.name}.part")
    had = part.stat().st_size if part.exists() else 0
    advance(had)
    for last in (not had, True):  # what an earlier run left may be of another revision
        _fill(client, file, part, advance)
        if is_whole(file, part):
            part.replace(target)
            return
        advance(-part.stat().st_size)
        part.unlink()
        if last:
            break
    raise ModelError(
        f"{file.path} from {httpx.URL(file.url).host} does not have the checksum that the hub gives, and was thrown "
        "away; run the same again, and if it stays so, do not trust that hub"
    )


def is_whole(file: RemoteFile, path: Path) -> bool:
    """Return whether the bytes at `path` are those that the hub means."""
    if path.stat().st_size != file.size:
        return False
    if file.sha256:
        return content_hash(path) == file.sha256
    return file.git_sha1 is not None and _git_sha1(path) == file.git_sha1


def _git_sha1(path: Path) -> str:
    digest = hashlib.sha1(f"blob {path.stat().st_size}\0".encode(), usedforsecurity=False)
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, lambda: digest).hexdigest()


def _fill(client: httpx.Client, file: RemoteFile, part: Path, advance: Callable[[int], None]) -> None:
    """Fetch until the file is as long as it should be; failures count only while nothing comes."""
    part.touch()
    failures = 0
    while (had := part.stat().st_size) != file.size:
        try:
            _go_on(client, file, part, advance)
        except (httpx.RequestError, _BrokenOffError) as error:
            failures = failures + 1 if part.stat().st_size <= had else 0
            if failures >= _MOST_FAILURES:
                raise ModelError(
                    f"cannot fetch {file.path} from {httpx.URL(file.url).host}: {error or type(error).__name__}; "
                    "run the same again, and it goes on from there"
                ) from error
            time.sleep(min(0.1 * 2**failures, 5.0))


def _go_on(client: httpx.Client, file: RemoteFile, part: Path, advance: Callable[[int], None]) -> None:
    had = part.stat().st_size
    if had > file.size:
        advance(-had)
        os.truncate(part, 0)
        had = 0
    headers = {"Range": f"bytes={had}-"} if had else {}
    with client.stream("GET", file.url, headers=headers) as response, part.open("r+b") as stream:
        if response.status_code in _PASSING_STATUS:
            raise _BrokenOffError(f"status {response.status_code}")
        if response.status_code not in (200, 206):
            raise status_trouble(response, file.path)
        if had and not response.headers.get("content-range", "").startswith(f"bytes {had}-"):
            advance(-had)  # it sends the file from its beginning
            stream.truncate(0)
            had = 0
        stream.seek(had)
        for piece in response.iter_raw():
            room = file.size - stream.tell()
            stream.write(piece[:room])
            advance(min(len(piece), room))
            if len(piece) > room:  # longer than listed; the checksum will tell
                break
        stream.flush()
        os.fsync(stream.fileno())
        if stream.tell() < file.size:
            raise _BrokenOffError("it ended too early")
