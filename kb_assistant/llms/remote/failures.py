"""Explains errors of an OpenAI-compatible server in one line each."""

from __future__ import annotations

import json
import socket
import ssl
from collections.abc import Iterator
from dataclasses import dataclass

import openai

from kb_assistant.errors import ModelError
from kb_assistant.llms.remote.destination import Destination

__all__ = ["Failures", "is_transient"]

_MAX_MESSAGE_CHARACTERS = 200
_TRANSIENT_STATUS = frozenset({429, 500, 502, 503, 504})


@dataclass(frozen=True)
class Failures:
    """Turns the client's errors into `ModelError`s that name the server and never show `key`."""

    server: Destination
    model: str
    timeout_s: float
    key: str | None

    def explain(self, error: Exception, served: tuple[str, ...] | None = None) -> ModelError:
        """Return the error in words.

        Args:
            error: what the client raised.
            served: the models that the server lists; None if unknown.
        """
        if isinstance(error, openai.APITimeoutError):
            reason = f"did not answer within {self.timeout_s:g} s; try again, or raise request_timeout_s"
        elif isinstance(error, openai.APIConnectionError):
            reason = _connection(error)
        elif isinstance(error, openai.APIStatusError):
            reason = self._status(error, served)
        elif isinstance(error, openai.APIError):  # an error in the middle of a stream
            reason = f"stopped with an error: {self._said(error)}; try again"
        elif isinstance(error, json.JSONDecodeError):
            reason = "sent something other than JSON; check that base_url is an OpenAI-compatible API"
        else:
            reason = f"sent an answer that is not OpenAI-compatible ({type(error).__name__}); check base_url"
        return self.error(reason)

    def error(self, reason: str) -> ModelError:
        """Return an error that names the server and gives `reason`."""
        return ModelError(f"the server {self.server.host} {reason}")

    def _status(self, error: openai.APIStatusError, served: tuple[str, ...] | None) -> str:
        status, said = error.status_code, self._said(error)
        if status in (401, 403):
            given = "rejects the API key" if self.key else "requires an API key"
            return f"{given} ({status}); set KB_API_KEY, or put the key into a file of mode 600 and set api_key_file"
        if status == 404 and served is not None and self.model not in served:
            return f"has no model {self.model!r}; it serves: {', '.join(served) or 'none'}; set model to one"
        if status == 404:
            return "has no chat completions at this address (404); base_url usually ends in /v1"
        if 300 <= status < 400:
            place = error.response.headers.get("location", "elsewhere")
            return f"redirects to {self._safe(place)}, which kb does not follow; if that is right, set base_url to it"
        if status == 429:
            return f"is limiting requests (429: {said}); try again later"
        if status >= 500:
            return f"failed ({status}: {said}); try again, or check its log"
        return f"rejects the request ({status}: {said}); correct the settings it names"

    def _said(self, error: openai.APIError) -> str:
        body = error.body
        if isinstance(body, dict):
            body = body.get("error", body)
        said = body.get("message", body) if isinstance(body, dict) else body or error.message
        return self._safe(str(said))

    def _safe(self, text: str) -> str:
        """Shorten to one line, without the key, which a server may repeat."""
        words = " ".join(text.replace(self.key, "…").split() if self.key else text.split())
        return words if len(words) <= _MAX_MESSAGE_CHARACTERS else words[:_MAX_MESSAGE_CHARACTERS] + "…"


def is_transient(error: Exception) -> bool:
    """Return whether a retry may help, because the server was unreachable, overloaded or starting.

    Never after a time-out: a slow server would get the same work twice.
    """
    if isinstance(error, openai.APIStatusError):
        return error.status_code in _TRANSIENT_STATUS
    if isinstance(error, openai.APITimeoutError) or not isinstance(error, openai.APIConnectionError):
        return False
    return not any(isinstance(cause, (socket.gaierror, ssl.SSLError)) for cause in _causes(error))


def _connection(error: Exception) -> str:
    causes = list(_causes(error))
    if any(isinstance(cause, socket.gaierror) for cause in causes):
        return "cannot be found by that name; check base_url and the network"
    if any(isinstance(cause, ConnectionRefusedError) for cause in causes):
        return "is not running: the connection was refused; start it, or check base_url"
    if problem := next((cause for cause in causes if isinstance(cause, ssl.SSLError)), None):
        return f"cannot be trusted: {getattr(problem, 'verify_message', '') or problem.reason}; check base_url"
    if any("proxy" in type(cause).__name__.lower() for cause in causes):
        return "cannot be reached through the proxy in the environment; check HTTPS_PROXY and NO_PROXY"
    words = next((str(cause) for cause in causes[1:] if str(cause)), "no answer")
    return f"closed the connection ({words}); try again, or check its log"


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """Yield the error and all its causes, including those in groups."""
    while error is not None:
        yield error
        if isinstance(error, BaseExceptionGroup):
            for member in error.exceptions:
                yield from _causes(member)
        error = error.__cause__ or error.__context__
