"""`kb serve`: the page and the HTTP API behind the checks that keep other people's pages out."""

from __future__ import annotations

import asyncio
import atexit
import errno
import ipaddress
import logging
import os
import socket
import sys
import warnings
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import uvicorn
from fastapi import FastAPI
from fastapi.responses import JSONResponse, Response
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect

from kb_assistant.errors import UsageError
from kb_assistant.web.api import add_api
from kb_assistant.web.api.errors import error_body, judged
from kb_assistant.web.auth.accounts import Accounts
from kb_assistant.web.auth.login import Login, LoginGuard, login_routes
from kb_assistant.web.page import mount_page
from kb_assistant.web.running_answers import UnderWay

if TYPE_CHECKING:
    from types import FrameType

    from starlette.applications import Starlette
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from kb_assistant.assistant import Assistant

__all__ = ["build_app", "serve"]

# Gradio's own page asks for a font and a script from elsewhere; this forbids whatever is not from here.
_POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; font-src 'self' data:; connect-src 'self'; object-src 'none'; "
    "form-action 'self'; frame-ancestors 'none'; base-uri 'self'"
)
_HEADERS = {
    "Cache-Control": "no-store",  # a browser's Back button must not show private content after logging out
    "Content-Security-Policy": _POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",  # with none at all, browsers send the login form without an origin
}
_GRACE_S = 1
"""How long a connection may go on once the server is told to stop."""
_READS_ONLY = frozenset({"GET", "HEAD"})
_LONGEST_BODY_BYTES = 4_000_000
"""Of any request but an upload, which has a setting of its own and goes to the disk as it comes."""


class _Guard:
    """Adds the content policy to every response, and turns away what another site's page sends, or what is too large.

    No response lets another site's page read it, whatever Gradio says of that.
    """

    def __init__(self, app: ASGIApp, names: frozenset[str]) -> None:
        self._app = app
        self._names = names

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":  # nothing here speaks so
            await send({"type": "websocket.close", "code": 1008})
            return
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
                for name in [name for name in headers if name.startswith("access-control-")]:
                    del headers[name]
            await send(message)

        if turned_away := _turned_away(scope, self._names):
            await turned_away(scope, receive, with_headers)
        elif _is_upload(scope):
            with suppress(ClientDisconnect):  # nobody is told of that anyway
                await self._app(scope, receive, with_headers)
        else:
            await _limited(self._app, scope, receive, with_headers)


def _is_upload(scope: Scope) -> bool:
    return (scope["method"], scope["path"]) == ("POST", "/api/sources")


async def _limited(app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
    """Serve a request whose body did not say how long it is; one too long ends there, as if its client had gone."""
    arrived = 0
    begun = False

    async def counted() -> Message:
        nonlocal arrived
        message = await receive()
        arrived += len(message.get("body", b""))
        return {"type": "http.disconnect"} if arrived > _LONGEST_BODY_BYTES else message

    async def unless_too_large(message: Message) -> None:
        nonlocal begun
        if begun or arrived <= _LONGEST_BODY_BYTES:
            begun = True
            await send(message)

    with suppress(ClientDisconnect):
        await app(scope, counted, unless_too_large)
    if not begun and arrived > _LONGEST_BODY_BYTES:
        await _too_large()(scope, receive, send)


def _too_large() -> Response:
    return _error(413, f"more than {_LONGEST_BODY_BYTES / 1e6:.0f} MB at once; send less")


def _turned_away(scope: Scope, names: frozenset[str]) -> Response | None:
    # A page elsewhere whose name is made to point here is turned away (DNS rebinding); an address cannot be made to.
    if not _is_called(Headers(scope=scope).get("host", ""), names):
        return _error(400, "this server is not called so; the setting server_names takes more names")
    headers = Headers(scope=scope)
    length = headers.get("content-length", "")
    if length.isdecimal() and int(length) > _LONGEST_BODY_BYTES and not _is_upload(scope):
        return _too_large()
    origin = headers.get("origin")
    if scope["method"] in _READS_ONLY or origin is None or origin.partition("://")[2] == headers.get("host"):
        return None
    return _error(403, "another site's page may not ask here")


def _is_called(host: str, names: frozenset[str]) -> bool:
    try:
        name = (urlsplit(f"//{host}").hostname or "").rstrip(".")
    except ValueError:
        return False
    return name in names or _address(name) is not None


def _address(name: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(name)
    except ValueError:
        return None


def _error(status: int, message: str) -> Response:
    return JSONResponse(error_body(message, "invalid_request_error", "turned_away"), status)


def build_app(assistant: Assistant, host: str) -> FastAPI:
    """Return the web application: the API, and the page at its root."""
    mcp = _mcp(assistant)
    app = FastAPI(
        title="kb",
        version="1",
        openapi_url="/api/openapi.json",
        docs_url=None,
        redoc_url=None,
        routes=mcp.routes if mcp else None,
        lifespan=mcp.router.lifespan_context if mcp else None,
    )
    app.state.under_way = UnderWay()
    app.state.jobs = add_api(app, assistant, app.state.under_way)
    login = Login(Accounts(assistant.home), assistant.settings.session_hours, required=not _is_loopback(host))
    app.include_router(login_routes(login))
    app.add_middleware(LoginGuard, login=login)
    names = ["localhost", host, *assistant.settings.server_names.split(",")]
    if not _is_loopback(host):
        names += [socket.gethostname(), socket.getfqdn(), f"{socket.gethostname()}.local"]
    app.add_middleware(_Guard, names=frozenset(name.strip().lower() for name in names if name.strip()))
    return mount_page(app, assistant, app.state.under_way, host)


def _mcp(assistant: Assistant) -> Starlette | None:
    """The Model Context Protocol over HTTP, where its package is installed."""
    try:
        from mcp.server.transport_security import TransportSecuritySettings

        from kb_assistant.mcp_server import build_server
    except ModuleNotFoundError:
        return None
    # Without sessions: each request stands for itself and is checked here, so that none is another user's.
    return build_server(assistant, lambda error: judged(error)[1]["error"]["message"]).streamable_http_app(
        stateless_http=True,
        transport_security=TransportSecuritySettings(enable_dns_rebinding_protection=False),  # `_Guard` sees to it
    )


def serve(assistant: Assistant, announce: Callable[[str], None]) -> None:
    """Serve the page until it is interrupted; `announce` is called with its address once that takes connections.

    Raises:
        UsageError: the address is not this machine's own, or is taken.
    """
    host, port = assistant.settings.host, assistant.settings.port
    if not _is_loopback(host) and not Accounts(assistant.home).known():
        raise UsageError(
            f"cannot listen on {host}: whoever reaches it could read the documents; "
            "run kb user add NAME or kb key add NAME first, or use 127.0.0.1"
        )
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        wrong_host = isinstance(error, socket.gaierror) or error.errno == errno.EADDRNOTAVAIL
        remedy = "give an address of this machine with --host" if wrong_host else "choose another with --port"
        raise UsageError(f"cannot listen on {host}:{port}: {error.strerror}; {remedy}") from error
    app = build_app(assistant, host)
    listener.listen()
    shown = f"[{host}]" if ":" in host else host
    announce(f"http://{shown}:{listener.getsockname()[1]}")
    config = uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=_GRACE_S, access_log=False)
    logging.getLogger("kb_assistant").setLevel(logging.ERROR)  # what a reply only hints at is told here
    logging.getLogger("uvicorn.error").addFilter(_is_news)  # after Config, which sets up logging
    with suppress(KeyboardInterrupt), warnings.catch_warnings():  # interrupted is how it is meant to end
        warnings.filterwarnings("ignore", module="gradio")  # of names that it will have to change one day
        _Server(config, (app.state.jobs.stop, app.state.under_way.stop_all)).run(sockets=[listener])
    app.state.jobs.close()
    if not app.state.under_way.close():
        # OpenVINO reads a prompt to its end. Once all else is closed, the process leaves without its thread.
        atexit.register(_leave)


def _leave() -> None:
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


class _Server(uvicorn.Server):
    """Says at once that it is to stop, not when its last connection has ended."""

    def __init__(self, config: uvicorn.Config, stopping: Sequence[Callable[[], None]]) -> None:
        super().__init__(config)
        self._stopping = stopping

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        for tell in self._stopping:
            tell()
        super().handle_exit(sig, frame)


def _is_news(record: logging.LogRecord) -> bool:
    """Whether a line of the server's log tells anything: a page left open is cut off at the end, as it should be."""
    error = record.exc_info[1] if record.exc_info else None
    return not isinstance(error, asyncio.CancelledError) and "timeout graceful shutdown exceeded" not in record.msg


def _is_loopback(host: str) -> bool:
    address = _address(host)
    return host == "localhost" or (address is not None and address.is_loopback)
