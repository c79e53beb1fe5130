"""`kb serve` and `mcp`: for browsers and for other programs."""

from __future__ import annotations

from pathlib import Path

import click

from kb_assistant.cli.options import COLLECTION, LANGUAGE_MODEL, open_assistant, with_options
from kb_assistant.cli.output import print_destination, print_localized
from kb_assistant.errors import KbError

__all__ = ["mcp", "serve"]


@click.command()
@click.option("--host", help="Address to listen on.  [default: 127.0.0.1]")
@click.option("--port", type=click.IntRange(0, 65535), help="Port to listen on.  [default: 7860]")
@with_options(COLLECTION, *LANGUAGE_MODEL)
def serve(
    host: str | None, port: int | None, collection: str | None, home: Path | None, **language_model: str | None
) -> None:
    """Serve a web page that answers questions, on this machine only."""
    from kb_assistant.web.server import serve as run

    with open_assistant(home, host=host, port=port, collection=collection, **language_model) as assistant:
        _ = assistant.engine  # says at once if its model cannot be used
        print_destination(assistant)
        run(assistant, announce=lambda url: print_localized(f"kb is at {url} (Ctrl-C stops it)"))


@click.command()
@with_options(COLLECTION, *LANGUAGE_MODEL)
def mcp(collection: str | None, home: Path | None, **language_model: str | None) -> None:
    """Serve search and ask to other programs over MCP, on stdin and stdout."""
    try:
        from kb_assistant.mcp_server import build_server
    except ModuleNotFoundError as error:
        raise KbError(f'kb mcp needs {error.name}; run: pip install -c constraints.txt -e ".[mcp]"') from error

    with open_assistant(home, collection=collection, **language_model) as assistant:
        print_destination(assistant)
        build_server(assistant).run()
