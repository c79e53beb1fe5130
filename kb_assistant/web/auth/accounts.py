"""The users and API keys of `kb serve`, in KB_HOME/users.toml.

Passwords are stored as scrypt hashes; keys are random already, so SHA-256 will do for them.
Without any account, the server is open to this machine and closed to all others.
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

__all__ = ["MAX_NAME_CHARACTERS", "Accounts", "Credentials"]

_FILE = "users.toml"
_MIN_PASSWORD, _MAX_PASSWORD = 8, 1_000
MAX_NAME_CHARACTERS = 64
# From OWASP's password storage cheat sheet: scrypt with 32 MB.
_N, _R, _P = 1 << 15, 8, 3
_MEMORY_BYTES = 64 << 20
_KEY_PREFIX = "kb-"
_hashing = threading.BoundedSemaphore(2)
"""Each hash takes 32 MB, and many passwords tried at the same time must not exhaust the memory."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """Password hashes by user, and key hashes by the name of the key."""

    users: Mapping[str, str] = field(default_factory=dict)
    keys: Mapping[str, str] = field(default_factory=dict)

    def __bool__(self) -> bool:
        """Return whether there are any."""
        return bool(self.users or self.keys)


class Accounts:
    """The accounts of one home folder; changes by other processes take effect at once."""

    def __init__(self, home: Path) -> None:
        """Take the home folder."""
        self._path = home / _FILE
        self._version: tuple[int, int, int] | None = None
        self._credentials = Credentials()
        # Compared with for unknown users, so that they take as long to refuse as known ones.
        self._no_password = f"scrypt${_N}${_R}${_P}${secrets.token_hex(16)}${secrets.token_hex(32)}"

    def credentials(self) -> Credentials:
        """Return the current users and keys.

        Raises:
            SettingsError: the file cannot be read, or other users of the machine can read it.
        """
        try:
            status = self._path.stat()
            version = (status.st_ino, status.st_mtime_ns, status.st_size)
            if version != self._version:
                if os.name != "nt" and status.st_mode & 0o077:
                    raise SettingsError(
                        f"other users of this machine can read {self._path}; run: chmod 600 {self._path}"
                    )
                values = tomllib.loads(self._path.read_text(encoding="utf-8"))
                self._credentials = Credentials(_texts(values, "users"), _texts(values, "keys"))
                self._version = version
        except FileNotFoundError:
            self._credentials, self._version = Credentials(), None
        except (OSError, ValueError) as error:
            raise SettingsError(f"cannot read {self._path}: {error}; correct the file or move it away") from error
        return self._credentials

    def add_user(self, name: str, password: str) -> None:
        """Add a user, or change an existing user's password, which ends their sessions.

        Raises:
            UsageError: the name or the password is not allowed.
            SettingsError: the file cannot be read or written.
        """
        valid = _validate_name(name)
        if not _MIN_PASSWORD <= len(password) <= _MAX_PASSWORD:
            raise UsageError(f"a password must have {_MIN_PASSWORD} to {_MAX_PASSWORD:,} characters; choose another")
        hashed = _hash_password(password)
        self._change(lambda current: replace(current, users={**current.users, valid: hashed}))

    def remove_user(self, name: str) -> str:
        """Remove a user, which ends their sessions, and return the name as it was stored.

        Raises:
            UsageError: no user has that name.
        """
        stored = unicodedata.normalize("NFC", name)
        self._change(lambda current: replace(current, users=_without(current.users, stored, "user")))
        return stored

    def add_key(self, name: str) -> str:
        """Add a key for a program, and return it; only its hash is stored.

        Raises:
            UsageError: the name is not allowed, or has a key already.
        """
        valid = _validate_name(name)
        key = _KEY_PREFIX + secrets.token_urlsafe(32)

        def change(current: Credentials) -> Credentials:
            if valid in current.keys:
                raise UsageError(f"there is a key {valid!r} already; remove it, or choose another name")
            return replace(current, keys={**current.keys, valid: _hash_key(key)})

        self._change(change)
        return key

    def remove_key(self, name: str) -> None:
        """Remove a key.

        Raises:
            UsageError: no key has that name.
        """
        stored = unicodedata.normalize("NFC", name)
        self._change(lambda current: replace(current, keys=_without(current.keys, stored, "key")))

    def check_password(self, name: str, password: str) -> bool:
        """Return whether a user has that password; an unknown user takes as long to refuse."""
        stored = self.credentials().users.get(unicodedata.normalize("NFC", name))
        matches = _matches(stored or self._no_password, password[:_MAX_PASSWORD])
        return matches and stored is not None

    def key_name(self, key: str) -> str | None:
        """Return the name of a key, or None for an unknown key."""
        offered = _hash_key(key)
        found = None
        for name, stored in self.credentials().keys.items():  # all of them, so the time tells nothing
            if hmac.compare_digest(offered, stored):
                found = name
        return found

    def _change(self, change: Callable[[Credentials], Credentials]) -> None:
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with FileLock(f"{self._path}.lock"):
                _write_private(self._path, _as_toml(change(self.credentials())))
        except OSError as error:
            raise SettingsError(f"cannot write {self._path}: {error.strerror}; make the folder writable") from error


def _write_private(path: Path, text: str) -> None:
    """Replace a file with a new one that only its owner can read."""
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


def _as_toml(credentials: Credentials) -> str:
    lines = ["# Users and keys of kb serve. Written by kb user and kb key; keep it private."]
    for table, entries in (("users", credentials.users), ("keys", credentials.keys)):
        lines.append(f"\n[{table}]")
        # JSON and TOML write a string of printable characters in the same way.
        lines += [f"{json.dumps(name, ensure_ascii=False)} = {json.dumps(entries[name])}" for name in sorted(entries)]
    return "\n".join(lines) + "\n"


def _texts(values: Mapping[str, object], table: str) -> dict[str, str]:
    entries = values.get(table, {})
    if not isinstance(entries, dict) or not all(isinstance(value, str) for value in entries.values()):
        raise ValueError(f"[{table}] must hold names and hashes only")
    return entries


def _validate_name(name: str) -> str:
    composed = unicodedata.normalize("NFC", name)
    # A colon marks keys: a program's requests carry the name key:NAME.
    if not (0 < len(composed) <= MAX_NAME_CHARACTERS and composed.isprintable() and composed == composed.strip()) or (
        ":" in composed
    ):
        raise UsageError(
            f"the name {name!r} is not allowed; use 1 to {MAX_NAME_CHARACTERS} printable characters, "
            "without colons, and without spaces at either end"
        )
    return composed


def _without(entries: Mapping[str, str], name: str, kind: str) -> dict[str, str]:
    if name not in entries:
        names = ", ".join(sorted(entries)) or "none"
        raise UsageError(f"no {kind} {name!r}; there are: {names}")
    return {other: value for other, value in entries.items() if other != name}


def _hash_key(key: str) -> str:
    return hashlib.sha256(key.encode(errors="surrogatepass")).hexdigest()


def _hash_password(password: str) -> str:
    salt = secrets.token_bytes(16)
    return f"scrypt${_N}${_R}${_P}${salt.hex()}${_scrypt(password, salt, _N, _R, _P).hex()}"


def _matches(stored: str, password: str) -> bool:
    try:
        kind, n, r, p, salt, expected = stored.split("$")
        if kind != "scrypt":
            raise ValueError(f"unknown hash {kind}")
        found = _scrypt(password, bytes.fromhex(salt), int(n), int(r), int(p))
        return hmac.compare_digest(found, bytes.fromhex(expected))
    except ValueError as error:
        raise SettingsError(
            f"a password hash in {_FILE} is damaged; set the password again with kb user add"
        ) from error


def _scrypt(password: str, salt: bytes, n: int, r: int, p: int) -> bytes:
    encoded = unicodedata.normalize("NFC", password).encode(errors="surrogatepass")
    with _hashing:
        return hashlib.scrypt(encoded, salt=salt, n=n, r=r, p=p, maxmem=_MEMORY_BYTES, dklen=32)
