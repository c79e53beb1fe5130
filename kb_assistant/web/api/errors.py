"""Errors of the HTTP API: all in one form, without paths and tracebacks."""

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
from kb_assistant.messages import translate
from kb_assistant.web.api.validation import explain_invalid
from kb_assistant.web.ui_texts import preferred_language

__all__ = [
    "ERRORS",
    "ErrorBody",
    "RequestError",
    "describe_error",
    "error_body",
    "handle_http_exception",
    "handle_invalid_request",
    "handle_known_error",
    "not_found_response",
]

_log = logging.getLogger(__name__)


class ErrorDetail(BaseModel):
    """What was wrong, in one line."""

    message: str
    type: str
    param: str | None = None
    code: str | None = None


class ErrorBody(BaseModel):
    """An error in the form that OpenAI's clients read."""

    error: ErrorDetail


ERRORS: dict[int | str, dict[str, Any]] = {
    400: {"model": ErrorBody, "description": "the request makes no sense"},
    404: {"model": ErrorBody, "description": "there is no such collection, document or ingest"},
    422: {"model": ErrorBody, "description": "a parameter is missing, unknown or has a wrong value"},
    503: {"model": ErrorBody, "description": "the store or the language model cannot be used"},
}


class RequestError(UsageError):
    """A request that cannot be carried out, with its HTTP status."""

    def __init__(self, status: int, code: str, message: str) -> None:
        """Take the HTTP status, a code for programs, and one line for people."""
        super().__init__(message)
        self.status = status
        self.code = code


def describe_error(error: Exception) -> tuple[int, dict[str, Any]]:
    """Return the status and the body for an error; a message that may name a path goes to the log only."""
    if isinstance(error, EmptyStoreError):
        return 404, error_body("no documents yet", "invalid_request_error", "empty")
    if isinstance(error, UnknownCollectionError):
        return 404, error_body(str(error), "invalid_request_error", "model_not_found")
    if isinstance(error, UnknownSourceError):
        message = "there is no such document; GET /api/sources lists them"
        return 404, error_body(message, "invalid_request_error", "not_found")
    if isinstance(error, EmptiedFolderError):
        message = (
            f"{error.folder.name} is {error.state} now, but {error.documents} of its documents are in the collection; "
            "nothing was changed; to delete them, send delete_missing"
        )
        return 400, error_body(message, "invalid_request_error", "emptied_folder")
    if isinstance(error, RequestError):
        return error.status, error_body(str(error), "invalid_request_error", error.code)
    if isinstance(error, UsageError) and not isinstance(error, SettingsError):
        return 400, error_body(str(error), "invalid_request_error", "invalid_value")
    if isinstance(error, Cancelled):
        return 503, error_body("the server is stopping", "server_error", "stopped")
    _log.error("%s: %s", type(error).__name__, error)
    message = "the store or the language model cannot be used; see the server's log"
    return 503, error_body(message, "server_error", "unavailable")


def error_body(message: str, kind: str, code: str, param: str | None = None) -> dict[str, Any]:
    """Return the body of an error."""
    return {"error": {"message": message, "type": kind, "param": param, "code": code}}


def handle_known_error(request: Request, error: Exception) -> JSONResponse:
    """Answer a request that raised an error of kb's or of its store's."""
    status, body = describe_error(error)
    return _response(request, body, status)


def handle_invalid_request(request: Request, error: Exception) -> JSONResponse:
    """Answer a request with a parameter that is missing, unknown or wrong."""
    assert isinstance(error, RequestValidationError)
    message, parameter = explain_invalid(error.errors()[0])
    return _response(request, error_body(message, "invalid_request_error", "invalid_request", parameter), 422)


def handle_http_exception(request: Request, error: Exception) -> JSONResponse:
    """Answer a request that FastAPI itself refused: its body is not UTF-8, for example."""
    assert isinstance(error, HTTPException)
    message = "the body cannot be read; send JSON in UTF-8" if error.status_code == 400 else str(error.detail)
    return _response(request, error_body(message, "invalid_request_error", "invalid_request"), error.status_code)


def not_found_response() -> JSONResponse:
    """Return the answer for a path or method that no route handles."""
    message = "no such path, or not with this method; /api/openapi.json lists them all"
    return JSONResponse(error_body(message, "invalid_request_error", "not_found"), 404)


def _response(request: Request, body: dict[str, Any], status: int) -> JSONResponse:
    """Return an error with its message in the language that a browser asks for; programs get English."""
    error = body["error"]
    message = translate(error["message"], preferred_language(request.headers))
    return JSONResponse({"error": {**error, "message": message}}, status)
