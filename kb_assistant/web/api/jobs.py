"""Ingests that run in the background: each in a thread of its own, told apart by ids."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel

from kb_assistant.errors import Cancelled
from kb_assistant.web.api.errors import RequestError, judged

if TYPE_CHECKING:
    from kb_assistant.sync.indexer import IngestReport, Progress, Waiting

__all__ = ["IngestJobs", "JobState"]

_MOST_KEPT = 100
_MOST_UNDER_WAY = 20
_CLOSE_S = 1.0

Work = Callable[["Progress", "Waiting"], "IngestReport"]


class FileState(BaseModel):
    """What became of one file: `ready`, `partial`, `needs_password`, `needs_ocr`, `refused`, …, and why."""

    source: str
    status: str
    chunks: int
    pages: int | None
    notes: list[str]


class JobState(BaseModel):
    """How far an ingest is, and in the end what it did."""

    id: str
    state: Literal["waiting", "running", "done", "failed"]
    collection: str
    done: int
    total: int
    current: str
    counts: dict[str, int]
    files: list[FileState]
    error: str | None


@dataclass
class _Job:
    id: str
    collection: str
    state: Literal["waiting", "running", "done", "failed"] = "running"
    done: int = 0
    total: int = 0
    current: str = ""
    error: str | None = None
    report: IngestReport | None = None
    thread: threading.Thread = field(default_factory=threading.current_thread)


class IngestJobs:
    """The ingests under way and those that ended last."""

    def __init__(self) -> None:
        self._jobs: dict[str, _Job] = {}
        self._adding = threading.Lock()
        self._closing = threading.Event()

    def start(self, collection: str, work: Work) -> JobState:
        """Begin an ingest, and return its state; `work` is called in a thread with where to tell how far it is.

        Raises:
            RequestError: too many are under way.
        """
        job = _Job(uuid.uuid4().hex, collection)
        with self._adding:
            ended = [one.id for one in self._jobs.values() if one.state in ("done", "failed")]
            if len(self._jobs) - len(ended) >= _MOST_UNDER_WAY:
                raise RequestError(429, "busy", f"{_MOST_UNDER_WAY} ingests are under way; try again later")
            for old in ended[: max(0, len(ended) - _MOST_KEPT)]:
                del self._jobs[old]
            self._jobs[job.id] = job
        job.thread = threading.Thread(target=self._run, args=(job, work), name="kb-ingest", daemon=True)
        job.thread.start()
        return _state(job)

    def state(self, job_id: str) -> JobState:
        """Return how far an ingest is.

        Raises:
            RequestError: there is none of that id, or it is long over.
        """
        job = self._jobs.get(job_id)
        if job is None:
            raise RequestError(404, "not_found", "there is no such ingest, or it is long over")
        return _state(job)

    def stop(self) -> None:
        """Have what is under way end after the file at hand; what was stored stays."""
        self._closing.set()

    def close(self) -> None:
        """Stop, and wait a moment for what is under way to end."""
        self.stop()
        until = time.monotonic() + _CLOSE_S
        for job in list(self._jobs.values()):
            with suppress(RuntimeError):  # it has not even begun
                job.thread.join(max(0.0, until - time.monotonic()))

    def _run(self, job: _Job, work: Work) -> None:
        def progress(done: int, total: int, name: str) -> None:
            job.state, job.done, job.total, job.current = "running", done, total, name
            if self._closing.is_set():
                raise Cancelled("the server stops")

        def waiting(_: str) -> None:
            job.state = "waiting"

        try:
            job.report = work(progress, waiting)
            job.state = "done"
        except Cancelled as error:
            job.error, job.state = str(error), "failed"
        except Exception as error:  # noqa: BLE001 - told to whoever asks how far it is
            job.error = judged(error)[1]["error"]["message"]
            job.state = "failed"


def _state(job: _Job) -> JobState:
    report = job.report
    counts = ("added", "updated", "renamed", "unchanged", "deleted", "failed", "chunks_embedded")
    return JobState(
        id=job.id,
        state=job.state,
        collection=job.collection,
        done=job.done,
        total=job.total,
        current=job.current,
        counts={name: getattr(report, name) for name in counts} if report else {},
        files=[
            FileState(source=values.pop("path"), **values) for values in map(asdict, report.files if report else ())
        ],
        error=job.error,
    )
