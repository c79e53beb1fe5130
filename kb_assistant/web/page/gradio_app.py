"""Puts the page into a Gradio application of which only the parts that the page uses can be reached."""

from __future__ import annotations

import html
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gradio as gr
from starlette.datastructures import Headers, MutableHeaders
from starlette.middleware import Middleware
from starlette.responses import JSONResponse
from starlette.staticfiles import StaticFiles

from kb_assistant.web.api.errors import error_body, not_found_response
from kb_assistant.web.ui_texts import Language, preferred_language, words

if TYPE_CHECKING:
    from fastapi import FastAPI
    from starlette.responses import Response
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

__all__ = ["mount_blocks"]

_STATIC = Path(__file__).parent / "static"
_FONTS = ("system-ui", "-apple-system", "Segoe UI", "PingFang SC", "Microsoft YaHei", "Noto Sans CJK SC", "sans-serif")

_READ = re.compile(
    r"/|/config|/theme\.css|/favicon\.ico|/assets/.*"
    r"|/gradio_api/(info|app_id|queue/data|heartbeat/.*)",
    re.DOTALL,
)
_SENT = re.compile(r"/gradio_api/(queue/join|component_server|cancel|reset)")
"""What the page uses. Gradio has other routes that store files, fetch remote addresses and redirect to them."""

# The names of Gradio's assets hold a hash of their content, so a new version has new names.
_KEEP = "private, max-age=31536000, immutable"
_ASK_AGAIN = "no-cache"

_ADVERTISEMENT = re.compile(
    r'<meta\s+(?:property|name)="(?:og|twitter):[^>]*>\s*'
    r'|<link rel="manifest"[^>]*>\s*'
    r"|<script\s[^>]*iframeResizer[^>]*>\s*</script>\s*"
)
"""Gradio's own link preview and manifest, and its script for embedded pages, which our content policy forbids."""


def mount_blocks(app: FastAPI, blocks: gr.Blocks, host: str) -> FastAPI:
    """Return the web application with `blocks` at its root, after the routes that it already has."""
    app.mount("/page", _PageFiles(directory=_STATIC), name="page")
    mounted: FastAPI = gr.mount_gradio_app(
        app,
        blocks,
        path="/",
        server_name=host,
        app_kwargs={"middleware": [Middleware(_OnlyThePage)]},
        favicon_path=str(_STATIC / "icon.svg"),
        footer_links=[],
        show_error=False,
        ssr_mode=False,
        mcp_server=False,
        pwa=False,
        enable_monitoring=False,
        theme=gr.themes.Base(font=_FONTS, font_mono=("ui-monospace", "Consolas", "monospace")),
    )
    # Gradio keeps a record of every event for its monitoring page, for ever; it has no option to leave that out.
    blocks._queue.event_analytics = _NoRecords()
    return mounted


class _PageFiles(StaticFiles):
    """The page's own files; browsers ask whether they have changed, so an upgrade takes effect at once."""

    def file_response(self, *arguments: Any, **options: Any) -> Response:
        """Return a file that is not to be used again without asking."""
        response = super().file_response(*arguments, **options)
        response.headers["Cache-Control"] = _ASK_AGAIN
        return response


class _NoRecords(dict[str, Any]):
    """A dictionary that keeps nothing."""

    def __setitem__(self, key: str, value: Any) -> None:
        """Ignore the record."""

    def __missing__(self, key: str) -> Any:
        return {}


class _OnlyThePage:
    """Closes the routes of Gradio's that the page does not use, and gives its HTML our own head."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request, or refuse it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        if refusal := _refuse(scope):
            await refusal(scope, receive, send)
            return
        page = scope["path"] == "/"
        await self._app(scope, receive, _with_our_head(scope, send) if page else _with_cache_control(scope, send))


def _refuse(scope: Scope) -> Response | None:
    reads = scope["method"] in ("GET", "HEAD")
    used = _READ if reads else _SENT
    path = scope["path"]
    if not used.fullmatch(path if path == "/" else path.removesuffix("/")):
        return not_found_response()
    if not reads and not Headers(scope=scope).get("content-type", "").lower().startswith("application/json"):
        message = "the page takes JSON only; send files to POST /api/sources"
        return JSONResponse(error_body(message, "invalid_request_error", "unsupported_media_type"), 415)
    return None


def _with_cache_control(scope: Scope, send: Send) -> Send:
    path = scope["path"]
    kept = _KEEP if path.startswith("/assets/") else _ASK_AGAIN if path in ("/theme.css", "/favicon.ico") else None

    async def send_kept(message: Message) -> None:
        if kept and message["type"] == "http.response.start" and message["status"] == 200:
            MutableHeaders(scope=message)["Cache-Control"] = kept
        await send(message)

    return send_kept


def _with_our_head(scope: Scope, send: Send) -> Send:
    start: Message = {}
    body = b""

    async def send_rewritten(message: Message) -> None:
        nonlocal start, body
        if message["type"] == "http.response.start":
            start = message
            return
        body += message.get("body", b"")
        if message.get("more_body"):
            return
        language = preferred_language(Headers(scope=scope))
        written = _rewrite(body.decode(), language).encode()
        MutableHeaders(scope=start)["Content-Length"] = str(len(written))
        await send(start)
        await send({"type": "http.response.body", "body": written})

    return send_rewritten


def _rewrite(page: str, language: Language) -> str:
    said = {name: html.escape(words(language)[name]) for name in ("title", "description")}
    head = (
        f"<title>{said['title']}</title>\n"
        f'<meta name="description" content="{said["description"]}">\n'
        f'<meta property="og:title" content="{said["title"]}">\n'
        f'<meta property="og:description" content="{said["description"]}">\n'
        '<meta name="robots" content="noindex">\n'
        '<link rel="icon" type="image/svg+xml" href="/favicon.ico">\n'
        '<link rel="stylesheet" href="/page/app.css">\n'
    )
    return _ADVERTISEMENT.sub("", page).replace("</head>", f"{head}</head>", 1)
