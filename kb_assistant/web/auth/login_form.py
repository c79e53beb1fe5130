"""The login and logout forms."""

from __future__ import annotations

import base64
import hashlib
import math
from typing import TYPE_CHECKING
from urllib.parse import parse_qs

from fastapi import APIRouter, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from kb_assistant.web.api.errors import RequestError
from kb_assistant.web.auth.authentication import SESSION_COOKIE
from kb_assistant.web.ui_texts import preferred_language, words

if TYPE_CHECKING:
    from kb_assistant.web.auth.authentication import Authenticator

__all__ = ["login_routes"]

_MAX_FORM_BYTES = 20_000

_CSS = """
:root {
  color-scheme: light dark;
  --back: light-dark(#fbfaf8, #15171b); --front: light-dark(#fff, #1e2127); --text: light-dark(#1f2328, #e8e9eb);
  --edge: light-dark(#84898f, #767d87); --accent: light-dark(#1d5b86, #82bbea); --on-accent: light-dark(#fff, #0b1823);
  --danger: light-dark(#a3261f, #ff9b92);
  font: 16px/1.5 system-ui, -apple-system, "Segoe UI", "PingFang SC", "Microsoft YaHei", sans-serif;
}
body {display: grid; place-items: center; min-height: 90vh; margin: 0; background: var(--back); color: var(--text)}
form {display: grid; gap: 1rem; width: min(20rem, 88vw)}
h1 {margin: 0; color: var(--accent)}
label {display: grid; gap: .25rem}
input, button {font: inherit; padding: .6rem .75rem; border-radius: 8px; border: 1px solid var(--edge); color: inherit}
input {background: var(--front)}
button {background: var(--accent); border-color: var(--accent); color: var(--on-accent); font-weight: 600}
button {cursor: pointer}
:focus-visible {outline: 3px solid var(--accent); outline-offset: 2px}
p {margin: 0; min-height: 1.5em; color: var(--danger)}
"""
_CSS_HASH = base64.b64encode(hashlib.sha256(_CSS.encode()).digest()).decode()
_POLICY = (
    f"default-src 'none'; img-src 'self'; style-src 'sha256-{_CSS_HASH}'; "
    "form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)


def login_routes(authenticator: Authenticator) -> APIRouter:
    """Return the routes of the login and logout forms."""
    router = APIRouter(include_in_schema=False)

    @router.get("/login")
    def form(request: Request) -> Response:
        return _form_page(request, "login")

    @router.post("/login")
    async def log_in(request: Request) -> Response:
        fields = parse_qs(await _read_form(request))
        name, password = (fields.get(field, [""])[0] for field in ("name", "password"))
        address = request.client.host if request.client else ""
        session, wait_s = await run_in_threadpool(authenticator.try_password, name, password, address)
        if session is None:
            return _form_page(request, "login", wait_s=wait_s) if wait_s else _form_page(request, "login", wrong=True)
        reply = RedirectResponse("/", 303)
        reply.set_cookie(
            SESSION_COOKIE,
            session,
            max_age=int(authenticator.sessions.seconds),
            httponly=True,
            samesite="lax",
            secure=request.url.scheme == "https",
        )
        return reply

    @router.get("/logout")
    def ask_to_log_out(request: Request) -> Response:
        return _form_page(request, "logout")

    @router.post("/logout")
    def log_out(request: Request) -> Response:
        authenticator.sessions.end(request.cookies.get(SESSION_COOKIE, ""))
        reply = RedirectResponse("/login", 303)
        reply.delete_cookie(SESSION_COOKIE, httponly=True, samesite="lax")
        return reply

    return router


async def _read_form(request: Request) -> str:
    """Read no more than a login needs, since anyone can send this."""
    body = b""
    async for piece in request.stream():
        body += piece
        if len(body) > _MAX_FORM_BYTES:
            raise RequestError(413, "too_large", "the form is too large for a user name and a password")
    return body.decode("ascii", errors="replace")


def _form_page(request: Request, action: str, *, wrong: bool = False, wait_s: float = 0.0) -> Response:
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
    headers = {"Content-Security-Policy": _POLICY}
    if wait_s:
        headers["Retry-After"] = str(math.ceil(wait_s))
    return HTMLResponse(page, 429 if wait_s else 401 if wrong else 200, headers)
