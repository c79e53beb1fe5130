"""Sessions of logged-in users, and how fast passwords may be tried.

A session is a signed text in a cookie. The key that signs is made when the server starts and
kept nowhere, so that a restart ends all sessions.
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

_MOST_REMEMBERED = 10_000


class Sessions:
    """Makes sessions and knows its own again."""

    def __init__(self, seconds: float) -> None:
        """Say how long a session lasts."""
        self.seconds = seconds
        self._key = secrets.token_bytes(32)
        self._ended: OrderedDict[str, float] = OrderedDict()

    def begin(self, user: str, password_hash: str) -> str:
        """Return a new session of a user; it ends with the password too."""
        claims = [user, _fingerprint(password_hash), time.time() + self.seconds, secrets.token_hex(16)]
        payload = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode()
        return f"{payload}.{self._signature(payload)}"

    def user(self, session: str, users: Mapping[str, str]) -> str | None:
        """Return whose session it is, or None if it is not one, or over."""
        claims = self._claims(session)
        if claims is None:
            return None
        user, fingerprint, until, number = claims
        if user not in users or fingerprint != _fingerprint(users[user]) or time.time() > until:
            return None
        return None if number in self._ended else str(user)

    def end(self, session: str) -> None:
        """End a session before its time."""
        if claims := self._claims(session):
            self._ended[claims[3]] = claims[2]
        while self._ended and next(iter(self._ended.values())) < time.time():
            self._ended.popitem(last=False)

    def _claims(self, session: str) -> tuple[str, str, float, str] | None:
        payload, _, signature = session.partition(".")
        if not hmac.compare_digest(signature.encode(), self._signature(payload).encode()):
            return None
        user, fingerprint, until, number = json.loads(base64.urlsafe_b64decode(payload))
        return user, fingerprint, until, number

    def _signature(self, payload: str) -> str:
        return hmac.new(self._key, payload.encode(), hashlib.sha256).hexdigest()


def _fingerprint(password_hash: str) -> str:
    return hashlib.sha256(password_hash.encode()).hexdigest()[:16]


class Throttle:
    """Makes whoever gives wrong passwords wait, twice as long each time."""

    def __init__(self, free: int, longest_s: float) -> None:
        """Say how many tries are free, and the longest wait."""
        self._free = free
        self._longest_s = longest_s
        self._tries: OrderedDict[str, tuple[int, float]] = OrderedDict()
        self._lock = threading.Lock()

    def begin(self, who: str) -> float:
        """Count a try, and return 0; or, where it comes too early, the seconds still to wait."""
        with self._lock:
            count, until = self._tries.get(who, (0, 0.0))
            now = time.monotonic()
            if now < until:
                return until - now
            if now > until + self._longest_s:
                count = 0
            count += 1
            wait_s = min(self._longest_s, 2.0 ** min(60, count - self._free)) if count >= self._free else 0.0
            self._tries[who] = (count, now + wait_s)
            self._tries.move_to_end(who)
            while len(self._tries) > _MOST_REMEMBERED:
                self._tries.popitem(last=False)
            return 0.0

    def forgive(self, who: str, *, all_of_it: bool) -> None:
        """Take back a try that was right, or all tries."""
        with self._lock:
            count, _ = self._tries.pop(who, (0, 0.0))
            if count > 1 and not all_of_it:
                self._tries[who] = (count - 1, time.monotonic())
