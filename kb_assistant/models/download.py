"""Downloads a file from a hub: resumes an interrupted download, and keeps the file only if its checksum is right."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable
from pathlib import Path

import httpx

from ingest import content_hash
from kb_assistant.errors import ModelError
from kb_assistant.models.hubs import RemoteFile, explain_status

__all__ = ["download"]

_MAX_FAILURES = 5  # in a row, without a byte in between
_TRANSIENT_STATUS = frozenset({408, 416, 429, 500, 502, 503, 504})


class _InterruptedError(Exception):
    """The connection ended before the file did."""


def download(client: httpx.Client, file: RemoteFile, target: Path, advance: Callable[[int], None]) -> None:
    """Download `file` to `target` unless it is there already; `target` only ever holds the complete file.

    Args:
        client: for the file's hub.
        file: the file to download.
        target: its path; an unfinished download lies beside it with the suffix .part.
        advance: called with the number of bytes received; negative if some must be downloaded again.

    Raises:
        ModelError: the hub refuses the file, the connection keeps failing, or the checksum is wrong.
    """
    if target.exists() and _is_complete(file, target):
        advance(file.size)
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f"{target.name}.part")
    had = part.stat().st_size if part.exists() else 0
    advance(had)
    for last in (not had, True):  # an earlier run may have left part of another revision
        _fill(client, file, part, advance)
        if _is_complete(file, part):
            part.replace(target)
            return
        advance(-part.stat().st_size)
        part.unlink()
        if last:
            break
    raise ModelError(
        f"{file.path} from {httpx.URL(file.url).host} does not match the checksum that the hub lists, and was deleted; "
        "run the command again, and if this repeats, do not trust that hub"
    )


def _is_complete(file: RemoteFile, path: Path) -> bool:
    """Whether the bytes at `path` are the file that the hub lists."""
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
    """Request the rest of the file until its length is right; give up after failures that bring no byte."""
    part.touch()
    failures = 0
    while (had := part.stat().st_size) != file.size:
        try:
            _request_rest(client, file, part, advance)
        except (httpx.RequestError, _InterruptedError) as error:
            failures = failures + 1 if part.stat().st_size <= had else 0
            if failures >= _MAX_FAILURES:
                raise ModelError(
                    f"cannot download {file.path} from {httpx.URL(file.url).host}: {error or type(error).__name__}; "
                    "run the command again to resume"
                ) from error
            time.sleep(min(0.1 * 2**failures, 5.0))


def _request_rest(client: httpx.Client, file: RemoteFile, part: Path, advance: Callable[[int], None]) -> None:
    had = part.stat().st_size
    if had > file.size:
        advance(-had)
        os.truncate(part, 0)
        had = 0
    headers = {"Range": f"bytes={had}-"} if had else {}
    with client.stream("GET", file.url, headers=headers) as response, part.open("r+b") as stream:
        if response.status_code in _TRANSIENT_STATUS:
            raise _InterruptedError(f"status {response.status_code}")
        if response.status_code not in (200, 206):
            raise explain_status(response, file.path)
        if had and not response.headers.get("content-range", "").startswith(f"bytes {had}-"):
            advance(-had)  # the server sends the file from its start
            stream.truncate(0)
            had = 0
        stream.seek(had)
        for piece in response.iter_raw():
            room = file.size - stream.tell()
            stream.write(piece[:room])
            advance(min(len(piece), room))
            if len(piece) > room:  # longer than listed: the checksum decides
                break
        stream.flush()
        os.fsync(stream.fileno())
        if stream.tell() < file.size:
            raise _InterruptedError("the connection ended too early")
