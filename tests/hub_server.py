"""A model hub on this machine: as much of Hugging Face's and ModelScope's protocols as a download needs."""

from __future__ import annotations

import hashlib
import json
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from loopback import Exchange, Loopback, loopback

__all__ = ["COMMIT", "Hub", "files_of", "hub_at_work"]

COMMIT = "c0ffee" * 6 + "c0de"
_LFS_BYTES = 100_000
_PIECE = 16_384


def files_of(folder: Path) -> dict[str, bytes]:
    """A folder's files as a hub has them."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()
    }


@dataclass
class Hub:
    """What the hub has, and how it misbehaves.

    Attributes:
        models: the files of each model, by its id.
        cuts: after how many bytes each of the next answers with a file breaks off.
        damaged: files that are sent with a byte changed.
        moved: the new ids of models that were renamed.
        sizes: sizes that the listing gives in place of the true ones.
        pause_s: how long it takes over each piece of 16 KiB.
        token: what it wants to be shown; None for nothing.
        elsewhere: where it sends those who want a large file; None for nowhere.
        ranges: whether it can begin in the middle of a file.
    """

    models: dict[str, dict[str, bytes]]
    commit: str = COMMIT
    cuts: list[int] = field(default_factory=list)
    damaged: set[str] = field(default_factory=set)
    sizes: dict[str, int] = field(default_factory=dict)
    moved: dict[str, str] = field(default_factory=dict)
    pause_s: float = 0
    token: str | None = None
    elsewhere: str | None = None
    ranges: bool = True
    server: Loopback = field(default_factory=Loopback)

    def fetched(self, path: str) -> list[Exchange]:
        """The requests for a file."""
        asked = [one for one in self.server.seen if "/resolve/" in one.path or "FilePath=" in one.path]
        return [one for one in asked if unquote(one.path).endswith(path)]

    def answer(self, handler: Any, exchange: Exchange) -> None:
        """Answer a request."""
        url = urlsplit(exchange.path)
        path, query = unquote(url.path), {name: values[0] for name, values in parse_qs(url.query).items()}
        if self.token and exchange.headers.get("authorization") != f"Bearer {self.token}":
            handler.reply(401, b'{"error": "Invalid username or password."}')
        elif former := next((repo for repo in self.moved if f"/{repo}/" in path), None):
            handler.reply(307, Location=exchange.path.replace(former, self.moved[former]))
        elif found := re.fullmatch(r"/api/models/([^/]+/[^/]+)/revision/(.+)", path):
            self._list_hf(handler, *found.groups())
        elif found := re.fullmatch(r"/([^/]+/[^/]+)/resolve/([^/]+)/(.+)", path):
            repo, revision, name = found.groups()
            self._send(
                handler, exchange, self.models.get(repo, {}).get(name) if revision == self.commit else None, name
            )
        elif found := re.fullmatch(r"/api/v1/models/([^/]+/[^/]+)/repo/files", path):
            self._list_modelscope(handler, found[1])
        elif found := re.fullmatch(r"/api/v1/models/([^/]+/[^/]+)/repo", path):
            name = query["FilePath"]
            self._send(handler, exchange, self.models.get(found[1], {}).get(name), name)
        else:
            handler.reply(404)

    def _list_hf(self, handler: Any, repo: str, revision: str) -> None:
        if repo not in self.models or revision not in ("main", self.commit):
            handler.reply(404, b'{"error": "Repository not found"}')
        else:
            siblings = [self._sibling(path, content) for path, content in self.models[repo].items()]
            reply_json(handler, {"id": repo, "sha": self.commit, "siblings": siblings})

    def _sibling(self, path: str, content: bytes) -> dict[str, Any]:
        size = self.sizes.get(path, len(content))
        blob = hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
        if len(content) < _LFS_BYTES:
            return {"rfilename": path, "size": size, "blobId": blob}
        lfs = {"sha256": hashlib.sha256(content).hexdigest(), "size": size, "pointerSize": 134}
        return {"rfilename": path, "size": size, "blobId": "0" * 40, "lfs": lfs}

    def _list_modelscope(self, handler: Any, repo: str) -> None:
        if repo not in self.models:
            handler.reply(404, b'{"Code": 404, "Success": false}')
            return
        files = [
            {"Path": path, "Type": "blob", "Size": len(content), "Sha256": hashlib.sha256(content).hexdigest()}
            for path, content in self.models[repo].items()
        ]
        files += [{"Path": "1_Pooling", "Type": "tree", "Size": 0, "Sha256": ""}]
        reply_json(handler, {"Code": 200, "Success": True, "Data": {"Files": files}})

    def _send(self, handler: Any, exchange: Exchange, content: bytes | None, name: str) -> None:
        if content is None:
            handler.reply(404)
            return
        if self.elsewhere and len(content) >= _LFS_BYTES:
            handler.reply(302, Location=f"{self.elsewhere}{exchange.path}")
            return
        if name in self.damaged:
            content = content[:-1] + bytes([content[-1] ^ 1])
        start = int(re.findall(r"\d+", exchange.headers.get("range", "0"))[0]) if self.ranges else 0
        handler.send_response(206 if start else 200)
        handler.send_header("Content-Length", str(len(content) - start))
        if start:
            handler.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        handler.end_headers()
        end = start + self.cuts.pop(0) if self.cuts else len(content)
        for at in range(start, min(end, len(content)), _PIECE):
            handler.wfile.write(content[at : min(at + _PIECE, end)])
            time.sleep(self.pause_s)
        if end < len(content):
            handler.close_connection = True


def reply_json(handler: Any, document: Any) -> None:
    handler.reply(200, json.dumps(document).encode(), Content_Type="application/json")


@contextmanager
def hub_at_work(hub: Hub) -> Iterator[str]:
    """Serve a hub; gives its address."""
    with loopback(hub.answer) as server:
        hub.server = server
        yield server.url
