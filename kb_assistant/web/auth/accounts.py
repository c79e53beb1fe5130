"""Who may use `kb serve`: users with passwords and programs with keys, in KB_HOME/users.toml.

Passwords are kept as scrypt hashes, keys as SHA-256 of what is random anyway. Without any of
them everyone on this machine may, and nobody from elsewhere.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import secrets
import threading
import tomllib
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from filelock import FileLock

from kb_assistant.errors import SettingsError, UsageError

__all__ = ["LONGEST_NAME", "Accounts", "Known"]

_FILE = "users.toml"
_SHORTEST, _LONGEST = 8, 1_000
LONGEST_NAME = 64
# What OWASP's password storage cheat sheet recommends for scrypt with 32 MB.
_N, _R, _P = 1 << 15, 8, 3
_MEMORY_BYTES = 64 << 20
_KEY_BEGINS = "kb-"
_hashing = threading.BoundedSemaphore(2)
"""Each hash takes 32 MB: who tries many passwords at once shall not take all there is."""


@dataclass(frozen=True, slots=True)
class Known:
    """Users with their passwords' hashes, and keys' names with theirs."""

    users: Mapping[str, str] = field(default_factory=dict)
    keys: Mapping[str, str] = field(default_factory=dict)

    def __bool__(self) -> bool:
        """Whether there is anybody."""
        return bool(self.users or self.keys)


class Accounts:
    """The accounts of one home; what another process changes is seen at once."""

    def __init__(self, home: Path) -> None:
        """Name the home folder."""
        self._path = home / _FILE
        self._seen: tuple[int, int, int] | None = None
        self._known = Known()
        # A hash of nothing, to be compared with where a user is not known.
        self._unknown_user = f"scrypt${_N}${_R}${_P}${secrets.token_hex(16)}${secrets.token_hex(32)}"

    def known(self) -> Known:
        """Return who is known now.

        Raises:
            SettingsError: the file cannot be read, or others may read it.
        """
        try:
            status = self._path.stat()
            seen = (status.st_ino, status.st_mtime_ns, status.st_size)
            if seen != self._seen:
                if os.name != "nt" and status.st_mode & 0o077:
                    raise SettingsError(f"others may read {self._path}; run: chmod 600 {self._path}")
                values = tomllib.loads(self._path.read_text(encoding="utf-8"))
                self._known = Known(_texts(values, "users"), _texts(values, "keys"))
                self._seen = seen
        except FileNotFoundError:
            self._known, self._seen = Known(), None
        except (OSError, ValueError) as error:
            raise SettingsError(f"cannot read {self._path}: {error}; correct it or move it away") from error
        return self._known

    def add_user(self, name: str, password: str) -> None:
        """Add a user, or give a known one another password, which ends their sessions.

        Raises:
            UsageError: the name or password cannot be taken.
            SettingsError: the file cannot be read or written.
        """
        checked = _name(name)
        if not _SHORTEST <= len(password) <= _LONGEST:
            raise UsageError(f"a password has {_SHORTEST} to {_LONGEST:,} characters; choose another")
        hashed = _hash(password)
        self._change(lambda known: replace(known, users={**known.users, checked: hashed}))

    def remove_user(self, name: str) -> str:
        """Remove a user, which ends their sessions, and return the name as it was kept.

        Raises:
            UsageError: there is none of that name.
        """
        checked = unicodedata.normalize("NFC", name)
        self._change(lambda known: replace(known, users=_without(known.users, checked, "user")))
        return checked

    def add_key(self, name: str) -> str:
        """Add a key for a program, and return it; only its hash is kept.

        Raises:
            UsageError: the name cannot be taken, or has a key.
        """
        checked = _name(name)
        key = _KEY_BEGINS + secrets.token_urlsafe(32)

        def change(known: Known) -> Known:
            if checked in known.keys:
                raise UsageError(f"there is a key {checked!r} already; remove it, or choose another name")
            return replace(known, keys={**known.keys, checked: _of_key(key)})

        self._change(change)
        return key

    def remove_key(self, name: str) -> None:
        """Remove a key.

        Raises:
            UsageError: there is none of that name.
        """
        checked = unicodedata.normalize("NFC", name)
        self._change(lambda known: replace(known, keys=_without(known.keys, checked, "key")))

    def password_holds(self, name: str, password: str) -> bool:
        """Return whether a user has that password; to say no to an unknown one takes as long."""
        stored = self.known().users.get(unicodedata.normalize("NFC", name))
        holds = _holds(stored or self._unknown_user, password[:_LONGEST])
        return holds and stored is not None

    def key_name(self, key: str) -> str | None:
        """Return the name of a key, or None if it is none."""
        offered = _of_key(key)
        found = None
        for name, stored in self.known().keys.items():  # all of them, whichever it is
            if hmac.compare_digest(offered, stored):
                found = name
        return found

    def _change(self, change: Callable[[Known], Known]) -> None:
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with FileLock(f"{self._path}.lock"):
                text = _as_toml(change(self.known()))
                _replace(self._path, text)
        except OSError as error:
            raise SettingsError(f"cannot write {self._path}: {error.strerror}; allow it there") from error


def _replace(path: Path, text: str) -> None:
    """Write a new file that only its owner may read, and put it in the place of `path`."""
    new = path.with_name(f"{path.name}.new")
    new.unlink(missing_ok=True)
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(text.encode())
            stream.flush()
            os.fsync(descriptor)
        new.replace(path)
    except BaseException:
        new.unlink(missing_ok=True)
        raise


def _as_toml(known: Known) -> str:
    lines = ["# Who may use kb serve. Made by kb user and kb key; nobody else is to read it."]
    for table, entries in (("users", known.users), ("keys", known.keys)):
        lines.append(f"\n[{table}]")
        # A JSON string is a TOML string, and names hold nothing that one writes otherwise than the other.
        lines += [f"{json.dumps(name, ensure_ascii=False)} = {json.dumps(entries[name])}" for name in sorted(entries)]
    return "\n".join(lines) + "\n"


def _texts(values: Mapping[str, object], table: str) -> dict[str, str]:
    entries = values.get(table, {})
    if not isinstance(entries, dict) or not all(isinstance(value, str) for value in entries.values()):
        raise ValueError(f"[{table}] holds something else than names and hashes")
    return entries


def _name(name: str) -> str:
    composed = unicodedata.normalize("NFC", name)
    # A colon is kept for what stands for a key where a user's name would.
    if not (0 < len(composed) <= LONGEST_NAME and composed.isprintable() and composed == composed.strip()) or (
        ":" in composed
    ):
        raise UsageError(
            f"{name!r} cannot be a name; use 1 to {LONGEST_NAME} visible characters, no colon, no space at its ends"
        )
    return composed


def _without(entries: Mapping[str, str], name: str, kind: str) -> dict[str, str]:
    if name not in entries:
        known = ", ".join(sorted(entries)) or "none"
        raise UsageError(f"no {kind} {name!r}; there are: {known}")
    return {one: value for one, value in entries.items() if one != name}


def _of_key(key: str) -> str:
    return hashlib.sha256(key.encode(errors="surrogatepass")).hexdigest()


def _hash(password: str) -> str:
    salt = secrets.token_bytes(16)
    return f"scrypt${_N}${_R}${_P}${salt.hex()}${_scrypt(password, salt, _N, _R, _P).hex()}"


def _holds(stored: str, password: str) -> bool:
    try:
        kind, n, r, p, salt, expected = stored.split("$")
        if kind != "scrypt":
            raise ValueError(f"unknown hash {kind}")
        found = _scrypt(password, bytes.fromhex(salt), int(n), int(r), int(p))
        return hmac.compare_digest(found, bytes.fromhex(expected))
    except ValueError as error:
        raise SettingsError(f"a password's hash in {_FILE} is broken; run kb user add again for it") from error


def _scrypt(password: str, salt: bytes, n: int, r: int, p: int) -> bytes:
    given = unicodedata.normalize("NFC", password).encode(errors="surrogatepass")
    with _hashing:
        return hashlib.scrypt(given, salt=salt, n=n, r=r, p=p, maxmem=_MEMORY_BYTES, dklen=32)
