"""`kb serve`: the page, the HTTP API and MCP in one web server."""

from __future__ import annotations

import asyncio
import atexit
import errno
import logging
import os
import socket
import sys
import warnings
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

import uvicorn
from fastapi import FastAPI

from kb_assistant.errors import UsageError
from kb_assistant.web.api import add_api
from kb_assistant.web.api.errors import describe_error
from kb_assistant.web.auth.accounts import Accounts
from kb_assistant.web.auth.authentication import Authenticator, LoginGuard
from kb_assistant.web.auth.login_form import login_routes
from kb_assistant.web.page import mount_page
from kb_assistant.web.request_guard import RequestGuard, parse_ip
from kb_assistant.web.running_answers import RunningAnswers

if TYPE_CHECKING:
    from types import FrameType

    from starlette.applications import Starlette

    from kb_assistant.assistant import Assistant

__all__ = ["build_app", "serve"]

_GRACE_S = 1
"""How long open connections may continue once the server is stopping."""


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
    app.state.answers = RunningAnswers()
    app.state.jobs = add_api(app, assistant, app.state.answers)
    hours = assistant.settings.session_hours
    authenticator = Authenticator(Accounts(assistant.home), hours, required=not _is_loopback(host))
    app.include_router(login_routes(authenticator))
    app.add_middleware(LoginGuard, authenticator=authenticator)
    names = ["localhost", host, *assistant.settings.server_names.split(",")]
    if not _is_loopback(host):
        names += [socket.gethostname(), socket.getfqdn(), f"{socket.gethostname()}.local"]
    app.add_middleware(RequestGuard, names=frozenset(name.strip().lower() for name in names if name.strip()))
    return mount_page(app, assistant, app.state.answers, host)


def _mcp(assistant: Assistant) -> Starlette | None:
    """Return the Model Context Protocol over HTTP, if its package is installed."""
    try:
        from mcp.server.transport_security import TransportSecuritySettings

        from kb_assistant.mcp_server import build_server
    except ModuleNotFoundError:
        return None
    # Without sessions each request is checked by itself, so no user can continue another's.
    return build_server(assistant, lambda error: describe_error(error)[1]["error"]["message"]).streamable_http_app(
        stateless_http=True,
        transport_security=TransportSecuritySettings(enable_dns_rebinding_protection=False),  # RequestGuard does it
    )


def serve(assistant: Assistant, announce: Callable[[str], None]) -> None:
    """Serve until interrupted; `announce` is called with the address once it accepts connections.

    Raises:
        UsageError: the address is not one of this machine, is in use, or can be reached by others without a login.
    """
    host, port = assistant.settings.host, assistant.settings.port
    if not _is_loopback(host) and not Accounts(assistant.home).credentials():
        raise UsageError(
            f"cannot listen on {host}: anyone who reaches it could read the documents; "
            "run kb user add NAME or kb key add NAME first, or use 127.0.0.1"
        )
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        reason = error.strerror
        if isinstance(error, socket.gaierror) or error.errno == errno.EADDRNOTAVAIL:
            raise UsageError(
                f"cannot listen on {host}:{port}: {reason}; give an address of this machine with --host"
            ) from error
        raise UsageError(f"cannot listen on {host}:{port}: {reason}; choose another port with --port") from error
    app = build_app(assistant, host)
    listener.listen()
    shown = f"[{host}]" if ":" in host else host
    announce(f"http://{shown}:{listener.getsockname()[1]}")
    config = uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=_GRACE_S, access_log=False)
    logging.getLogger("kb_assistant").setLevel(logging.ERROR)  # responses only hint at what went wrong
    logging.getLogger("uvicorn.error").addFilter(_is_worth_logging)  # after Config, which sets up logging
    with suppress(KeyboardInterrupt), warnings.catch_warnings():  # an interrupt is the normal end
        warnings.filterwarnings("ignore", module="gradio")  # about deprecations inside Gradio
        _Server(config, (app.state.jobs.stop, app.state.answers.stop_all)).run(sockets=[listener])
    app.state.jobs.close()
    if not app.state.answers.close():
        # OpenVINO cannot leave a prompt half read, so the process exits without waiting for its thread.
        atexit.register(_exit_now)


def _exit_now() -> None:
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


class _Server(uvicorn.Server):
    """Calls `stopping` as soon as the server is told to stop, before its last connection has ended."""

    def __init__(self, config: uvicorn.Config, stopping: Sequence[Callable[[], None]]) -> None:
        super().__init__(config)
        self._stopping = stopping

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        for stop in self._stopping:
            stop()
        super().handle_exit(sig, frame)


def _is_worth_logging(record: logging.LogRecord) -> bool:
    """Return False for messages about pages that are still open when the server stops, as they may be."""
    error = record.exc_info[1] if record.exc_info else None
    return not isinstance(error, asyncio.CancelledError) and "timeout graceful shutdown exceeded" not in record.msg


def _is_loopback(host: str) -> bool:
    address = parse_ip(host)
    return host == "localhost" or (address is not None and address.is_loopback)
