"""Figures of what the server does, in Prometheus' text format: counts and times, nothing of what is asked or found."""

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


class _Answers:
    """Counts answers as they end."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._questions = Counter("kb_questions", "Questions, by what became of them.", ["outcome"], registry=registry)
        for outcome in _OUTCOMES:
            self._questions.labels(outcome)  # there from the start, at 0
        self._tokens = Counter("kb_tokens", "Tokens of the language model.", ["kind"], registry=registry)
        steps = {
            "retrieval": "until the passages were found",
            "first_token": "until the first text",
            "total": "until the answer was complete",
        }
        self._seconds = {
            step: Histogram(
                f"kb_{step}_seconds", f"Seconds from the question {words}.", buckets=_SECONDS, registry=registry
            )
            for step, words in steps.items()
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


class _State(Collector):
    """Tells how much there is, at the moment when it is asked."""

    def __init__(self, assistant: Assistant) -> None:
        self._assistant = assistant

    def describe(self) -> list[GaugeMetricFamily]:
        """Return nothing: what is told is not looked up before it is asked for."""
        return []

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Yield the gauges."""
        held = self._assistant.collections()
        values = {
            "kb_queue_length": ("Callers that the language model serves or has yet to.", self._assistant.queue_length),
            "kb_sources": ("Documents in all collections.", sum(one.sources for one in held)),
            "kb_chunks": ("Chunks in all collections.", sum(one.chunks for one in held)),
        }
        for name, (words, value) in values.items():
            yield GaugeMetricFamily(name, words, value=value)


def metrics_routes(assistant: Assistant) -> APIRouter:
    """Return the route that tells the figures, and begin to count."""
    registry = CollectorRegistry()
    assistant.observers.append(_Answers(registry))
    registry.register(_State(assistant))
    ProcessCollector(registry=registry)
    router = APIRouter(tags=["kb"], responses=ERRORS)

    @router.get("/metrics", response_class=PlainTextResponse)
    def metrics() -> Response:
        """Return counts and times for Prometheus; nothing of what is asked or found."""
        return Response(generate_latest(registry), media_type="text/plain; version=0.0.4; charset=utf-8")

    return router
