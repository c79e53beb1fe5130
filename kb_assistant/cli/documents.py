"""`kb ingest`, `sources`, `remove` and `collections`: what is in a collection."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from kb_assistant.cli.options import COLLECTION, JSON, open_assistant, with_options
from kb_assistant.cli.output import one_line, print_message, print_result, progress_bar, short_name
from kb_assistant.errors import EmptiedFolderError, UsageError

if TYPE_CHECKING:
    from kb_assistant.assistant import Assistant
    from kb_assistant.sync.indexer import IngestReport
    from vectorstore import CollectionInfo, SourceInfo

__all__ = ["collections", "ingest", "remove", "sources"]

_NEEDS_NO_LINE = frozenset({"ready", "unsupported", "deleted", "added", "updated", "renamed"})
"""Statuses of files that the report counts and does not list."""


@click.command()
@click.argument("paths", nargs=-1, metavar="[PATH]...", type=click.Path(path_type=Path))
@click.option("--dry-run", is_flag=True, help="Only show what would be done.")
@click.option("--watch", is_flag=True, help="Go on, and follow every change until Ctrl-C.")
@click.option("--keep-missing", is_flag=True, help="Keep documents whose files are gone.")
@click.option("--delete-missing", is_flag=True, help="Delete them even if the whole folder is empty or gone.")
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
    passwords: tuple[str, ...],
    collection: str | None,
    as_json: bool,
    home: Path | None,
) -> int:
    """Make a collection mirror folders of documents: add, change, rename, delete.

    Without PATH, all that the collection mirrors already, and what was uploaded to it.
    """
    from dataclasses import asdict

    from kb_assistant import serialization

    given = {"--watch": watch, "--dry-run": dry_run, "--keep-missing": keep_missing, "--delete-missing": delete_missing}
    for pair in (("--watch", "--dry-run"), ("--watch", "--delete-missing"), ("--keep-missing", "--delete-missing")):
        if all(given[flag] for flag in pair):
            raise UsageError(f"{' and '.join(pair)} do not go together; give one of them")
    if watch and not paths:
        raise UsageError("--watch needs the folders to watch; name them")
    known = tuple(click.prompt("Password", hide_input=True, err=True) if one == "-" else one for one in passwords)
    options: dict[str, Any] = {"collection": collection, "keep_missing": keep_missing, "passwords": known}
    with open_assistant(home) as assistant:
        if watch:
            report = _followed(assistant.watch(*paths, waiting=print_message, **options), quiet=as_json)
        else:
            report = _ingested(
                assistant, *paths, ask=not as_json, dry_run=dry_run, delete_missing=delete_missing, **options
            )
    if as_json or not watch:
        print_result(serialization.to_json(asdict(report)) if as_json else _report_text(report, dry_run=dry_run))
    return 1 if report.failed else 0


def _ingested(assistant: Assistant, *paths: Path, ask: bool, **options: Any) -> IngestReport:
    """Run it; where a folder is found empty, ask whoever sits at the terminal."""
    try:
        with progress_bar() as progress:
            return assistant.ingest(*paths, progress=progress, waiting=print_message, **options)
    except EmptiedFolderError as error:
        if not (
            ask
            and sys.stdin.isatty()
            and click.confirm(
                f"{short_name(str(error.folder))} is {error.state} now. Delete its {error.documents} documents?",
                err=True,
            )
        ):
            raise
    return _ingested(assistant, *paths, ask=False, **{**options, "delete_missing": True})


def _followed(reports: Iterator[IngestReport], *, quiet: bool) -> IngestReport:
    """Print each report until Ctrl-C, and return all of them as one."""
    from kb_assistant.sync.indexer import in_a_row

    done: list[IngestReport] = []
    try:
        for report in reports:
            done.append(report)
            if not quiet and (len(done) == 1 or report.changed):
                print_result(_report_text(report, dry_run=False))
            if len(done) == 1:
                print_message("watching for changes; Ctrl-C stops it")
    except KeyboardInterrupt:
        if not done:
            raise
    return in_a_row(done)


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
    """Remove documents from a collection, by name or pattern; the files stay."""
    from kb_assistant import serialization

    with open_assistant(home) as assistant:
        removed = assistant.remove(*names, collection=collection, waiting=print_message)
    print_result(serialization.to_json({"removed": removed}) if as_json else f"removed: {', '.join(removed)}")


@click.command()
@with_options(JSON)
def collections(as_json: bool, home: Path | None) -> None:
    """List the collections."""
    from kb_assistant import serialization

    with open_assistant(home) as assistant:
        found = assistant.collections()
    print_result(serialization.to_json(serialization.collections_json(found)) if as_json else _collections_text(found))


def _report_text(report: IngestReport, *, dry_run: bool) -> str:
    """Return what a run of `kb ingest` did, with a line for each file that needs attention."""
    counts = ("added", "updated", "renamed", "unchanged", "deleted", "failed")
    done = ", ".join(f"{getattr(report, name)} {name}" for name in counts if getattr(report, name)) or "no documents"
    lines = []
    for file in report.files:
        if dry_run and file.status in ("added", "updated", "renamed", "deleted"):
            lines.append(f"{file.status:>9}  {one_line(file.path)}")
        elif file.status not in _NEEDS_NO_LINE:
            lines.append(f"{file.status:>9}  {one_line(file.path)}: {_notes_text(file.notes)}")
    unsupported = sum(file.status == "unsupported" for file in report.files)
    if unsupported:
        lines.append(f"{unsupported} files of other kinds were passed over (--json lists them)")
    if dry_run:
        return "\n".join([*lines, f"would be: {done}"])
    return "\n".join([*lines, f"{done}; {report.chunks_embedded} chunks embedded in {report.seconds:.1f} s"])


def _sources_text(sources: Iterable[SourceInfo]) -> str:
    lines = []
    for source in sources:
        size = f"{source.pages} pages, " if source.pages else ""
        notes = f"  {_notes_text(source.notes)}" if source.notes else ""
        lines.append(f"{source.status:>14}  {one_line(source.name)}  ({size}{source.chunks} chunks){notes}")
    return "\n".join(lines) or "no documents"


def _collections_text(collections: Iterable[CollectionInfo]) -> str:
    lines = [
        f"{found.name}: {found.sources} documents, {found.chunks} chunks ({found.embedding})" for found in collections
    ]
    return "\n".join(lines) or "no collections yet; kb ingest FOLDER makes one"


def _notes_text(notes: Iterable[str]) -> str:
    return "; ".join(" ".join(note.split()) for note in notes)
