"""`kb ingest`, `kb sources` and `kb remove`: the documents of a collection."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from kb_assistant.cli.options import COLLECTION, JSON, open_assistant, with_options
from kb_assistant.cli.output import (
    one_line,
    print_message,
    print_outcome,
    print_result,
    progress_bar,
    right_aligned,
    short_name,
)
from kb_assistant.errors import EmptiedFolderError, UsageError

if TYPE_CHECKING:
    from kb_assistant.assistant import Assistant
    from kb_assistant.sync.report import IngestReport
    from vectorstore import SourceInfo

__all__ = ["ingest", "remove", "sources"]

_NEEDS_NO_LINE = frozenset({"ready", "unsupported", "left_out", "deleted", "added", "updated", "renamed"})
"""Statuses of files that the report counts and does not list."""

_EXCLUSIVE = (
    ("--watch", "--dry-run"),
    ("--watch", "--delete-missing"),
    ("--watch", "--include-removed"),
    ("--keep-missing", "--delete-missing"),
)


@click.command()
@click.argument("paths", nargs=-1, metavar="[PATH]...", type=click.Path(path_type=Path))
@click.option("--dry-run", is_flag=True, help="Only show what would be done.")
@click.option("--watch", is_flag=True, help="Keep running, and follow every change until Ctrl-C.")
@click.option("--keep-missing", is_flag=True, help="Keep documents whose files are gone.")
@click.option("--delete-missing", is_flag=True, help="Delete them even if the whole folder is empty or gone.")
@click.option("--include-removed", is_flag=True, help="Take in again what kb remove took out.")
@click.option(
    "--password",
    "passwords",
    multiple=True,
    metavar="PW",
    help='Tried on encrypted files; "-" asks for it. Repeatable.',
)
@with_options(COLLECTION, JSON)
def ingest(
    paths: tuple[Path, ...],
    dry_run: bool,
    watch: bool,
    keep_missing: bool,
    delete_missing: bool,
    include_removed: bool,
    passwords: tuple[str, ...],
    collection: str | None,
    as_json: bool,
    home: Path | None,
) -> int:
    """Make a collection mirror folders of documents: add, change, rename, delete.

    Without PATH, all that the collection mirrors already, and what was uploaded to it. What kb remove took out stays
    out, unless its file is named as PATH, or --include-removed is given. A .kbignore file excludes files as a
    .gitignore does.
    """
    from kb_assistant import serialization

    given = {
        "--watch": watch,
        "--dry-run": dry_run,
        "--keep-missing": keep_missing,
        "--delete-missing": delete_missing,
        "--include-removed": include_removed,
    }
    for pair in _EXCLUSIVE:
        if all(given[flag] for flag in pair):
            raise UsageError(f"{' and '.join(pair)} do not go together; give one of them")
    known = tuple(click.prompt("Password", hide_input=True, err=True) if one == "-" else one for one in passwords)
    options: dict[str, Any] = {"collection": collection, "keep_missing": keep_missing, "passwords": known}
    with open_assistant(home) as assistant:
        if watch:
            report = _followed(assistant.watch(*paths, notify=print_message, **options), quiet=as_json)
        else:
            options |= {"dry_run": dry_run, "delete_missing": delete_missing, "include_removed": include_removed}
            report = _ingested(assistant, *paths, ask=not as_json, **options)
            _print_notices(report)
    if as_json:
        print_result(serialization.to_json(_report_json(report)))
    elif not watch:
        print_result(_report_text(report, dry_run=dry_run))
    return 1 if report.failed else 0


def _ingested(assistant: Assistant, *paths: Path, ask: bool, **options: Any) -> IngestReport:
    """Run it; where a folder is found empty, ask whoever sits at the terminal."""
    from kb_assistant.messages import localized

    try:
        with progress_bar() as progress:
            return assistant.ingest(*paths, progress=progress, notify=print_message, **options)
    except EmptiedFolderError as error:
        if not (
            ask
            and sys.stdin.isatty()
            and click.confirm(
                localized(
                    f"{short_name(str(error.folder))} is {error.state} now. Delete its {error.documents} documents?"
                ),
                err=True,
            )
        ):
            raise
    return _ingested(assistant, *paths, ask=False, **{**options, "delete_missing": True})


def _print_notices(report: IngestReport) -> None:
    for notice in report.notices:
        print_message(notice)


def _followed(reports: Iterator[IngestReport], *, quiet: bool) -> IngestReport:
    """Print each report until Ctrl-C, and return all of them as one."""
    from kb_assistant.sync.report import combine_runs

    done: list[IngestReport] = []
    try:
        for report in reports:
            done.append(report)
            if not quiet and (len(done) == 1 or report.changed):
                print_result(_report_text(report, dry_run=False))
            if len(done) == 1:
                _print_notices(report)
                print_message("watching for changes; Ctrl-C stops it")
    except KeyboardInterrupt:
        if not done:
            raise
    return combine_runs(done)


@click.command()
@with_options(COLLECTION, JSON)
def sources(collection: str | None, as_json: bool, home: Path | None) -> None:
    """List the documents in a collection."""
    from kb_assistant import serialization

    with open_assistant(home) as assistant:
        found = assistant.sources(collection)
    print_result(serialization.to_json(serialization.sources_json(found)) if as_json else _sources_text(found))


@click.command()
@click.argument("names", nargs=-1, required=True, metavar="SOURCE...")
@with_options(COLLECTION, JSON)
def remove(names: tuple[str, ...], collection: str | None, as_json: bool, home: Path | None) -> None:
    """Remove documents from a collection, by name or pattern; the files stay, and are left out from then on."""
    from kb_assistant import serialization

    with open_assistant(home) as assistant:
        removed = assistant.remove(*names, collection=collection, notify=print_message)
    print_outcome(
        {"removed": removed}, f"removed: {', '.join(map(serialization.display_name, removed))}", as_json=as_json
    )


def _report_json(report: IngestReport) -> dict[str, Any]:
    values = asdict(report)
    del values["notices"]  # told on stderr
    return values


def _report_text(report: IngestReport, *, dry_run: bool) -> str:
    """Return what a run of `kb ingest` did, with a line for each file that needs attention, in the user's language."""
    from kb_assistant.messages import localized

    counts = ("added", "updated", "renamed", "unchanged", "deleted", "failed")
    done = [f"{getattr(report, name)} {name}" for name in counts if getattr(report, name)] or ["no documents"]
    summary = localized(", ").join(map(localized, done))
    lines = []
    for file in report.files:
        if dry_run and file.status in ("added", "updated", "renamed", "deleted", "left_out"):
            status = localized(file.status.replace("_", " "))
            lines.append(f"{right_aligned(status, 9)}  {one_line(file.path)}")
        elif file.status not in _NEEDS_NO_LINE:
            status = right_aligned(localized(file.status), 9)
            lines.append(f"{status}  {one_line(file.path)}{localized(': ')}{_notes_text(file.notes)}")
    unsupported = sum(file.status == "unsupported" for file in report.files)
    if unsupported:
        lines.append(localized(f"{unsupported} files of other kinds were passed over (--json lists them)"))
    left_out = sum(file.status == "left_out" for file in report.files)
    if left_out:
        lines.append(localized(f"{left_out} files stay out since kb remove (--include-removed takes them in again)"))
    if dry_run:
        lines.append(localized(f"would be: {summary}"))
    else:
        lines.append(localized(f"{summary}; {report.chunks_embedded} chunks embedded in {report.seconds:.1f} s"))
    return "\n".join(lines)


def _sources_text(sources: Iterable[SourceInfo]) -> str:
    from kb_assistant.messages import localized
    from kb_assistant.serialization import display_name

    lines = []
    for source in sources:
        status = right_aligned(localized(source.status), 14)
        size = f"{source.pages} pages, {source.chunks} chunks" if source.pages else f"{source.chunks} chunks"
        notes = f"  {_notes_text(source.notes)}" if source.notes else ""
        lines.append(f"{status}  {display_name(source.name)}  ({localized(size)}){notes}")
    return "\n".join(lines) or localized("no documents")


def _notes_text(notes: Iterable[str]) -> str:
    from kb_assistant.messages import localized

    return localized("; ").join(localized(" ".join(note.split())) for note in notes)
