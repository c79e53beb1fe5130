"""Tells whether a server is on this machine, or whether questions leave it; reads its API key."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from pathlib import Path
from typing import Self
from urllib.parse import SplitResult, urlsplit
from urllib.request import getproxies, proxy_bypass

from kb_assistant.errors import SettingsError

__all__ = ["Destination", "check_key", "read_key"]

_MAX_KEY_CHARACTERS = 4_096


@dataclass(frozen=True)
class Destination:
    """The server behind a base URL.

    Attributes:
        url: the base URL, without a trailing slash.
        host: its host, with the port if given.
        on_this_machine: whether the host is a loopback address.
        encrypted: whether it uses https.
    """

    url: str
    host: str
    on_this_machine: bool
    encrypted: bool

    @classmethod
    def of(cls, base_url: str) -> Self:
        """Parse a base URL; nothing is looked up or connected to.

        Raises:
            SettingsError: it is not a URL, or contains a user name, a query or a fragment.
        """
        url = base_url.strip().rstrip("/")
        try:
            parts = urlsplit("" if any(not sign.isprintable() or sign.isspace() for sign in url) else url)
            name, port = parts.hostname or "", parts.port
        except ValueError:
            parts, name, port = SplitResult("", "", "", "", ""), "", None
        if parts.scheme not in ("http", "https") or not name:
            raise SettingsError("base_url is not a server address; write it as http://HOST:PORT/v1 or https://HOST/v1")
        # Not shown, since they may be secrets.
        if "@" in parts.netloc or parts.query or parts.fragment:
            raise SettingsError(
                "base_url contains a user, password, ? or #; remove them, and set api_key_file for a key"
            )
        shown = f"[{name}]" if ":" in name else name
        return cls(
            url=url,
            host=shown if port is None else f"{shown}:{port}",
            on_this_machine=_is_loopback(name),
            encrypted=parts.scheme == "https",
        )

    @property
    def proxy(self) -> str | None:
        """The host of the proxy that the environment names for this server, if any.

        Requests to this machine never use a proxy, which would carry them elsewhere.
        """
        proxies = getproxies()
        found = proxies.get("https" if self.encrypted else "http") or proxies.get("all")
        if self.on_this_machine or not found or proxy_bypass(self.host):
            return None
        return urlsplit(found if "://" in found else f"//{found}").hostname


def read_key(file: Path) -> str:
    """Return the API key in a file.

    Raises:
        SettingsError: the file cannot be read, other users can read it, or it holds no key.
    """
    import os

    try:
        with file.open("rb") as stream:
            mode = os.fstat(stream.fileno()).st_mode & 0o777
            content = stream.read(_MAX_KEY_CHARACTERS + 1)
    except OSError as error:
        raise SettingsError(f"cannot read api_key_file {file}: {error.strerror}; correct the setting") from error
    if os.name == "posix" and mode & 0o077:  # Windows has no such mode
        raise SettingsError(f"api_key_file {file} is readable by other users (mode {mode:o}); run: chmod 600 {file}")
    return check_key(content.decode("ascii", errors="replace"), f"api_key_file {file}")


def check_key(text: str, where: str) -> str:
    """Return a key without surrounding blanks.

    Raises:
        SettingsError: it is empty or cannot be sent in a header; the message does not show it.
    """
    key = text.strip()
    if not key or len(key) > _MAX_KEY_CHARACTERS or not (key.isascii() and key.isprintable()) or " " in key:
        raise SettingsError(f"{where} does not hold a key; a key is one word of ASCII letters, digits and signs")
    return key


def _is_loopback(name: str) -> bool:
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False
