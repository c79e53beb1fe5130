"""Asks a model hub, Hugging Face or ModelScope, which files a model has, with their sizes and checksums.

Both hubs are asked through httpx. huggingface_hub (0.36) was tried for the transport: it compares sizes only, so a
changed byte passes; it gives up when a connection is cut in the middle of a file; it serves one of the two hubs; and
`privacy` switches it off for the whole process. It is used for the token that `hf auth login` keeps.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

import httpx

from kb_assistant.errors import ModelError, UsageError

__all__ = ["HUBS", "Listing", "RemoteFile", "client_for", "explain_status", "list_files"]

_ID = re.compile(r"[A-Za-z0-9_][\w.-]*/[A-Za-z0-9_][\w.-]*", re.ASCII)
_SHA256 = re.compile(r"[0-9a-f]{64}")
_SHA1 = re.compile(r"[0-9a-f]{40}")
_TIMEOUT = httpx.Timeout(30.0, connect=10.0)


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """A file at a hub.

    Attributes:
        path: relative to the model's folder.
        size: in bytes.
        sha256: of its bytes; None if the hub lists only `git_sha1`.
        git_sha1: git's object id: the SHA-1 of "blob", the length, a zero byte, and the bytes.
    """

    path: str
    url: str
    size: int
    sha256: str | None
    git_sha1: str | None


@dataclass(frozen=True, slots=True)
class Listing:
    """A model's files at one revision; `revision` is the commit's id if the hub gives it."""

    origin: str
    revision: str
    files: tuple[RemoteFile, ...]


@dataclass(frozen=True, slots=True)
class _Hub:
    endpoint_variable: str
    endpoint: str
    token_variable: str
    branch: str
    read: Callable[[httpx.Client, str, str, str], Listing]
    stored_token: Callable[[], str | None] | None = None
    """Gives the token of the hub's own login command."""

    @property
    def address(self) -> str:
        return (os.environ.get(self.endpoint_variable) or self.endpoint).rstrip("/")

    @property
    def token(self) -> str | None:
        token = os.environ.get(self.token_variable, "").strip()
        return token or (self.stored_token() if self.stored_token else None)


def client_for(hub: str) -> httpx.Client:
    """Return a client for the hub, with the user's token if there is one.

    The client follows redirects, since the hubs keep large files on other hosts, and sends the token to the hub only.
    It uses the environment's proxies.

    Raises:
        ModelError: a proxy of the environment cannot be used.
    """
    token = HUBS[hub].token
    headers = {"User-Agent": "kb", "Accept-Encoding": "identity"}
    if token:
        headers["Authorization"] = f"Bearer {token}"
    try:
        return httpx.Client(headers=headers, follow_redirects=True, max_redirects=5, timeout=_TIMEOUT)
    except (ImportError, ValueError) as error:  # a SOCKS proxy without its package, or an unknown scheme
        raise ModelError(f"cannot use the proxy in the environment: {error}; unset ALL_PROXY, or correct it") from error


def list_files(client: httpx.Client, hub: str, repo: str, revision: str | None) -> Listing:
    """Return the files of a model at a hub.

    Args:
        client: from `client_for`.
        hub: one of `HUBS`.
        repo: the model's id there, OWNER/NAME.
        revision: a branch, tag or commit; None for the newest.

    Raises:
        UsageError: the id is malformed.
        ModelError: the hub cannot be reached, or has no such model.
    """
    if not _ID.fullmatch(repo) or ".." in repo:
        raise UsageError(f"{repo!r} is not a model id; write OWNER/NAME")
    asked = HUBS[hub]
    host = urlsplit(asked.address).netloc
    try:
        listing = asked.read(client, asked.address, repo, revision or asked.branch)
    except httpx.HTTPStatusError as error:
        raise explain_status(error.response, f"{repo} at revision {revision}" if revision else repo) from error
    except httpx.HTTPError as error:
        raise ModelError(
            f"cannot reach {host}: {error or type(error).__name__}; check the network, {_alternative(hub)}"
        ) from error
    except httpx.InvalidURL as error:
        raise UsageError(
            f"{asked.endpoint_variable} is not a valid address: {error}; correct it or unset it"
        ) from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ModelError(f"{host} does not answer like a model hub; check {asked.endpoint_variable}") from error
    for file in listing.files:
        if not _is_inside(file.path):
            raise ModelError(
                f"{host} lists the unsafe path {file.path!r} for {repo}; nothing was downloaded, do not trust this hub"
            )
    return listing


def explain_status(response: httpx.Response, what: str) -> ModelError:
    """Return the error that a hub's HTTP status means for the model or file `what`."""
    host, status = response.url.netloc.decode(), response.status_code
    if status in (401, 403):
        tokens = " or ".join(hub.token_variable for hub in HUBS.values())
        return ModelError(
            f"{host} refuses {what} ({status}): it does not exist, is private, or its terms must be accepted on the "
            f"site first; check the name, and set {tokens} to your access token"
        )
    if status == 404:
        return ModelError(f"{host} has no {what}; check the name, or try another --from or --revision")
    if status == 429:
        return ModelError(f"{host} is limiting requests (429); run the command again later")
    return ModelError(f"{host} failed to send {what} ({status}); run the command again later")


def _hugging_face(client: httpx.Client, address: str, repo: str, revision: str) -> Listing:
    answer = _json(client, f"{address}/api/models/{repo}/revision/{quote(revision, safe='')}?blobs=true")
    commit = str(answer["sha"])
    found = []
    for listed in answer["siblings"]:
        lfs = listed.get("lfs") or {}
        path = str(listed["rfilename"])
        found.append(
            RemoteFile(
                path=path,
                url=f"{address}/{repo}/resolve/{quote(commit, safe='')}/{quote(path)}",
                size=int(lfs.get("size", listed["size"])),
                sha256=_matching(_SHA256, lfs.get("sha256")),
                git_sha1=None if lfs else _matching(_SHA1, listed.get("blobId")),
            )
        )
    return Listing(f"{address}/{repo}", commit, tuple(found))


def _model_scope(client: httpx.Client, address: str, repo: str, revision: str) -> Listing:
    base = f"{address}/api/v1/models/{repo}/repo"
    answer = _json(client, f"{base}/files?{urlencode({'Revision': revision, 'Recursive': 'True'})}")
    found = []
    for listed in answer["Data"]["Files"]:
        if listed.get("Type") == "tree":
            continue
        path = str(listed["Path"])
        url = f"{base}?{urlencode({'Revision': revision, 'FilePath': path})}"
        found.append(RemoteFile(path, url, int(listed["Size"]), _matching(_SHA256, listed.get("Sha256")), None))
    return Listing(f"{address}/models/{repo}", revision, tuple(found))


def _huggingface_login() -> str | None:
    from huggingface_hub import get_token

    return get_token()


HUBS = {
    "hf": _Hub("HF_ENDPOINT", "https://huggingface.co", "HF_TOKEN", "main", _hugging_face, _huggingface_login),
    "modelscope": _Hub("MODELSCOPE_ENDPOINT", "https://modelscope.cn", "MODELSCOPE_API_TOKEN", "master", _model_scope),
}


def _json(client: httpx.Client, url: str) -> Any:
    response = client.get(url)
    response.raise_for_status()
    return response.json()


def _matching(pattern: re.Pattern[str], value: object) -> str | None:
    text = str(value or "").lower()
    return text if pattern.fullmatch(text) else None


def _is_inside(path: str) -> bool:
    parts = path.split("/")
    return not any(part in ("", ".", "..") or "\\" in part or ":" in part or "\0" in part for part in parts)


def _alternative(hub: str) -> str:
    other = next(name for name in HUBS if name != hub)
    return f"set {HUBS[hub].endpoint_variable} to a mirror, or try --from {other}"
