"""Ingests in the background, each with an id and a thread of its own."""

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
from kb_assistant.web.api.errors import RequestError, describe_error

if TYPE_CHECKING:
    from kb_assistant.sync.options import Notify, Progress
    from kb_assistant.sync.report import IngestReport

__all__ = ["IngestJobs", "JobState"]

_MAX_FINISHED = 100
_MAX_RUNNING = 20
_CLOSE_S = 1.0

Work = Callable[["Progress", "Notify"], "IngestReport"]


class FileState(BaseModel):
    """What became of one file: `ready`, `partial`, `needs_password`, `needs_ocr`, `refused`, …, and why."""

    source: str
    status: str
    chunks: int
    pages: int | None
    notes: list[str]


class JobState(BaseModel):
    """The progress of an ingest, and in the end its result."""

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
    """The ingests that are running, and the last that finished."""

    def __init__(self) -> None:
        self._jobs: dict[str, _Job] = {}
        self._adding = threading.Lock()
        self._closing = threading.Event()

    def start(self, collection: str, work: Work) -> JobState:
        """Start an ingest and return its state; `work` is called in a thread, with where to report progress.

        Raises:
            RequestError: too many ingests are running.
        """
        job = _Job(uuid.uuid4().hex, collection)
        with self._adding:
            finished = [other.id for other in self._jobs.values() if other.state in ("done", "failed")]
            if len(self._jobs) - len(finished) >= _MAX_RUNNING:
                raise RequestError(429, "busy", f"{_MAX_RUNNING} ingests are running already; try again later")
            for old in finished[: max(0, len(finished) - _MAX_FINISHED)]:
                del self._jobs[old]
            self._jobs[job.id] = job
        job.thread = threading.Thread(target=self._run, args=(job, work), name="kb-ingest", daemon=True)
        job.thread.start()
        return _state(job)

    def state(self, job_id: str) -> JobState:
        """Return the state of an ingest.

        Raises:
            RequestError: no ingest has that id, or it finished long ago.
        """
        job = self._jobs.get(job_id)
        if job is None:
            raise RequestError(404, "not_found", "there is no such ingest, or it finished long ago")
        return _state(job)

    def stop(self) -> None:
        """Have every ingest end after its current file; what is stored stays."""
        self._closing.set()

    def close(self) -> None:
        """Stop every ingest and wait a moment for them to end."""
        self.stop()
        deadline = time.monotonic() + _CLOSE_S
        for job in list(self._jobs.values()):
            with suppress(RuntimeError):  # its thread has not started yet
                job.thread.join(max(0.0, deadline - time.monotonic()))

    def _run(self, job: _Job, work: Work) -> None:
        def progress(done: int, total: int, name: str) -> None:
            job.state, job.done, job.total, job.current = "running", done, total, name
            if self._closing.is_set():
                raise Cancelled("the server is stopping")

        def notify(_: str) -> None:
            job.state = "waiting"

        try:
            job.report = work(progress, notify)
            job.state = "done"
        except Cancelled as error:
            job.error, job.state = str(error), "failed"
        except Exception as error:  # noqa: BLE001 - reported in the state of the job
            job.error = describe_error(error)[1]["error"]["message"]
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
