"""What a run of `kb ingest` did, in counts and file by file."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from kb_assistant.sync.plan import FAILED, Plan
from vectorstore import NewSource, SourceInfo

__all__ = [
    "KEPT_OUT",
    "FileOutcome",
    "IngestReport",
    "combine_runs",
    "dry_report",
    "make_report",
    "outcome_of",
    "settled_outcomes",
]

KEPT_OUT = "left_out"
"""The status of a file that stays out because `kb remove` took its document out."""


@dataclass(frozen=True, slots=True)
class FileOutcome:
    """What became of one file.

    `status` is what the store holds of it now, or "deleted", "refused" (an upload), "left_out" (removed before) or
    "unsupported".
    """

    path: str
    status: str
    chunks: int = 0
    pages: int | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class IngestReport:
    """What one run did, in counts of files, and what became of each."""

    added: int
    updated: int
    renamed: int
    unchanged: int
    deleted: int
    failed: int
    chunks_embedded: int
    seconds: float
    files: tuple[FileOutcome, ...]
    notices: tuple[str, ...] = ()
    """What the user should know beside that, a line each."""

    @property
    def changed(self) -> bool:
        """Whether the run changed anything, or failed to."""
        return bool(self.added or self.updated or self.renamed or self.deleted or self.failed)


def dry_report(plan: Plan, seconds: float, notices: tuple[str, ...]) -> IngestReport:
    """Return the report of a dry run: a file's status is what would be done with it."""
    outcomes = [FileOutcome(item.name, "updated" if item.old else "added") for item in plan.parse]
    outcomes += [FileOutcome(item.name, "renamed", item.old.chunks) for item in plan.rename]
    report = make_report(plan, [*outcomes, *settled_outcomes(plan)], embedded=0, seconds=seconds)
    return replace(report, notices=notices)


def settled_outcomes(plan: Plan) -> list[FileOutcome]:
    """Return the outcomes that are known before anything is parsed."""
    note = "kb remove took it out; name the file, or add --include-removed, to take it in again"
    return [
        *(outcome_of(old) for old in plan.unchanged),
        *(FileOutcome(old.name, "deleted") for old in plan.gone),
        *(FileOutcome(name, KEPT_OUT, notes=(note,)) for name in plan.kept_out),
        *(FileOutcome(one.name, one.status, notes=(one.reason,) if one.reason else ()) for one in plan.refused),
    ]


def outcome_of(source: SourceInfo | NewSource) -> FileOutcome:
    """Return the outcome of a document that is stored as it is, or is about to be."""
    chunks = source.chunks if isinstance(source.chunks, int) else len(source.chunks)
    return FileOutcome(source.name, source.status, chunks, source.pages, source.notes)


def make_report(plan: Plan, outcomes: Iterable[FileOutcome], *, embedded: int, seconds: float) -> IngestReport:
    """Return the report of a plan that was carried out, or of a dry run."""
    files = sorted(outcomes, key=lambda outcome: outcome.path)
    failed = {outcome.path for outcome in files if outcome.status in FAILED}
    sound = [item for item in plan.parse if item.name not in failed]
    return IngestReport(
        added=sum(item.old is None for item in sound),
        updated=sum(item.old is not None for item in sound),
        renamed=sum(item.name not in failed for item in plan.rename),
        unchanged=sum(old.name not in failed for old in plan.unchanged),
        deleted=len(plan.gone),
        failed=len(failed) + sum(outcome.status == "refused" for outcome in files),
        chunks_embedded=embedded,
        seconds=round(seconds, 3),
        files=tuple(files),
    )


def combine_runs(reports: Sequence[IngestReport]) -> IngestReport:
    """Return the reports of successive runs as one: what was done added up, and files as the last run left them."""
    *_, last = reports
    deleted = {file.path: file for report in reports for file in report.files if file.status == "deleted"}
    files = deleted | {file.path: file for file in last.files}
    done = ("added", "updated", "renamed", "deleted", "chunks_embedded")
    return replace(
        last,
        **{name: sum(getattr(report, name) for report in reports) for name in done},
        seconds=round(sum(report.seconds for report in reports), 3),
        files=tuple(files[path] for path in sorted(files)),
    )
