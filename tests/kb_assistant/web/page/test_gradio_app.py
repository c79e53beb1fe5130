"""The page at the root of the server, and what is left of Gradio's routes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html.parser import HTMLParser
from urllib.parse import urljoin, urlsplit

import httpx
import pytest

LOADED = {"src", "href", "srcset", "poster", "data", "action", "formaction", "background", "cite"}
"""Attributes with an address that a browser or a link preview may ask for; `content` is looked at as well."""


class Page(HTMLParser):
    """The addresses and descriptions in a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.addresses: list[str] = []
        self.assets: list[str] = []
        self.described: dict[str, str] = {}
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attributes}
        loaded = [value for name, value in values.items() if name in LOADED]
        self.addresses += loaded
        if tag in ("script", "link", "img"):
            self.assets += loaded
        if tag == "meta":
            self.described[values.get("property") or values.get("name") or ""] = values.get("content", "")


def loads(address: str, kind: str, text: str) -> Iterator[str]:
    """The addresses that an asset has a browser load, relative ones made whole."""
    if "css" in kind:
        found = re.findall(r"""url\(\s*["']?([^"')]+)|@import\s+["']([^"']+)""", text)
    else:  # of a module, what it imports by a written name
        found = re.findall(r"""(?:\bfrom|\bimport)\s*\(?["']([^"']+)["']()""", text)
    for pair in found:
        yield urljoin(address, next(filter(None, pair)))


def test_the_page_and_its_assets_name_no_other_host(address: str) -> None:
    page = httpx.get(address)
    found = Page(page.text)
    remote = {urljoin(address, one) for one in [*found.addresses, *found.described.values()] if "://" in one}
    for asset in found.assets:
        reply = httpx.get(urljoin(f"{address}/", asset))
        assert reply.status_code == 200, asset
        remote |= set(loads(str(reply.url), reply.headers["content-type"], reply.text))
    assert len(found.assets) >= 4
    assert {one for one in remote if urlsplit(one).scheme in ("http", "https")} <= {
        one for one in remote if one.startswith(f"{address}/")
    }
    assert not re.search(r"gradio\.app|githubusercontent|@Gradio", page.text)


@pytest.mark.parametrize(
    ("language", "begins"),
    [("zh-CN,zh;q=0.9", "用中文或英文"), ("en", "Ask your documents"), ("", "Ask your documents")],
)
def test_a_link_preview_describes_kb(address: str, language: str, begins: str) -> None:
    page = httpx.get(address, headers={"Accept-Language": language}).text
    described = Page(page).described
    assert "<title>kb</title>" in page
    assert described["description"].startswith(begins)
    assert described["og:description"] == described["description"]
    assert described["og:title"] == "kb"
    assert not {name for name in described if name.startswith("twitter:")}


def test_the_icon_is_our_own(address: str) -> None:
    reply = httpx.get(f"{address}/favicon.ico")
    assert reply.headers["content-type"].startswith("image/svg+xml")
    assert reply.content == httpx.get(f"{address}/page/icon.svg").content


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize(
    "path",
    [
        "file=https://evil.example/",
        "file=http://evil.example/",
        "file=HTTPS://evil.example/",
        "file/https://evil.example/",
        "proxy=https://evil.example/",
        "file=//evil.example/",
    ],
)
def test_the_server_redirects_to_no_other_site(address: str, method: str, path: str) -> None:
    reply = httpx.request(method, f"{address}/gradio_api/{path}")
    assert (reply.status_code, reply.headers.get("location")) == (404, None)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "upload"),
        ("POST", "vibe-edit"),
        ("POST", "process_recording"),
        ("POST", "run/answer"),
        ("POST", "call/answer"),
        ("GET", "upload_progress?upload_id=1"),
        ("GET", "token"),
        ("GET", "dev/reload"),
        ("GET", "custom_component/1/client/component/x"),
    ],
)
def test_gradios_other_routes_are_closed(address: str, method: str, path: str) -> None:
    reply = httpx.request(method, f"{address}/gradio_api/{path}")
    assert (reply.status_code, reply.json()["error"]["code"]) == (404, "not_found")


def test_the_page_takes_no_forms(address: str) -> None:
    for kind in ("multipart/form-data; boundary=b", "Multipart/Form-Data; boundary=b", "text/plain"):
        for path in ("/gradio_api/component_server", "/gradio_api/queue/join"):
            reply = httpx.post(address + path, content=b"x", headers={"Content-Type": kind})
            assert (reply.status_code, reply.json()["error"]["code"]) == (415, "unsupported_media_type")


def test_browsers_store_no_private_content(address: str) -> None:
    for path in ("/", "/config", "/api/sources", "/api/search?q=leave", "/v1/models", "/login", "/metrics"):
        assert httpx.get(address + path).headers["cache-control"] == "no-store", path
    asset = next(one for one in Page(httpx.get(address).text).assets if "assets/" in one)
    assert "immutable" in httpx.get(urljoin(f"{address}/", asset)).headers["cache-control"]
    assert httpx.get(f"{address}/page/app.js").headers["cache-control"] == "no-cache"
