"""Metrics in Prometheus' text format: counts and times, never text of questions or documents."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from fastapi import APIRouter
from fastapi.responses import PlainTextResponse, Response
from prometheus_client import CollectorRegistry, Counter, Histogram, ProcessCollector, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from kb_assistant.answering.types import Answer
from kb_assistant.errors import Cancelled
from kb_assistant.web.api.errors import ERRORS

if TYPE_CHECKING:
    from kb_assistant.assistant import Assistant

__all__ = ["metrics_routes"]

_SECONDS = (0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 100, 300)
_OUTCOMES = ("answered", "refused", "stopped", "failed")


class _AnswerMetrics:
    """Counts answers as they end."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._questions = Counter("kb_questions", "Questions by outcome.", ["outcome"], registry=registry)
        for outcome in _OUTCOMES:
            self._questions.labels(outcome)  # shown from the start, as 0
        self._tokens = Counter("kb_tokens", "Tokens read and written by the model.", ["kind"], registry=registry)
        steps = {
            "retrieval": "until the passages were found",
            "first_token": "until the first text",
            "total": "until the answer was complete",
        }
        self._seconds = {
            step: Histogram(
                f"kb_{step}_seconds", f"Seconds from the question {end}.", buckets=_SECONDS, registry=registry
            )
            for step, end in steps.items()
        }

    def __call__(self, outcome: Answer | BaseException) -> None:
        if not isinstance(outcome, Answer):
            stopped = isinstance(outcome, (GeneratorExit, Cancelled))
            self._questions.labels("stopped" if stopped else "failed").inc()
            return
        self._questions.labels("refused" if outcome.refused else "answered").inc()
        self._tokens.labels("prompt").inc(outcome.usage.prompt_tokens)
        self._tokens.labels("completion").inc(outcome.usage.completion_tokens)
        for step, histogram in self._seconds.items():
            histogram.observe(getattr(outcome.timing, f"{step}_s"))


class _StoreMetrics(Collector):
    """Reads current sizes each time that metrics are collected."""

    def __init__(self, assistant: Assistant) -> None:
        self._assistant = assistant

    def describe(self) -> list[GaugeMetricFamily]:
        """Return nothing, so that registering reads no sizes."""
        return []

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Yield the gauges."""
        collections = self._assistant.collections()
        values = {
            "kb_queue_length": ("Questions at the language model or waiting for it.", self._assistant.queue_length),
            "kb_sources": ("Documents in all collections.", sum(collection.sources for collection in collections)),
            "kb_chunks": ("Chunks in all collections.", sum(collection.chunks for collection in collections)),
        }
        for name, (description, value) in values.items():
            yield GaugeMetricFamily(name, description, value=value)


def metrics_routes(assistant: Assistant) -> APIRouter:
    """Return the route for metrics, and start counting."""
    registry = CollectorRegistry()
    assistant.observers.append(_AnswerMetrics(registry))
    registry.register(_StoreMetrics(assistant))
    ProcessCollector(registry=registry)
    router = APIRouter(tags=["kb"], responses=ERRORS)

    @router.get("/metrics", response_class=PlainTextResponse)
    def metrics() -> Response:
        """Return counts and times for Prometheus, never text of questions or documents."""
        return Response(generate_latest(registry), media_type="text/plain; version=0.0.4; charset=utf-8")

    return router
