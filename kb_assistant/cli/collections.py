"""`kb collections` and `kb folders`: what collections there are, and which folders they mirror."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from kb_assistant.cli.options import COLLECTION, JSON, open_assistant, with_options
from kb_assistant.cli.output import print_message, print_outcome
from kb_assistant.errors import UsageError

if TYPE_CHECKING:
    from vectorstore import CollectionInfo

__all__ = ["collections", "folders"]

_YES = click.option("--yes", is_flag=True, help="Do it without asking.")


@click.group(invoke_without_command=True)
@with_options(JSON)
@click.pass_context
def collections(context: click.Context, as_json: bool, home: Path | None) -> None:
    """List the collections and the folders that they mirror; rename or remove one."""
    if context.invoked_subcommand is not None:
        _pass_on_options(context, context.invoked_subcommand)
        return
    from kb_assistant import serialization

    with open_assistant(home) as assistant:
        found = assistant.collections()
        mirrored = {info.name: assistant.folders(info.name) for info in found}
    rows = [
        {**row, "folders": [str(path) for path in mirrored[row["collection"]]]}
        for row in serialization.collections_json(found)
    ]
    print_outcome(rows, _collections_text(found, mirrored), as_json=as_json)


@collections.command("rename")
@click.argument("old")
@click.argument("new")
@with_options(JSON)
def rename_collection(old: str, new: str, as_json: bool, home: Path | None) -> None:
    """Rename the collection OLD to NEW; nothing is read or embedded again."""
    with open_assistant(home) as assistant:
        assistant.rename_collection(old, new, notify=print_message)
        used = assistant.settings.collection == old
    print_outcome({"renamed": old, "collection": new}, f"{old} is called {new} now", as_json=as_json)
    if used:
        print_message(
            f'{old} is the collection used when none is named; to use {new}, set collection = "{new}" in kb.toml'
        )


@collections.command("remove")
@click.argument("name")
@_YES
@with_options(JSON)
def remove_collection(name: str, yes: bool, as_json: bool, home: Path | None) -> None:
    """Remove the collection NAME with its documents; the files of its folders stay."""
    with open_assistant(home) as assistant:
        documents = len(assistant.sources(name))
        _confirm(
            f"collection {name!r} goes, with {documents} documents and the files that were uploaded to it; "
            "the files of its folders stay",
            yes=yes,
            ask=not as_json,
        )
        assistant.remove_collection(name, notify=print_message)
    print_outcome({"removed": name, "sources": documents}, f"removed: {name}", as_json=as_json)


@click.group(invoke_without_command=True)
@with_options(COLLECTION, JSON)
@click.pass_context
def folders(context: click.Context, collection: str | None, as_json: bool, home: Path | None) -> None:
    """List the folders and files that a collection mirrors; stop mirroring one."""
    if context.invoked_subcommand is not None:
        _pass_on_options(context, context.invoked_subcommand)
        return
    with open_assistant(home) as assistant:
        paths = [Path(source.path) for source in assistant.sources(collection)]
        counted = {
            folder: sum(path.is_relative_to(folder) for path in paths) for folder in assistant.folders(collection)
        }
    rows = [{"folder": str(folder), "sources": documents} for folder, documents in counted.items()]
    lines = [f"{folder}: {documents} documents" for folder, documents in counted.items()]
    shown = "\n".join(lines) or "no folders are mirrored; kb ingest FOLDER mirrors one"
    print_outcome(rows, shown, as_json=as_json)


@folders.command("remove")
@click.argument("folder", metavar="PATH", type=click.Path(path_type=Path))
@_YES
@with_options(COLLECTION, JSON)
def remove_folder(folder: Path, yes: bool, collection: str | None, as_json: bool, home: Path | None) -> None:
    """Stop mirroring PATH: its documents leave the collection, its files stay."""
    with open_assistant(home) as assistant:
        documents = len(assistant.documents_under(folder, collection))
        name = collection or assistant.settings.collection
        _confirm(
            f"collection {name!r} no longer mirrors {folder}, and {documents} documents from it go; the files stay",
            yes=yes,
            ask=not as_json,
        )
        removed = assistant.stop_mirroring(folder, collection=collection, notify=print_message)
    shown = f"{folder} is no longer mirrored; {len(removed)} documents removed"
    print_outcome({"folder": str(folder), "removed": removed}, shown, as_json=as_json)


def _pass_on_options(context: click.Context, command: str) -> None:
    """Make options before a sub-command count for it."""
    context.default_map = {command: {name: value for name, value in context.params.items() if value}}


def _confirm(what: str, *, yes: bool, ask: bool) -> None:
    """Say what is about to happen, and make sure that it is wanted.

    Raises:
        UsageError: nobody can be asked, and --yes is not given.
        click.Abort: the answer is no.
    """
    from kb_assistant.messages import localized

    if yes:
        return
    if not (ask and sys.stdin.isatty()):
        raise UsageError(f"{what}; nothing was changed; add --yes if that is what you want")
    print_message(what)
    click.confirm(localized("Go on?"), abort=True, err=True)


def _collections_text(collections: Sequence[CollectionInfo], mirrored: Mapping[str, Sequence[Path]]) -> str:
    lines = []
    for info in collections:
        lines.append(f"{info.name}: {info.sources} documents, {info.chunks} chunks ({info.embedding})")
        lines += [f"    {path}" for path in mirrored[info.name]]
    return "\n".join(lines) or "no collections yet; kb ingest FOLDER makes one"
