"""Sessions of logged-in users, and a limit on how fast passwords can be tried.

A session is a signed text in a cookie. The signing key is made when the server starts and
never stored, so a restart ends all sessions.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Mapping

__all__ = ["Sessions", "Throttle"]

_MAX_REMEMBERED = 10_000


class Sessions:
    """Creates sessions and verifies them."""

    def __init__(self, seconds: float) -> None:
        """Take how long a session lasts."""
        self.seconds = seconds
        self._key = secrets.token_bytes(32)
        self._ended: OrderedDict[str, float] = OrderedDict()

    def begin(self, user: str, password_hash: str) -> str:
        """Return a new session of a user; it also ends when the password changes."""
        claims = [user, _fingerprint(password_hash), time.time() + self.seconds, secrets.token_hex(16)]
        payload = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode()
        return f"{payload}.{self._signature(payload)}"

    def user(self, session: str, users: Mapping[str, str]) -> str | None:
        """Return the user of a session, or None if it is forged or has ended."""
        claims = self._claims(session)
        if claims is None:
            return None
        user, fingerprint, expires_s, number = claims
        if user not in users or fingerprint != _fingerprint(users[user]) or time.time() > expires_s:
            return None
        return None if number in self._ended else str(user)

    def end(self, session: str) -> None:
        """End a session before it expires."""
        if claims := self._claims(session):
            self._ended[claims[3]] = claims[2]
        while self._ended and next(iter(self._ended.values())) < time.time():
            self._ended.popitem(last=False)

    def _claims(self, session: str) -> tuple[str, str, float, str] | None:
        payload, _, signature = session.partition(".")
        if not hmac.compare_digest(signature.encode(), self._signature(payload).encode()):
            return None
        user, fingerprint, expires_s, number = json.loads(base64.urlsafe_b64decode(payload))
        return user, fingerprint, expires_s, number

    def _signature(self, payload: str) -> str:
        return hmac.new(self._key, payload.encode(), hashlib.sha256).hexdigest()


def _fingerprint(password_hash: str) -> str:
    return hashlib.sha256(password_hash.encode()).hexdigest()[:16]


class Throttle:
    """Makes a client wait after wrong passwords, twice as long each time."""

    def __init__(self, free: int, longest_s: float) -> None:
        """Take how many attempts are free, and the longest wait."""
        self._free = free
        self._longest_s = longest_s
        self._attempts: OrderedDict[str, tuple[int, float]] = OrderedDict()
        self._lock = threading.Lock()

    def admit(self, client: str) -> float:
        """Count an attempt and return 0; or return the seconds still to wait if it comes too early."""
        with self._lock:
            count, blocked_until = self._attempts.get(client, (0, 0.0))
            now = time.monotonic()
            if now < blocked_until:
                return blocked_until - now
            if now > blocked_until + self._longest_s:
                count = 0
            count += 1
            wait_s = min(self._longest_s, 2.0 ** min(60, count - self._free)) if count >= self._free else 0.0
            self._attempts[client] = (count, now + wait_s)
            self._attempts.move_to_end(client)
            while len(self._attempts) > _MAX_REMEMBERED:
                self._attempts.popitem(last=False)
            return 0.0

    def forgive(self, client: str, *, all_attempts: bool) -> None:
        """Uncount an attempt that was right, or all attempts."""
        with self._lock:
            count, _ = self._attempts.pop(client, (0, 0.0))
            if count > 1 and not all_attempts:
                self._attempts[client] = (count - 1, time.monotonic())
