"""Prints results, messages and progress bars, without control characters of documents."""

from __future__ import annotations

import sys
import unicodedata
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from kb_assistant.assistant import Assistant

__all__ = [
    "columns_of",
    "one_line",
    "print_destination",
    "print_engine_note",
    "print_localized",
    "print_message",
    "print_outcome",
    "print_result",
    "progress_bar",
    "right_aligned",
    "short_name",
]

_LONGEST_SHOWN = 60
_LONGEST_LINE = 160


def print_result(text: str, end: str = "\n") -> None:
    """Print a result on stdout."""
    from kb_assistant.serialization import printable

    click.echo(printable(text) + end, nl=False)


def print_localized(text: str) -> None:
    """Print a result on stdout, each line in the user's language."""
    from kb_assistant.messages import localized

    print_result("\n".join(localized(line) for line in text.split("\n")))


def print_outcome(value: Any, text: str, *, as_json: bool) -> None:
    """Print a command's outcome on stdout: a value as JSON, or a text in the user's language."""
    from kb_assistant.serialization import to_json

    if as_json:
        print_result(to_json(value))
    else:
        print_localized(text)


def print_message(message: str) -> None:
    """Print a message on stderr, on one line, in the user's language."""
    from kb_assistant.messages import localized
    from kb_assistant.serialization import printable

    click.echo(" ".join(printable(localized(message)).split()), err=True)


def columns_of(text: str) -> int:
    """Return the width of text on a terminal, where a Chinese character takes two columns."""
    return sum(2 if unicodedata.east_asian_width(character) in "WF" else 1 for character in text)


def right_aligned(text: str, columns: int) -> str:
    """Return text with blanks before it, so that it takes that many columns."""
    return " " * (columns - columns_of(text)) + text


def short_name(name: str) -> str:
    """Return the end of a file's name on one line, without control characters."""
    from kb_assistant.serialization import display_name

    return display_name(name)[-_LONGEST_SHOWN:]


def one_line(text: str) -> str:
    """Return text on one line of at most 160 characters."""
    line = " ".join(text.split())
    return line if len(line) <= _LONGEST_LINE else line[:_LONGEST_LINE] + "…"


def print_engine_note(assistant: Assistant) -> None:
    """Print on stderr that no language model answers, if none does."""
    if assistant.engine_name == "extractive":
        print_message("(no language model is set: answers are quoted from the documents; --model FOLDER sets one)")


def print_destination(assistant: Assistant) -> None:
    """Say on stderr where questions and passages go, unless it is this machine."""
    if host := assistant.sends_to:
        print_message(f"(questions and passages leave this machine: they are sent to {host})")


@contextmanager
def progress_bar(*, of_bytes: bool = False) -> Iterator[Callable[[int, int, str], None]]:
    """Give a function that shows progress: done, total, name. In a pipe it shows nothing."""
    if not sys.stderr.isatty():
        yield lambda done, total, name: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    count = DownloadColumn() if of_bytes else MofNCompleteColumn()
    columns = (BarColumn(), count, TimeRemainingColumn(), TextColumn("{task.description}", markup=False))
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=None)
        yield lambda done, total, name: bar.update(task, completed=done, total=total, description=short_name(name))
