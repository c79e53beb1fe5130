"""The command line: parse, one call of `Assistant`, render.

Nothing heavy is imported before a command runs, so that `kb --help` answers at once.
"""

from __future__ import annotations

import click

from kb_assistant.cli import access, collections, documents, models, quality, questions, serving

__all__ = ["cli"]


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="kb-assistant", prog_name="kb")
def cli() -> None:
    """Ask your own documents, in Chinese or English. Nothing leaves this machine unless you set a server up.

    Start with: kb ingest FOLDER, then: kb ask QUESTION
    """


for command in (
    documents.ingest,
    documents.sources,
    documents.remove,
    collections.collections,
    collections.folders,
    questions.search,
    questions.ask,
    questions.chat,
    questions.demo,
    models.models,
    serving.serve,
    serving.mcp,
    quality.evaluate,
    quality.bench,
    quality.doctor,
    access.user,
    access.key,
):
    cli.add_command(command)
