"""Who asks: sessions for people, keys for programs, and the form that people log in with.

As long as there are neither users nor keys, and the server listens on this machine only,
everyone may ask. The name of who does is in `request.state.user`: a user's, `key:NAME` for a
program, and empty where nobody has to log in.
"""

from __future__ import annotations

import base64
import hashlib
import ipaddress
import math
import unicodedata
from typing import TYPE_CHECKING
from urllib.parse import parse_qs

from fastapi import APIRouter, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.requests import HTTPConnection

from kb_assistant.errors import SettingsError
from kb_assistant.web.api.errors import RequestError, error_body, judged
from kb_assistant.web.auth.accounts import LONGEST_NAME
from kb_assistant.web.auth.sessions import Sessions, Throttle
from kb_assistant.web.words import preferred_language, words

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

    from kb_assistant.web.auth.accounts import Accounts

__all__ = ["Login", "LoginGuard", "login_routes"]

_COOKIE = "kb_session"
_OPEN = frozenset({("GET", "/login"), ("POST", "/login"), ("GET", "/favicon.ico"), ("GET", "/healthz")})
_FOR_KEYS = ("/api/", "/v1/", "/mcp", "/metrics")
_LONGEST_FORM_BYTES = 20_000

_CSS = """
:root {color-scheme: light dark; font-family: system-ui, "PingFang SC", "Microsoft YaHei", sans-serif}
body {display: grid; place-items: center; min-height: 90vh; margin: 0}
form {display: grid; gap: .75rem; width: min(20rem, 88vw)}
label {display: grid; gap: .25rem}
input, button {font: inherit; padding: .6rem; border-radius: .4rem; border: 1px solid GrayText}
button {background: #1d4ed8; border-color: #1d4ed8; color: #fff; cursor: pointer}
p {margin: 0; min-height: 1.5em}
"""
_CSS_HASH = base64.b64encode(hashlib.sha256(_CSS.encode()).digest()).decode()
_POLICY = (
    f"default-src 'none'; img-src 'self'; style-src 'sha256-{_CSS_HASH}'; "
    "form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)


class Login:
    """Tells who asks, and lets people log in."""

    def __init__(self, accounts: Accounts, session_hours: float, *, required: bool) -> None:
        """Take the accounts, how long a session lasts, and whether nobody may ask while there are no accounts."""
        self._accounts = accounts
        self._required = required
        self.sessions = Sessions(session_hours * 3600)
        self._by_address = Throttle(free=20, longest_s=900)
        self._by_user_there = Throttle(free=5, longest_s=60)
        # Many addresses may guess at one name; a few of them shall not keep out whose name it is.
        self._by_user = Throttle(free=500, longest_s=60)

    def user_of(self, connection: HTTPConnection) -> str | None:
        """Return who asks; empty where anybody may, None where somebody has to be known and is not.

        Raises:
            SettingsError: the accounts cannot be read.
        """
        known = self._accounts.known()
        if not known and not self._required:
            return ""
        self._required = True  # that the last account goes lets nobody in
        session = connection.cookies.get(_COOKIE, "")
        user = self.sessions.user(session, known.users) if session else None
        scheme, _, key = connection.headers.get("authorization", "").partition(" ")
        if user is None and scheme.lower() == "bearer" and connection.scope["path"].startswith(_FOR_KEYS):
            name = self._accounts.key_name(key.strip())
            user = None if name is None else f"key:{name}"
        return user

    def try_password(self, name: str, password: str, address: str) -> tuple[str | None, float]:
        """Return a new session and 0; or None and the seconds to wait, 0 where the password was wrong.

        Raises:
            RequestError: the name is longer than any user's.
            SettingsError: the accounts cannot be read.
        """
        user, network = unicodedata.normalize("NFC", name), _network(address)
        if len(user) > LONGEST_NAME:  # it would be remembered
            raise RequestError(413, "too_large", f"a name has at most {LONGEST_NAME} characters; write the right one")
        tried = ((self._by_address, network), (self._by_user_there, f"{user}:{network}"), (self._by_user, user))
        for throttle, who in tried:  # one that says no keeps the next from counting
            if wait_s := throttle.begin(who):
                return None, wait_s
        stored = self._accounts.known().users.get(user, "")
        if not self._accounts.password_holds(user, password) or not stored:
            return None, 0.0
        for throttle, who in tried:
            throttle.forgive(who, all_of_it=throttle is not self._by_address)
        return self.sessions.begin(user, stored), 0.0


class LoginGuard:
    """Lets through who is known, and nobody else."""

    def __init__(self, app: ASGIApp, login: Login) -> None:
        self._app = app
        self._login = login

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or turn it away."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        try:
            user = self._login.user_of(HTTPConnection(scope))
        except SettingsError as error:
            await JSONResponse(judged(error)[1], 503)(scope, receive, send)
            return
        scope.setdefault("state", {})["user"] = user or ""
        known = user is not None or (scope["method"], scope["path"]) in _OPEN
        await (self._app if known else _sent_to_login(scope))(scope, receive, send)


def _sent_to_login(scope: Scope) -> Response:
    browses = scope["method"] == "GET" and not scope["path"].startswith(_FOR_KEYS)
    if browses and "text/html" in HTTPConnection(scope).headers.get("accept", ""):
        return RedirectResponse("/login", 303)
    message = "log in, or send Authorization: Bearer KEY; kb user add and kb key add make them"
    body = error_body(message, "authentication_error", "not_logged_in")
    return JSONResponse(body, 401, headers={"WWW-Authenticate": "Bearer"})


def login_routes(login: Login) -> APIRouter:
    """Return the form that people log in with, and what it is sent to."""
    router = APIRouter(include_in_schema=False)

    @router.get("/login")
    def form(request: Request) -> Response:
        return _page(request, "login")

    @router.post("/login")
    async def log_in(request: Request) -> Response:
        given = parse_qs(await _short_body(request))
        name, password = (given.get(field, [""])[0] for field in ("name", "password"))
        address = request.client.host if request.client else ""
        session, wait_s = await run_in_threadpool(login.try_password, name, password, address)
        if session is None:
            return _page(request, "login", wait_s=wait_s) if wait_s else _page(request, "login", wrong=True)
        reply = RedirectResponse("/", 303)
        reply.set_cookie(
            _COOKIE,
            session,
            max_age=int(login.sessions.seconds),
            httponly=True,
            samesite="lax",
            secure=request.url.scheme == "https",
        )
        return reply

    @router.get("/logout")
    def ask_to_log_out(request: Request) -> Response:
        return _page(request, "logout")

    @router.post("/logout")
    def log_out(request: Request) -> Response:
        login.sessions.end(request.cookies.get(_COOKIE, ""))
        reply = RedirectResponse("/login", 303)
        reply.delete_cookie(_COOKIE, httponly=True, samesite="lax")
        return reply

    return router


async def _short_body(request: Request) -> str:
    """Read no more than a login needs: whoever sends this is not known yet."""
    body = b""
    async for piece in request.stream():
        body += piece
        if len(body) > _LONGEST_FORM_BYTES:
            raise RequestError(413, "too_large", "that is no name and password; send less")
    return body.decode("ascii", errors="replace")


def _page(request: Request, action: str, *, wrong: bool = False, wait_s: float = 0.0) -> Response:
    language = preferred_language(request.headers)
    texts = words(language)
    message = texts["login_wrong"] if wrong else ""
    if wait_s:
        message = texts["login_wait"].format(seconds=math.ceil(wait_s))
    fields = f"""<label>{texts["user_name"]}<input name="name" autocomplete="username" required autofocus></label>
<label>{texts["password"]}<input name="password" type="password" autocomplete="current-password" required></label>"""
    page = f"""<!doctype html>
<html lang="{language}">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>{texts["title"]}</title><link rel="icon" type="image/svg+xml" href="/favicon.ico">
<style>{_CSS}</style></head>
<body><form method="post" action="/{action}">
<h1>{texts["title"]}</h1>
{fields if action == "login" else ""}
<p role="alert">{message}</p>
<button>{texts[action]}</button>
</form></body>
</html>
"""
    headers = {"Content-Security-Policy": _POLICY, "Cache-Control": "no-store"}
    if wait_s:
        headers["Retry-After"] = str(math.ceil(wait_s))
    return HTMLResponse(page, 429 if wait_s else 401 if wrong else 200, headers)


def _network(address: str) -> str:
    """What is taken for one address: of IPv6, the network that a household has."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return address
    return str(ipaddress.ip_network((found, 64), strict=False)) if found.version == 6 else address
