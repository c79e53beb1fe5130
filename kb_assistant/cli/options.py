"""The options that commands share, and the assistant that they set."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from kb_assistant.assistant import Assistant

__all__ = [
    "ADAPTER",
    "COLLECTION",
    "DEBUG",
    "DOCUMENTS",
    "ENGINE",
    "HOME",
    "JSON",
    "LANGUAGE_MODEL",
    "MODEL",
    "open_assistant",
    "with_options",
]

HOME = click.option("--home", type=click.Path(path_type=Path), help="Folder that holds everything (KB_HOME).")
# `entry.main` looks for it itself, since it matters before a command is known.
DEBUG = click.option("--debug", is_flag=True, expose_value=False, help="Show tracebacks and library messages.")
JSON = click.option("--json", "as_json", is_flag=True, help="Print one JSON document on stdout.")
COLLECTION = click.option("--collection", metavar="NAME", help="Collection to use.")
ENGINE = click.option("--engine", metavar="NAME", help="auto, ipex, openvino, openai or extractive.")
MODEL = click.option("--model", metavar="PATH", help="Folder or GGUF file of a language model, or its name.")
ADAPTER = click.option("--adapter", metavar="FOLDER", help="Folder of a LoRA adapter for it, or its name there.")
LANGUAGE_MODEL = (ENGINE, MODEL, ADAPTER)
"""Settings, given to the command as keywords."""

_DAY = click.DateTime(["%Y-%m-%d"])
DOCUMENTS = (
    click.option("--source", metavar="GLOB", help="Only documents whose names match."),
    click.option("--type", "types", multiple=True, metavar="TYPE", help="Only such, as pdf or word. Repeatable."),
    click.option("--since", type=_DAY, metavar="DATE", help="Only files changed on that day (2024-12-31) or later."),
    click.option("--until", type=_DAY, metavar="DATE", help="Only files not changed after that day."),
)


def with_options(*options: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Add the options that every command has, and these."""

    def decorate(function: Any) -> Any:
        for option in reversed([*options, HOME, DEBUG]):
            function = option(function)
        return function

    return decorate


def open_assistant(home: Path | None, **settings: Any) -> Assistant:
    """Open the assistant of a home, with the settings that flags gave."""
    from kb_assistant.assistant import Assistant

    return Assistant.open(home, **settings)
