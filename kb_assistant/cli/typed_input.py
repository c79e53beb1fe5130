"""Reads questions that are typed or piped in, in whatever encoding they come."""

from __future__ import annotations

import codecs
import sys
from collections.abc import Iterator

import click

from kb_assistant.cli.output import print_message
from kb_assistant.errors import UsageError

__all__ = ["read_all", "read_lines"]

_UTF_16_MARKS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


def read_all() -> str:
    """Return the whole of standard input.

    Raises:
        UsageError: it is in no known encoding.
    """
    return sys.stdin.read() if sys.stdin.isatty() else _decode(sys.stdin.buffer.read())


def read_lines(prompt: str) -> Iterator[str]:
    """Yield the lines of standard input, without the white space around them.

    At a terminal, Ctrl-C twice in a row ends them; once, it only gives up the line.

    Raises:
        UsageError: a line is in no known encoding.
    """
    if not sys.stdin.isatty():
        yield from _piped_lines()
        return
    interrupted = False
    while True:
        try:
            line = input(prompt)
        except EOFError:
            click.echo(err=True)
            return
        except KeyboardInterrupt:
            click.echo(err=True)
            if interrupted:
                return
            interrupted = True
            print_message("(press Ctrl-C again, or type exit, to leave)")
            continue
        interrupted = False
        yield line.strip()


def _piped_lines() -> Iterator[str]:
    piped = sys.stdin.buffer
    first = piped.readline()
    if first.startswith(_UTF_16_MARKS):
        yield from map(str.strip, _decode(first + piped.read()).splitlines())
        return
    while first:
        yield _decode(first).strip()
        first = piped.readline()


def _decode(data: bytes) -> str:
    from ingest.encoding import decode

    try:
        return decode(data, declared=sys.stdin.encoding).text
    except UnicodeDecodeError as error:
        raise UsageError("cannot read standard input: it is in no known encoding; send it as UTF-8") from error
