"""A server on a free port of 127.0.0.1 that does what a test tells it to, byte by byte where need be."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

__all__ = ["Exchange", "Loopback", "loopback"]


@dataclass(frozen=True)
class Exchange:
    """A request that came."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Loopback:
    """A server under test; `seen` are the requests so far."""

    url: str = ""
    seen: list[Exchange] = field(default_factory=list)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def _any(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        headers = {name.lower(): value for name, value in self.headers.items()}
        exchange = Exchange(self.command, self.path, headers, body)
        self.server.state.seen.append(exchange)
        try:
            self.server.answer(self, exchange)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True

    do_GET = do_HEAD = do_POST = _any  # noqa: N815 - the names that the standard library looks for

    def log_message(self, *_: object) -> None:
        """Quiet."""

    def reply(self, status: int, body: bytes = b"", **headers: str) -> None:
        """Send a whole answer; underscores in header names are hyphens."""
        self.send_response(status)
        for name, value in {"Content_Length": str(len(body)), **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


@contextmanager
def loopback(answer: Callable[[_Handler, Exchange], None]) -> Iterator[Loopback]:
    """Serve `answer(handler, request)` on a free port until the block ends."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.daemon_threads = True
    state = Loopback(f"http://127.0.0.1:{server.server_port}")
    server.state, server.answer = state, answer
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield state
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
