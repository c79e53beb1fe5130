"""`kb ingest`, `sources`, `remove` and `collections`: what is in a collection."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from kb_assistant.cli.options import COLLECTION, JSON, open_assistant, with_options
from kb_assistant.cli.output import progress_bar, say, short, tell
from kb_assistant.errors import EmptiedFolderError, UsageError

if TYPE_CHECKING:
    from kb_assistant.assistant import Assistant
    from kb_assistant.sync.indexer import IngestReport

__all__ = ["collections", "ingest", "remove", "sources"]


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
    from kb_assistant.cli import render

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
            report = _followed(assistant.watch(*paths, waiting=tell, **options), quiet=as_json)
        else:
            report = _ingested(
                assistant, *paths, ask=not as_json, dry_run=dry_run, delete_missing=delete_missing, **options
            )
    if as_json or not watch:
        say(serialization.to_json(asdict(report)) if as_json else render.report_text(report, dry_run=dry_run))
    return 1 if report.failed else 0


def _ingested(assistant: Assistant, *paths: Path, ask: bool, **options: Any) -> IngestReport:
    """Run it; where a folder is found empty, ask whoever sits at the terminal."""
    try:
        with progress_bar() as progress:
            return assistant.ingest(*paths, progress=progress, waiting=tell, **options)
    except EmptiedFolderError as error:
        if not (
            ask
            and sys.stdin.isatty()
            and click.confirm(
                f"{short(str(error.folder))} is {error.state} now. Delete its {error.documents} documents?", err=True
            )
        ):
            raise
    return _ingested(assistant, *paths, ask=False, **{**options, "delete_missing": True})


def _followed(reports: Iterator[IngestReport], *, quiet: bool) -> IngestReport:
    """Print each report until Ctrl-C, and return all of them as one."""
    from kb_assistant.cli import render
    from kb_assistant.sync.indexer import in_a_row

    done: list[IngestReport] = []
    try:
        for report in reports:
            done.append(report)
            if not quiet and (len(done) == 1 or report.changed):
                say(render.report_text(report, dry_run=False))
            if len(done) == 1:
                tell("watching for changes; Ctrl-C stops it")
    except KeyboardInterrupt:
        if not done:
            raise
    return in_a_row(done)


@click.command()
@with_options(COLLECTION, JSON)
def sources(collection: str | None, as_json: bool, home: Path | None) -> None:
    """List the documents in a collection."""
    from kb_assistant import serialization
    from kb_assistant.cli import render

    with open_assistant(home) as assistant:
        found = assistant.sources(collection)
    say(serialization.to_json(serialization.sources_json(found)) if as_json else render.sources_text(found))


@click.command()
@click.argument("names", nargs=-1, required=True, metavar="SOURCE...")
@with_options(COLLECTION, JSON)
def remove(names: tuple[str, ...], collection: str | None, as_json: bool, home: Path | None) -> None:
    """Remove documents from a collection, by name or pattern; the files stay."""
    from kb_assistant import serialization

    with open_assistant(home) as assistant:
        removed = assistant.remove(*names, collection=collection, waiting=tell)
    say(serialization.to_json({"removed": removed}) if as_json else f"removed: {', '.join(removed)}")


@click.command()
@with_options(JSON)
def collections(as_json: bool, home: Path | None) -> None:
    """List the collections."""
    from kb_assistant import serialization
    from kb_assistant.cli import render

    with open_assistant(home) as assistant:
        found = assistant.collections()
    say(serialization.to_json(serialization.collections_json(found)) if as_json else render.collections_text(found))
