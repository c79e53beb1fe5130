"""What can go wrong with an OpenAI-compatible server, each in one line."""

from __future__ import annotations

import json
import socket
import ssl
from collections.abc import Iterator
from dataclasses import dataclass

import openai

from kb_assistant.errors import ModelError
from kb_assistant.llms.remote.destination import Destination

__all__ = ["Trouble", "may_pass"]

_LONGEST_MESSAGE = 200
_PASSING_STATUS = frozenset({429, 500, 502, 503, 504})


@dataclass(frozen=True)
class Trouble:
    """Turns the client's errors into `ModelError`s that name the server; `key` is kept out of all of them."""

    server: Destination
    model: str
    timeout_s: float
    key: str | None

    def explained(self, error: Exception, served: tuple[str, ...] | None = None) -> ModelError:
        """Return what happened, in words.

        Args:
            error: what the client raised.
            served: the models that the server lists; None where it was not asked or did not say.
        """
        if isinstance(error, openai.APITimeoutError):
            reason = f"said nothing for {self.timeout_s:g} s; try again, or raise request_timeout_s"
        elif isinstance(error, openai.APIConnectionError):
            reason = _connection(error)
        elif isinstance(error, openai.APIStatusError):
            reason = self._status(error, served)
        elif isinstance(error, openai.APIError):  # an error in the middle of a stream
            reason = f"broke off with an error: {self._said(error)}; try again"
        elif isinstance(error, json.JSONDecodeError):
            reason = "sent what is not JSON; check that base_url is that of an OpenAI-compatible API"
        else:
            reason = f"sent what an OpenAI-compatible API does not ({type(error).__name__}); check base_url"
        return self.of(reason)

    def of(self, reason: str) -> ModelError:
        """Return an error that names the server, and says this of it."""
        return ModelError(f"the server {self.server.host} {reason}")

    def _status(self, error: openai.APIStatusError, served: tuple[str, ...] | None) -> str:
        status, said = error.status_code, self._said(error)
        if status in (401, 403):
            given = "does not accept the key" if self.key else "wants a key"
            return f"{given} ({status}); put it into KB_API_KEY, or a file of mode 600 that api_key_file names"
        if status == 404 and served is not None and self.model not in served:
            return f"has no model {self.model!r}; it serves: {', '.join(served) or 'none'}; set model to one"
        if status == 404:
            return "has no chat completions at that address (404); base_url most often ends in /v1"
        if 300 <= status < 400:
            place = error.response.headers.get("location", "elsewhere")
            return f"redirects to {self._safe(place)}, which is not followed; if that is right, set base_url to it"
        if status == 429:
            return f"takes no more requests for now (429: {said}); try again later"
        if status >= 500:
            return f"has failed ({status}: {said}); try again, or look into its log"
        return f"refuses the request ({status}: {said}); correct the settings it names"

    def _said(self, error: openai.APIError) -> str:
        body = error.body
        if isinstance(body, dict):
            body = body.get("error", body)
        said = body.get("message", body) if isinstance(body, dict) else body or error.message
        return self._safe(str(said))

    def _safe(self, text: str) -> str:
        """One short line without the key, which a server may repeat."""
        words = " ".join(text.replace(self.key, "…").split() if self.key else text.split())
        return words if len(words) <= _LONGEST_MESSAGE else words[:_LONGEST_MESSAGE] + "…"


def may_pass(error: Exception) -> bool:
    """Return whether asking again at once may help: the server was not there, overloaded or starting.

    Not after a time-out: a slow server would be given the same work a second time.
    """
    if isinstance(error, openai.APIStatusError):
        return error.status_code in _PASSING_STATUS
    if isinstance(error, openai.APITimeoutError) or not isinstance(error, openai.APIConnectionError):
        return False
    return not any(isinstance(cause, (socket.gaierror, ssl.SSLError)) for cause in _causes(error))


def _connection(error: Exception) -> str:
    causes = list(_causes(error))
    if any(isinstance(cause, socket.gaierror) for cause in causes):
        return "is not known by that name; check base_url, or the network"
    if any(isinstance(cause, ConnectionRefusedError) for cause in causes):
        return "is not running: the connection was refused; start it, or check base_url"
    if problem := next((cause for cause in causes if isinstance(cause, ssl.SSLError)), None):
        return f"cannot be trusted: {getattr(problem, 'verify_message', '') or problem.reason}; check base_url"
    if any("proxy" in type(cause).__name__.lower() for cause in causes):
        return "cannot be reached through the proxy of the environment; check HTTPS_PROXY and NO_PROXY"
    words = next((str(cause) for cause in causes[1:] if str(cause)), "no answer")
    return f"broke the connection ({words}); try again, or look into its log"


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """The error and all that led to it, those in groups too."""
    while error is not None:
        yield error
        if isinstance(error, BaseExceptionGroup):
            for one in error.exceptions:
                yield from _causes(one)
        error = error.__cause__ or error.__context__
