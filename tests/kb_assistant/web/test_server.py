"""Requests that the server refuses before anything reads them."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

TAKES_JSON = ["/api/ask", "/v1/chat/completions", "/mcp", "/gradio_api/queue/join", "/gradio_api/component_server"]


@pytest.mark.parametrize("path", [*TAKES_JSON, "/login", "/"])
@pytest.mark.parametrize("with_length", [True, False])
def test_a_body_too_large_is_refused(address: str, path: str, with_length: bool) -> None:
    body = b'{"question": "' + b"x" * 4_100_000

    def pieces() -> Iterator[bytes]:
        for start in range(0, len(body), 100_000):
            yield body[start : start + 100_000]

    kind = {"Content-Type": "application/json", "Accept": "application/json, text/event-stream"}
    reply = httpx.post(address + path, content=body if with_length else pieces(), headers=kind, timeout=20)
    if with_length or path in TAKES_JSON:
        assert reply.status_code == 413
    else:  # they do not read as much
        assert reply.status_code in (404, 405, 413)


def test_a_long_question_is_still_read(address: str) -> None:
    reply = httpx.post(f"{address}/api/ask", json={"question": "问" * 600_000}, timeout=20)
    assert reply.json()["error"]["param"] == "question"


@pytest.mark.parametrize("origin", ["http://localhost:1234", "http://127.0.0.1:1", "http://site.example", "null"])
def test_no_other_sites_page_may_read_a_reply(address: str, origin: str) -> None:
    asked = {"Origin": origin, "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "x"}
    for path in ("/", "/config", "/gradio_api/info", "/gradio_api/queue/join", "/api/sources"):
        preflight = httpx.options(address + path, headers=asked)
        assert preflight.status_code == 403
        read = httpx.get(address + path, headers={"Origin": origin})
        for reply in (preflight, read):
            assert not [name for name in reply.headers if name.startswith("access-control-")]
