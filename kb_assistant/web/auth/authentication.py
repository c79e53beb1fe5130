"""Authentication: sessions for people, API keys for programs.

While there are neither users nor keys, and the server listens on this machine only, nobody
has to log in. `request.state.user` is the user's name, `key:NAME` for a program, and '' where
nobody has to log in.
"""

from __future__ import annotations

import ipaddress
import unicodedata
from typing import TYPE_CHECKING

from fastapi.responses import JSONResponse, RedirectResponse, Response
from starlette.requests import HTTPConnection

from kb_assistant.errors import SettingsError
from kb_assistant.web.api.errors import RequestError, describe_error, error_body
from kb_assistant.web.auth.accounts import MAX_NAME_CHARACTERS
from kb_assistant.web.auth.sessions import Sessions, Throttle

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

    from kb_assistant.web.auth.accounts import Accounts

__all__ = ["SESSION_COOKIE", "Authenticator", "LoginGuard"]

SESSION_COOKIE = "kb_session"
_PUBLIC = frozenset({("GET", "/login"), ("POST", "/login"), ("GET", "/favicon.ico"), ("GET", "/healthz")})
_KEY_PATHS = ("/api/", "/v1/", "/mcp", "/metrics")


class Authenticator:
    """Identifies who sends a request, and checks passwords."""

    def __init__(self, accounts: Accounts, session_hours: float, *, required: bool) -> None:
        """Take the accounts, how long a session lasts, and whether a login is required even without accounts."""
        self._accounts = accounts
        self._required = required
        self.sessions = Sessions(session_hours * 3600)
        self._by_network = Throttle(free=20, longest_s=900)
        self._by_user_and_network = Throttle(free=5, longest_s=60)
        # Against guesses from many networks; generous, so that a few of them cannot lock a user out.
        self._by_user = Throttle(free=500, longest_s=60)

    def user_of(self, connection: HTTPConnection) -> str | None:
        """Return the name of who sends a request, '' if no login is required, or None if it is and there is none.

        Raises:
            SettingsError: the accounts cannot be read.
        """
        credentials = self._accounts.credentials()
        if not credentials and not self._required:
            return ""
        self._required = True  # removing the last account must not open the server
        session = connection.cookies.get(SESSION_COOKIE, "")
        user = self.sessions.user(session, credentials.users) if session else None
        scheme, _, key = connection.headers.get("authorization", "").partition(" ")
        if user is None and scheme.lower() == "bearer" and connection.scope["path"].startswith(_KEY_PATHS):
            name = self._accounts.key_name(key.strip())
            user = None if name is None else f"key:{name}"
        return user

    def try_password(self, name: str, password: str, address: str) -> tuple[str | None, float]:
        """Return a new session and 0; or None and the seconds to wait, which are 0 if the password was wrong.

        Raises:
            RequestError: the name is longer than names can be.
            SettingsError: the accounts cannot be read.
        """
        user, network = unicodedata.normalize("NFC", name), _network(address)
        if len(user) > MAX_NAME_CHARACTERS:  # the throttles would remember it
            raise RequestError(413, "too_large", f"a user name has at most {MAX_NAME_CHARACTERS} characters")
        throttles = (
            (self._by_network, network),
            (self._by_user_and_network, f"{user}:{network}"),
            (self._by_user, user),
        )
        for throttle, client in throttles:  # after a refusal the others do not count the attempt
            if wait_s := throttle.admit(client):
                return None, wait_s
        stored = self._accounts.credentials().users.get(user, "")
        if not self._accounts.check_password(user, password) or not stored:
            return None, 0.0
        for throttle, client in throttles:
            throttle.forgive(client, all_attempts=throttle is not self._by_network)
        return self.sessions.begin(user, stored), 0.0


class LoginGuard:
    """Lets authenticated requests through, and no others."""

    def __init__(self, app: ASGIApp, authenticator: Authenticator) -> None:
        self._app = app
        self._authenticator = authenticator

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request, or refuse it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        try:
            user = self._authenticator.user_of(HTTPConnection(scope))
        except SettingsError as error:
            await JSONResponse(describe_error(error)[1], 503)(scope, receive, send)
            return
        scope.setdefault("state", {})["user"] = user or ""
        allowed = user is not None or (scope["method"], scope["path"]) in _PUBLIC
        await (self._app if allowed else _login_required(scope))(scope, receive, send)


def _login_required(scope: Scope) -> Response:
    browses = scope["method"] == "GET" and not scope["path"].startswith(_KEY_PATHS)
    if browses and "text/html" in HTTPConnection(scope).headers.get("accept", ""):
        return RedirectResponse("/login", 303)
    message = "log in, or send Authorization: Bearer KEY; kb user add and kb key add create accounts and keys"
    body = error_body(message, "authentication_error", "not_logged_in")
    return JSONResponse(body, 401, headers={"WWW-Authenticate": "Bearer"})


def _network(address: str) -> str:
    """Return what counts as the same client: an IPv4 address, or the /64 network of an IPv6 address."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    return str(ipaddress.ip_network((parsed, 64), strict=False)) if parsed.version == 6 else address
