"""`kb models`: the models on this machine."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from kb_assistant.cli.options import JSON, with_options
from kb_assistant.cli.output import print_message, print_outcome, progress_bar

if TYPE_CHECKING:
    from kb_assistant.models.catalogue import CatalogueEntry
    from kb_assistant.models.registry import ModelInfo

__all__ = ["models"]


@click.group()
def models() -> None:
    """Models on this machine: list them, pull one, convert one to int4, remove one."""


@models.command("list")
@click.option("--available", is_flag=True, help="List the models that kb models pull knows by name.")
@with_options(JSON)
def list_(available: bool, as_json: bool, home: Path | None) -> None:
    """List the models in KB_HOME/models."""
    from dataclasses import asdict

    if available:
        from kb_assistant.models.catalogue import catalogue

        entries = catalogue()
        print_outcome([entry.model_dump() for entry in entries], _catalogue_text(entries), as_json=as_json)
        return
    from kb_assistant.models.registry import list_models
    from kb_assistant.settings import home_folder

    folder = home_folder(home) / "models"
    found = list_models(folder)
    print_outcome([asdict(model) for model in found], _models_text(found, folder), as_json=as_json)


@models.command()
@click.argument("wanted", metavar="NAME|OWNER/REPO")
@click.option(
    "--from", "origin", metavar="hf|modelscope|DIR", default="hf", show_default=True, help="Hub or folder to pull from."
)
@click.option("--revision", metavar="R", help="Branch, tag or commit; default: the catalogue's, or the newest.")
@click.option("--trust-remote-code", is_flag=True, help="Also take the Python code in DIR.")
@with_options(JSON)
def pull(
    wanted: str, origin: str, revision: str | None, trust_remote_code: bool, as_json: bool, home: Path | None
) -> None:
    """Pull a model from a hub or a folder; run again, it resumes an interrupted download."""
    from dataclasses import asdict

    from kb_assistant.models.pull import pull_model
    from kb_assistant.settings import home_folder

    with progress_bar(of_bytes=True) as progress:
        made = pull_model(
            wanted,
            home_folder(home) / "models",
            origin=origin,
            revision=revision,
            trust_remote_code=trust_remote_code,
            progress=progress,
            notify=print_message,
        )
    print_outcome(asdict(made), _pulled_text(made), as_json=as_json)


@models.command()
@click.argument("source", metavar="MODEL")
@click.option(
    "--to", metavar="ENGINE", default="ipex", show_default=True, help="Engine to convert for: ipex or openvino."
)
@click.option("--name", metavar="NAME", help="Name of the converted model; default: MODEL's name and the format.")
@click.option("--low-bit", metavar="FORMAT", help="Weight format for ipex; default: sym_int4.")
@click.option("--trust-remote-code", is_flag=True, help="Run Python code from the model's folder.")
@with_options(JSON)
def convert(
    source: str,
    to: str,
    name: str | None,
    low_bit: str | None,
    trust_remote_code: bool,
    as_json: bool,
    home: Path | None,
) -> None:
    """Convert a language model once, so that it loads in seconds.

    MODEL is the name of a pulled model, or a folder with full weights; for openvino also a GGUF file.
    """
    from dataclasses import asdict

    from kb_assistant.llms import find_model
    from kb_assistant.models.convert import convert_model
    from kb_assistant.settings import home_folder

    folder = home_folder(home) / "models"
    made = convert_model(
        find_model(source, folder),
        folder,
        name=name,
        to=to,
        low_bit=low_bit,
        trust_remote_code=trust_remote_code,
        notify=print_message,
    )
    done = f"{made.name}: {made.bytes / 1e6:,.0f} MB as {made.format}; use it with: kb ask QUESTION --model {made.name}"
    print_outcome(asdict(made), done, as_json=as_json)


@models.command("remove")
@click.argument("name")
@with_options(JSON)
def remove_(name: str, as_json: bool, home: Path | None) -> None:
    """Delete a model from KB_HOME/models."""
    from dataclasses import asdict

    from kb_assistant.models.registry import remove_model
    from kb_assistant.settings import home_folder

    gone = remove_model(home_folder(home) / "models", name)
    print_outcome(asdict(gone), f"removed: {gone.name} ({gone.bytes / 1e6:,.0f} MB)", as_json=as_json)


def _models_text(models: Sequence[ModelInfo], folder: Path) -> str:
    lines = [f"{model.name}  {model.kind}, {model.format}, {model.bytes / 1e6:,.0f} MB" for model in models]
    return (
        "\n".join(lines)
        or f"no models in {folder}; pull one: kb models pull NAME (kb models list --available shows names)"
    )


def _catalogue_text(entries: Iterable[CatalogueEntry]) -> str:
    lines = []
    for entry in entries:
        languages = "+".join(entry.languages)
        what = f"{entry.kind}, {languages}, about {entry.size_gb:g} GB, memory about {entry.memory_gb:g} GB"
        lines.append(f"{entry.name:<24} {what}" + (f"; for {entry.engine}" if entry.engine else ""))
    return "\n".join(lines)


def _pulled_text(model: ModelInfo) -> str:
    """Return what was pulled, and how to use it."""
    ready = f"kb ask QUESTION --model {model.name}"
    use = {
        "language": ready if model.format == "openvino" else f"kb models convert {model.name}",
        "embedding": f'embedding_model = "{model.name}" in kb.toml, and kb ingest again',
        "reranker": f'reranker = "{model.name}" in kb.toml',
        "unknown": "kb models list shows what it is",
    }
    return f"{model.name}: {model.bytes / 1e6:,.0f} MB; next: {use[model.kind]}"
