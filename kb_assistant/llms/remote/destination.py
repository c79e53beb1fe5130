"""Tells where a server is: on this machine, or elsewhere, so that what is asked leaves this machine."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from pathlib import Path
from typing import Self
from urllib.parse import SplitResult, urlsplit
from urllib.request import getproxies, proxy_bypass

from kb_assistant.errors import SettingsError

__all__ = ["Destination", "read_key"]

_LONGEST_KEY = 4_096


@dataclass(frozen=True)
class Destination:
    """The server behind a base URL.

    Attributes:
        url: the base URL, without a slash at its end.
        host: its host, with the port where one is given.
        on_this_machine: whether it is a loopback address.
        encrypted: whether it is asked over https.
    """

    url: str
    host: str
    on_this_machine: bool
    encrypted: bool

    @classmethod
    def of(cls, base_url: str) -> Self:
        """Read a base URL; nothing is looked up or connected to.

        Raises:
            SettingsError: it is none, or carries a user name, a query or a fragment.
        """
        url = base_url.strip().rstrip("/")
        try:
            parts = urlsplit("" if any(not sign.isprintable() or sign.isspace() for sign in url) else url)
            name, port = parts.hostname or "", parts.port
        except ValueError:
            parts, name, port = SplitResult("", "", "", "", ""), "", None
        if parts.scheme not in ("http", "https") or not name:
            raise SettingsError(
                "base_url is not the address of a server; write it as http://HOST:PORT/v1 or https://HOST/v1"
            )
        # Not shown, since they may be secrets.
        if "@" in parts.netloc or parts.query or parts.fragment:
            raise SettingsError(
                "base_url holds more than an address; take out user, password, ? and #; see api_key_file"
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
        """The host of the proxy that the environment names for this server; None where there is none.

        A server on this machine is never asked through one, which would take what is asked elsewhere.
        """
        proxies = getproxies()
        found = proxies.get("https" if self.encrypted else "http") or proxies.get("all")
        if self.on_this_machine or not found or proxy_bypass(self.host):
            return None
        return urlsplit(found if "://" in found else f"//{found}").hostname


def read_key(file: Path) -> str:
    """Return the key that a file holds.

    Raises:
        SettingsError: it cannot be read, others may read it too, or it does not hold a key.
    """
    import os

    try:
        with file.open("rb") as stream:
            mode = os.fstat(stream.fileno()).st_mode & 0o777
            content = stream.read(_LONGEST_KEY + 1)
    except OSError as error:
        raise SettingsError(f"cannot read api_key_file {file}: {error.strerror}; correct the setting") from error
    if os.name == "posix" and mode & 0o077:  # Windows has no such mode
        raise SettingsError(f"api_key_file {file} can be read by others (mode {mode:o}); run: chmod 600 {file}")
    return checked_key(content.decode("ascii", errors="replace"), f"api_key_file {file}")


def checked_key(text: str, where: str) -> str:
    """Return a key without the blanks around it.

    Raises:
        SettingsError: there is none, or no header can carry it; the message does not show it.
    """
    key = text.strip()
    if not key or len(key) > _LONGEST_KEY or not (key.isascii() and key.isprintable()) or " " in key:
        raise SettingsError(f"{where} does not hold a key: one word of letters, digits and signs on one line")
    return key


def _is_loopback(name: str) -> bool:
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False
