"""The checks before every request: other sites' pages are kept out, and bodies that are too large."""

from __future__ import annotations

import ipaddress
from contextlib import suppress
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from fastapi.responses import JSONResponse, Response
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect

from kb_assistant.web.api.errors import error_body

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

__all__ = ["RequestGuard", "parse_ip"]

# Nothing is loaded from another host, whatever Gradio's own code asks for.
_POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; font-src 'self' data:; connect-src 'self'; object-src 'none'; "
    "form-action 'self'; frame-ancestors 'none'; base-uri 'self'"
)
_HEADERS = {
    "Cache-Control": "no-store",  # a browser's Back button must not show private content after logging out
    "Content-Security-Policy": _POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",  # with no-referrer, browsers send the login form without an origin
}
_SAFE_METHODS = frozenset({"GET", "HEAD"})
_MAX_BODY_BYTES = 4_000_000
"""Of any request except an upload, which has a setting of its own and is written to disk as it arrives."""
_MAX_NAME_SHOWN = 100


class RequestGuard:
    """Refuses requests from other sites' pages and bodies that are too large, and adds headers to every response.

    No response allows another site's page to read it, whatever Gradio sets.
    """

    def __init__(self, app: ASGIApp, names: frozenset[str]) -> None:
        self._app = app
        self._names = names

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request, or refuse it."""
        if scope["type"] == "websocket":  # nothing here uses WebSockets
            await send({"type": "websocket.close", "code": 1008})
            return
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
                for name in [name for name in headers if name.startswith("access-control-")]:
                    del headers[name]
            await send(message)

        if refusal := _refuse(scope, self._names):
            await refusal(scope, receive, send_with_headers)
        elif _is_upload(scope):
            with suppress(ClientDisconnect):  # nobody is left to be told
                await self._app(scope, receive, send_with_headers)
        else:
            await _limit_body(self._app, scope, receive, send_with_headers)


def _is_upload(scope: Scope) -> bool:
    return (scope["method"], scope["path"]) == ("POST", "/api/sources")


async def _limit_body(app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
    """Serve a request whose length is not known beforehand; past the limit, it ends as if its client had left."""
    received = 0
    started = False

    async def count() -> Message:
        nonlocal received
        message = await receive()
        received += len(message.get("body", b""))
        return {"type": "http.disconnect"} if received > _MAX_BODY_BYTES else message

    async def send_unless_too_large(message: Message) -> None:
        nonlocal started
        if started or received <= _MAX_BODY_BYTES:
            started = True
            await send(message)

    with suppress(ClientDisconnect):
        await app(scope, count, send_unless_too_large)
    if not started and received > _MAX_BODY_BYTES:
        await _too_large()(scope, receive, send)


def _refuse(scope: Scope, names: frozenset[str]) -> Response | None:
    headers = Headers(scope=scope)
    # Another site can point a name of its own at this server (DNS rebinding), but not an address.
    if not _is_own_name(headers.get("host", ""), names):
        return _error(400, f"this server does not answer to {_host(headers)}; add the name to the setting server_names")
    length = headers.get("content-length", "")
    if length.isdecimal() and int(length) > _MAX_BODY_BYTES and not _is_upload(scope):
        return _too_large()
    origin = headers.get("origin")
    if scope["method"] in _SAFE_METHODS or origin is None or origin.partition("://")[2] == headers.get("host"):
        return None
    return _error(403, "requests from another site's page are not allowed")


def _host(headers: Headers) -> str:
    return repr(headers.get("host", "")[:_MAX_NAME_SHOWN])


def _is_own_name(host: str, names: frozenset[str]) -> bool:
    try:
        name = (urlsplit(f"//{host}").hostname or "").rstrip(".")
    except ValueError:
        return False
    return name in names or parse_ip(name) is not None


def parse_ip(name: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """Return a host name as an IP address, or None if it is a name."""
    try:
        return ipaddress.ip_address(name)
    except ValueError:
        return None


def _too_large() -> Response:
    return _error(413, f"the request is larger than {_MAX_BODY_BYTES / 1e6:.0f} MB; send less")


def _error(status: int, message: str) -> Response:
    return JSONResponse(error_body(message, "invalid_request_error", "turned_away"), status)
