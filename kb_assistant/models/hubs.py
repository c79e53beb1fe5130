"""What the model hubs have: a model's files with their sizes and checksums, at Hugging Face or ModelScope.

Asked for without huggingface_hub and modelscope: so there is one path for both hubs, on which every file is
checked (huggingface_hub compares sizes only), and what `privacy` has switched off stays off.
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

__all__ = ["HUBS", "Listing", "RemoteFile", "client_for", "list_files", "status_trouble"]

_ID = re.compile(r"[A-Za-z0-9_][\w.-]*/[A-Za-z0-9_][\w.-]*", re.ASCII)
_SHA256 = re.compile(r"[0-9a-f]{64}")
_SHA1 = re.compile(r"[0-9a-f]{40}")
_PATIENCE = httpx.Timeout(30.0, connect=10.0)


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """A file at a hub.

    Attributes:
        sha256: of its bytes; None where the hub gives only the other.
        git_sha1: what git calls it: the SHA-1 of "blob", its length, a zero byte, and its bytes.
    """

    path: str
    url: str
    size: int
    sha256: str | None
    git_sha1: str | None


@dataclass(frozen=True, slots=True)
class Listing:
    """A model's files at one revision; `revision` is the commit's id where the hub tells it."""

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

    @property
    def address(self) -> str:
        return (os.environ.get(self.endpoint_variable) or self.endpoint).rstrip("/")


def client_for(hub: str) -> httpx.Client:
    """Return a client for the hub, with the user's token where the environment has one.

    Redirects are followed, since the hubs keep large files elsewhere; the token goes to the hub alone.
    Proxies of the environment are used.

    Raises:
        ModelError: such a proxy is of a kind that cannot be used.
    """
    token = os.environ.get(HUBS[hub].token_variable, "").strip()
    headers = {"User-Agent": "kb", "Accept-Encoding": "identity"}
    if token:
        headers["Authorization"] = f"Bearer {token}"
    try:
        return httpx.Client(headers=headers, follow_redirects=True, max_redirects=5, timeout=_PATIENCE)
    except (ImportError, ValueError) as error:  # of the proxy: SOCKS without its package, or an unknown kind
        raise ModelError(
            f"the proxy of the environment cannot be used: {error}; unset ALL_PROXY, or correct it"
        ) from error


def list_files(client: httpx.Client, hub: str, repo: str, revision: str | None) -> Listing:
    """Ask a hub what files a model has.

    Args:
        client: from `client_for`.
        hub: one of `HUBS`.
        repo: the model's id there, OWNER/NAME.
        revision: a branch, tag or commit; None for the newest.

    Raises:
        UsageError: the id cannot be one.
        ModelError: the hub cannot be asked, or has no such model.
    """
    if not _ID.fullmatch(repo) or ".." in repo:
        raise UsageError(f"{repo!r} cannot be a model's id at a hub; write it as OWNER/NAME")
    there = HUBS[hub]
    host = urlsplit(there.address).netloc
    try:
        listing = there.read(client, there.address, repo, revision or there.branch)
    except httpx.HTTPStatusError as error:
        raise status_trouble(error.response, f"{repo} at revision {revision}" if revision else repo) from error
    except httpx.HTTPError as error:
        raise ModelError(
            f"cannot ask {host}: {error or type(error).__name__}; check the network, {_other(hub)}"
        ) from error
    except httpx.InvalidURL as error:
        raise UsageError(f"{there.endpoint_variable} is no address: {error}; correct it or unset it") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ModelError(f"{host} does not answer as a hub does; check {there.endpoint_variable}") from error
    for file in listing.files:
        if not _is_inside(file.path):
            raise ModelError(f"{host} lists a file {file.path!r} for {repo}, which is no plain path; do not trust it")
    return listing


def status_trouble(response: httpx.Response, what: str) -> ModelError:
    """Return what an HTTP status of a hub means for `what` was asked for."""
    host, status = response.url.netloc.decode(), response.status_code
    if status in (401, 403):
        tokens = " or ".join(hub.token_variable for hub in HUBS.values())
        return ModelError(
            f"{host} does not give out {what} ({status}): there is none, or it is private, or its terms have to be "
            f"accepted there; correct the name, or put a token of yours into {tokens}"
        )
    if status == 404:
        return ModelError(f"{host} has no {what}; correct the name, or take another --from or --revision")
    if status == 429:
        return ModelError(f"{host} takes no more requests for now (429); run the same again later")
    return ModelError(f"{host} has failed with {what} ({status}); run the same again later")


def _hugging_face(client: httpx.Client, address: str, repo: str, revision: str) -> Listing:
    answer = _json(client, f"{address}/api/models/{repo}/revision/{quote(revision, safe='')}?blobs=true")
    commit = str(answer["sha"])
    found = []
    for one in answer["siblings"]:
        lfs = one.get("lfs") or {}
        path = str(one["rfilename"])
        found.append(
            RemoteFile(
                path=path,
                url=f"{address}/{repo}/resolve/{quote(commit, safe='')}/{quote(path)}",
                size=int(lfs.get("size", one["size"])),
                sha256=_matching(_SHA256, lfs.get("sha256")),
                git_sha1=None if lfs else _matching(_SHA1, one.get("blobId")),
            )
        )
    return Listing(f"{address}/{repo}", commit, tuple(found))


def _model_scope(client: httpx.Client, address: str, repo: str, revision: str) -> Listing:
    base = f"{address}/api/v1/models/{repo}/repo"
    answer = _json(client, f"{base}/files?{urlencode({'Revision': revision, 'Recursive': 'True'})}")
    found = []
    for one in answer["Data"]["Files"]:
        if one.get("Type") == "tree":
            continue
        path = str(one["Path"])
        url = f"{base}?{urlencode({'Revision': revision, 'FilePath': path})}"
        found.append(RemoteFile(path, url, int(one["Size"]), _matching(_SHA256, one.get("Sha256")), None))
    return Listing(f"{address}/models/{repo}", revision, tuple(found))


HUBS = {
    "hf": _Hub("HF_ENDPOINT", "https://huggingface.co", "HF_TOKEN", "main", _hugging_face),
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


def _other(hub: str) -> str:
    other = next(name for name in HUBS if name != hub)
    return f"set {HUBS[hub].endpoint_variable} to a mirror, or try --from {other}"
