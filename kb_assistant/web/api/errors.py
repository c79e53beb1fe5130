"""Errors of the HTTP API: one form for all, in which no path and no traceback stands."""

from __future__ import annotations

import logging
from typing import Any

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from starlette.exceptions import HTTPException

from kb_assistant.errors import (
    Cancelled,
    EmptiedFolderError,
    EmptyStoreError,
    SettingsError,
    UnknownCollectionError,
    UnknownSourceError,
    UsageError,
)

__all__ = [
    "ERRORS",
    "ErrorBody",
    "RequestError",
    "error_body",
    "judged",
    "malformed",
    "not_found_response",
    "refused",
    "unreadable",
]

_log = logging.getLogger(__name__)


class ErrorDetail(BaseModel):
    """What was wrong, in one line."""

    message: str
    type: str
    param: str | None = None
    code: str | None = None


class ErrorBody(BaseModel):
    """An error as OpenAI's clients read it."""

    error: ErrorDetail


ERRORS: dict[int | str, dict[str, Any]] = {
    400: {"model": ErrorBody, "description": "what was asked cannot be meant"},
    404: {"model": ErrorBody, "description": "there is no such collection, document or ingest"},
    422: {"model": ErrorBody, "description": "the request has not the form it should have"},
    503: {"model": ErrorBody, "description": "the store or the language model cannot be used"},
}


class RequestError(UsageError):
    """A request that cannot be carried out, with the status that says so."""

    def __init__(self, status: int, code: str, message: str) -> None:
        """Take the HTTP status, a word for programs, and one line for people."""
        super().__init__(message)
        self.status = status
        self.code = code


def judged(error: Exception) -> tuple[int, dict[str, Any]]:
    """Return the status and the body for an error; what may name a path stays in the log."""
    if isinstance(error, EmptyStoreError):
        return 404, error_body("no documents yet", "invalid_request_error", "empty")
    if isinstance(error, UnknownCollectionError):
        return 404, error_body(str(error), "invalid_request_error", "model_not_found")
    if isinstance(error, UnknownSourceError):
        return 404, error_body(
            "there is no such document; /api/sources lists them", "invalid_request_error", "not_found"
        )
    if isinstance(error, EmptiedFolderError):
        message = (
            f"{error.folder.name} is {error.state} now, and {error.documents} documents from it are in the collection; "
            "nothing was changed; if they are to go, send delete_missing"
        )
        return 400, error_body(message, "invalid_request_error", "emptied_folder")
    if isinstance(error, RequestError):
        return error.status, error_body(str(error), "invalid_request_error", error.code)
    if isinstance(error, UsageError) and not isinstance(error, SettingsError):
        return 400, error_body(str(error), "invalid_request_error", "invalid_value")
    if isinstance(error, Cancelled):
        return 503, error_body("the server stops", "server_error", "stopped")
    _log.error("%s: %s", type(error).__name__, error)
    message = "the store or the language model cannot be used; the server's log says why"
    return 503, error_body(message, "server_error", "unavailable")


def error_body(message: str, kind: str, code: str, param: str | None = None) -> dict[str, Any]:
    """Return the body of an error."""
    return {"error": {"message": message, "type": kind, "param": param, "code": code}}


def refused(_: Request, error: Exception) -> JSONResponse:
    """Answer a request that raised an error of ours."""
    status, body = judged(error)
    return JSONResponse(body, status)


def malformed(_: Request, error: Exception) -> JSONResponse:
    """Answer a request that has not the form it should have."""
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"] if part != "body")
    message = f"{where}: {first['msg']}".removeprefix(": ")
    return JSONResponse(error_body(message, "invalid_request_error", "invalid_request", where or None), 422)


def unreadable(_: Request, error: Exception) -> JSONResponse:
    """Answer a request that FastAPI itself turned away, such as one whose body is not UTF-8."""
    assert isinstance(error, HTTPException)
    message = "the body cannot be read; send JSON in UTF-8" if error.status_code == 400 else str(error.detail)
    return JSONResponse(error_body(message, "invalid_request_error", "invalid_request"), error.status_code)


def not_found_response() -> JSONResponse:
    """Return the answer to what no route takes."""
    message = "there is no such path, or not with this method; /api/openapi.json has them all"
    return JSONResponse(error_body(message, "invalid_request_error", "not_found"), 404)
