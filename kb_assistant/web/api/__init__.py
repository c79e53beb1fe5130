"""The HTTP API: OpenAI's chat, models and embeddings over the documents, and kb's own search, ask and documents."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from kb_assistant.errors import KbError
from kb_assistant.web.api.documents import collection_routes, document_routes
from kb_assistant.web.api.errors import malformed, not_found_response, refused, unreadable
from kb_assistant.web.api.jobs import IngestJobs
from kb_assistant.web.api.metrics import metrics_routes
from kb_assistant.web.api.openai import openai_routes
from kb_assistant.web.api.questions import question_routes

if TYPE_CHECKING:
    from kb_assistant.assistant import Assistant
    from kb_assistant.web.running_answers import UnderWay

__all__ = ["add_api"]


def add_api(app: FastAPI, assistant: Assistant, under_way: UnderWay) -> IngestJobs:
    """Add the API's routes, and the form of its errors, to a web application; returns the ingests under way."""
    jobs = IngestJobs()
    app.include_router(openai_routes(assistant, under_way))
    app.include_router(question_routes(assistant, under_way))
    app.include_router(document_routes(assistant, jobs))
    app.include_router(collection_routes(assistant, jobs))
    app.include_router(metrics_routes(assistant))
    for prefix in ("/api", "/v1"):  # after the routes; else the page, which has the root, would answer in its own form
        app.mount(prefix, not_found_response())
    app.add_exception_handler(RequestValidationError, malformed)
    app.add_exception_handler(HTTPException, unreadable)
    app.add_exception_handler(KbError, refused)
    return jobs
