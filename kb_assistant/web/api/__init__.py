"""The HTTP API: OpenAI's chat, models and embeddings over the documents, and kb's own search, ask and documents."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from kb_assistant.errors import KbError
from kb_assistant.web.api.documents import collection_routes, document_routes
from kb_assistant.web.api.errors import (
    handle_http_exception,
    handle_invalid_request,
    handle_known_error,
    not_found_response,
)
from kb_assistant.web.api.jobs import IngestJobs
from kb_assistant.web.api.openai import openai_routes
from kb_assistant.web.api.prometheus import metrics_routes
from kb_assistant.web.api.questions import question_routes

if TYPE_CHECKING:
    from kb_assistant.assistant import Assistant
    from kb_assistant.web.running_answers import RunningAnswers

__all__ = ["add_api"]


def add_api(app: FastAPI, assistant: Assistant, answers: RunningAnswers) -> IngestJobs:
    """Add the API's routes and error handlers to a web application, and return its background ingests."""
    jobs = IngestJobs()
    app.include_router(openai_routes(assistant, answers))
    app.include_router(question_routes(assistant, answers))
    app.include_router(document_routes(assistant, jobs))
    app.include_router(collection_routes(assistant, jobs))
    app.include_router(metrics_routes(assistant))
    for prefix in ("/api", "/v1"):  # after the routes: the page has the root, and would answer with HTML
        app.mount(prefix, not_found_response())
    app.add_exception_handler(RequestValidationError, handle_invalid_request)
    app.add_exception_handler(HTTPException, handle_http_exception)
    app.add_exception_handler(KbError, handle_known_error)
    return jobs
