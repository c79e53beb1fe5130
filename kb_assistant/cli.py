"""The command line: parse, one call of `Assistant`, render.

Nothing heavy is imported before a command runs, so that `kb --help` answers at once.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from kb_assistant.errors import EmptiedFolderError, KbError, UsageError
from kb_assistant.language import language_of

if TYPE_CHECKING:
    from kb_assistant.answer import Answer, Turn
    from kb_assistant.assistant import Assistant
    from kb_assistant.indexing import IngestReport
    from vectorstore import Filter

__all__ = ["cli"]

_LONGEST_SHOWN = 60

_HOME = click.option("--home", type=click.Path(path_type=Path), help="Folder that holds everything (KB_HOME).")
# `entry.main` looks for it itself, since it matters before a command is known.
_DEBUG = click.option("--debug", is_flag=True, expose_value=False, help="Show tracebacks and library messages.")
_JSON = click.option("--json", "as_json", is_flag=True, help="Print one JSON document on stdout.")
_COLLECTION = click.option("--collection", metavar="NAME", help="Collection to use.")
_ENGINE = click.option("--engine", metavar="NAME", help="auto, ipex, openvino, openai or extractive.")
_MODEL = click.option("--model", metavar="PATH", help="Folder or GGUF file of a language model, or its name.")
_ADAPTER = click.option("--adapter", metavar="FOLDER", help="Folder of a LoRA adapter for it, or its name there.")
_LANGUAGE_MODEL = (_ENGINE, _MODEL, _ADAPTER)
"""Settings, given to the command as keywords."""

_DAY = click.DateTime(["%Y-%m-%d"])
_DOCUMENTS = (
    click.option("--source", metavar="GLOB", help="Only documents whose names match."),
    click.option("--type", "types", multiple=True, metavar="TYPE", help="Only such, as pdf or word. Repeatable."),
    click.option("--since", type=_DAY, metavar="DATE", help="Only files changed on that day (2024-12-31) or later."),
    click.option("--until", type=_DAY, metavar="DATE", help="Only files not changed after that day."),
)


def _options(*options: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Add the options that every command has, and these."""

    def decorate(function: Any) -> Any:
        for option in reversed([*options, _HOME, _DEBUG]):
            function = option(function)
        return function

    return decorate


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="kb-assistant", prog_name="kb")
def cli() -> None:
    """Ask your own documents, in Chinese or English. Nothing leaves this machine unless you set a server up.

    Start with: kb ingest FOLDER, then: kb ask QUESTION
    """


@cli.command()
@click.argument("paths", nargs=-1, metavar="PATH...", type=click.Path(path_type=Path))
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
@_options(_COLLECTION, _JSON)
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

    from kb_assistant import render

    given = {"--watch": watch, "--dry-run": dry_run, "--keep-missing": keep_missing, "--delete-missing": delete_missing}
    for pair in (("--watch", "--dry-run"), ("--watch", "--delete-missing"), ("--keep-missing", "--delete-missing")):
        if all(given[flag] for flag in pair):
            raise UsageError(f"{' and '.join(pair)} do not go together; give one of them")
    if watch and not paths:
        raise UsageError("--watch needs the folders to watch; name them")
    known = tuple(click.prompt("Password", hide_input=True, err=True) if one == "-" else one for one in passwords)
    options: dict[str, Any] = {"collection": collection, "keep_missing": keep_missing, "passwords": known}
    with _assistant(home) as assistant:
        if watch:
            report = _followed(assistant.watch(*paths, waiting=_tell, **options), quiet=as_json)
        else:
            report = _ingested(
                assistant, *paths, ask=not as_json, dry_run=dry_run, delete_missing=delete_missing, **options
            )
    if as_json or not watch:
        _say(render.to_json(asdict(report)) if as_json else render.report_text(report, dry_run=dry_run))
    return 1 if report.failed else 0


def _ingested(assistant: Assistant, *paths: Path, ask: bool, **options: Any) -> IngestReport:
    """Run it; where a folder is found empty, ask whoever sits at the terminal."""
    try:
        with _progress_bar() as progress:
            return assistant.ingest(*paths, progress=progress, waiting=_tell, **options)
    except EmptiedFolderError as error:
        if not (
            ask
            and sys.stdin.isatty()
            and click.confirm(
                f"{_short(str(error.folder))} is {error.state} now. Delete its {error.documents} documents?", err=True
            )
        ):
            raise
    return _ingested(assistant, *paths, ask=False, **{**options, "delete_missing": True})


def _followed(reports: Iterator[IngestReport], *, quiet: bool) -> IngestReport:
    """Print each report until Ctrl-C, and return all of them as one."""
    from kb_assistant import render
    from kb_assistant.indexing import in_a_row

    done: list[IngestReport] = []
    try:
        for report in reports:
            done.append(report)
            if not quiet and (len(done) == 1 or report.changed):
                _say(render.report_text(report, dry_run=False))
            if len(done) == 1:
                _tell("watching for changes; Ctrl-C stops it")
    except KeyboardInterrupt:
        if not done:
            raise
    return in_a_row(done)


@cli.command()
@click.argument("question", metavar="QUESTION")
@click.option("-k", "limit", type=click.IntRange(1, 1000), default=10, show_default=True, help="How many passages.")
@_options(*_DOCUMENTS, _COLLECTION, _JSON)
def search(
    question: str,
    limit: int,
    source: str | None,
    types: tuple[str, ...],
    since: datetime | None,
    until: datetime | None,
    collection: str | None,
    as_json: bool,
    home: Path | None,
) -> None:
    """Find passages, without an answer."""
    from kb_assistant import render

    asked, only = _question(question), _only(source, types, since, until)
    with _assistant(home) as assistant:
        hits = assistant.search(asked, limit=limit, collection=collection, only=only)
    _say(render.to_json(render.hits_json(asked, hits)) if as_json else render.hits_text(hits))


@cli.command()
@click.argument("question", metavar="QUESTION")
@_options(*_DOCUMENTS, _COLLECTION, *_LANGUAGE_MODEL, _JSON)
def ask(
    question: str,
    source: str | None,
    types: tuple[str, ...],
    since: datetime | None,
    until: datetime | None,
    collection: str | None,
    as_json: bool,
    home: Path | None,
    **language_model: str | None,
) -> None:
    """Answer one question, with citations; "-" reads it from standard input."""
    asked, only = _question(question), _only(source, types, since, until)
    with _assistant(home, **language_model) as assistant:
        if not as_json:
            _say_where_to(assistant, language_of(asked))
        _answer(assistant, asked, collection, only=only, as_json=as_json)
        _say_if_extractive(assistant)


@cli.command()
@_options(_COLLECTION, *_LANGUAGE_MODEL)
def chat(collection: str | None, home: Path | None, **language_model: str | None) -> None:
    """Ask one question after another; "clear" forgets the conversation, "exit" ends it."""
    history: list[Turn] = []
    with _assistant(home, **language_model) as assistant:
        assistant.sources(collection)  # says at once if there is nothing to ask
        _ = assistant.engine  # and if its model cannot be used
        _say_if_extractive(assistant)
        _say_where_to(assistant)
        while (line := _read_line()) is not None and line not in ("exit", "quit"):
            if line == "clear":
                history.clear()
                continue
            if not line:
                continue
            try:
                answer = _answer(assistant, line, collection, history=tuple(history))
            except KeyboardInterrupt:
                click.echo("\n(stopped)", err=True)
                continue
            except UsageError as error:
                click.echo(f"kb: {error}", err=True)
                continue
            history.append(answer.turn)


@cli.command()
@click.option("--host", help="Address to listen on.  [default: 127.0.0.1]")
@click.option("--port", type=click.IntRange(0, 65535), help="Port to listen on.  [default: 7860]")
@_options(_COLLECTION, *_LANGUAGE_MODEL)
def serve(
    host: str | None, port: int | None, collection: str | None, home: Path | None, **language_model: str | None
) -> None:
    """Serve a web page that answers questions, on this machine only."""
    from kb_assistant.web.server import serve as run

    with _assistant(home, host=host, port=port, collection=collection, **language_model) as assistant:
        _ = assistant.engine  # says at once if its model cannot be used
        _say_where_to(assistant)
        run(assistant, announce=lambda url: click.echo(f"kb is at {url} (Ctrl-C stops it)"))


@cli.command()
@_options(_COLLECTION, _JSON)
def sources(collection: str | None, as_json: bool, home: Path | None) -> None:
    """List the documents in a collection."""
    from kb_assistant import render

    with _assistant(home) as assistant:
        found = assistant.sources(collection)
    _say(render.to_json(render.sources_json(found)) if as_json else render.sources_text(found))


@cli.command()
@click.argument("names", nargs=-1, required=True, metavar="SOURCE...")
@_options(_COLLECTION, _JSON)
def remove(names: tuple[str, ...], collection: str | None, as_json: bool, home: Path | None) -> None:
    """Remove documents from a collection, by name or pattern; the files stay."""
    from kb_assistant import render

    with _assistant(home) as assistant:
        removed = assistant.remove(*names, collection=collection, waiting=_tell)
    _say(render.to_json({"removed": removed}) if as_json else f"removed: {', '.join(removed)}")


@cli.command()
@_options(_JSON)
def collections(as_json: bool, home: Path | None) -> None:
    """List the collections."""
    from kb_assistant import render

    with _assistant(home) as assistant:
        found = assistant.collections()
    _say(render.to_json(render.collections_json(found)) if as_json else render.collections_text(found))


@cli.command("eval")
@click.argument("file", metavar="FILE", type=click.Path(path_type=Path))
@click.option("--limit", type=click.IntRange(min=1), help="Ask at most so many questions, drawn with a fixed seed.")
@click.option("--compare", multiple=True, metavar="SETTING=VALUE", help="A second run with this setting. Repeatable.")
@click.option("--calibrate", is_flag=True, help="Fit the refusal threshold to your collection, and keep it in kb.toml.")
@_options(_COLLECTION, *_LANGUAGE_MODEL, _JSON)
def evaluate(
    file: Path,
    limit: int | None,
    compare: tuple[str, ...],
    calibrate: bool,
    collection: str | None,
    as_json: bool,
    home: Path | None,
    **language_model: str | None,
) -> None:
    """Measure quality on a question set: SQuAD JSON, JSON lines or RGB's lines."""
    from kb_assistant import render

    if calibrate and compare:
        raise UsageError("--calibrate and --compare do not go together; give one of them")
    changes = dict(_setting(one) for one in compare)
    with _assistant(home, **language_model) as assistant, _progress_bar() as progress:
        if not as_json:
            _say_where_to(assistant)
        if calibrate:
            fitted = assistant.calibrate(file, collection=collection, limit=limit, progress=progress)
            _say(render.to_json(render.calibration_json(fitted)) if as_json else render.calibration_text(fitted))
            return
        found = assistant.evaluate(file, collection=collection, limit=limit, compare=changes, progress=progress)
    _say(render.to_json(render.evaluation_json(found)) if as_json else render.evaluation_text(found))


@cli.command()
@click.option("--shape", metavar="NAME", help="Measure every engine on random weights of a shape, as qwen2-1.5b.")
@click.option("--tokenizer", metavar="FOLDER", type=click.Path(path_type=Path), help="The tokenizer for them.")
@click.option("--prompt-tokens", type=click.IntRange(16), multiple=True, help="Length of a prompt. Repeatable.")
@click.option("--new-tokens", type=click.IntRange(8), default=64, show_default=True, help="Length of an answer.")
@_options(*_LANGUAGE_MODEL, _JSON)
def bench(
    shape: str | None,
    tokenizer: Path | None,
    prompt_tokens: tuple[int, ...],
    new_tokens: int,
    as_json: bool,
    home: Path | None,
    **language_model: str | None,
) -> None:
    """Measure the speed and memory of language and embedding models on this machine."""
    from kb_assistant import render

    with _assistant(home, **language_model) as assistant:
        if not shape:
            _say_where_to(assistant)
        found = list(
            assistant.bench(
                shape=shape, tokenizer=tokenizer, prompt_tokens=prompt_tokens, new_tokens=new_tokens, progress=_tell
            )
        )
    _say(render.to_json(render.bench_json(found)) if as_json else render.bench_text(found))


@cli.command()
@_options(_COLLECTION, *_LANGUAGE_MODEL)
def mcp(collection: str | None, home: Path | None, **language_model: str | None) -> None:
    """Serve search and ask to other programs over MCP, on stdin and stdout."""
    try:
        from kb_assistant.mcp_server import build_server
    except ModuleNotFoundError as error:
        raise KbError(f'kb mcp needs {error.name}; run: pip install -c constraints.txt -e ".[mcp]"') from error

    with _assistant(home, collection=collection, **language_model) as assistant:
        _say_where_to(assistant)
        build_server(assistant).run()


@cli.group()
def models() -> None:
    """Models on this machine: list them, pull one, convert one to int4, remove one."""


@models.command("list")
@click.option("--available", is_flag=True, help="List those that kb models pull knows by name.")
@_options(_JSON)
def list_(available: bool, as_json: bool, home: Path | None) -> None:
    """List the models in KB_HOME/models."""
    from dataclasses import asdict

    from kb_assistant import render

    if available:
        from kb_assistant.model_catalogue import catalogue

        entries = catalogue()
        _say(render.to_json([one.model_dump() for one in entries]) if as_json else render.catalogue_text(entries))
        return
    from kb_assistant.models import list_models
    from kb_assistant.settings import home_folder

    folder = home_folder(home) / "models"
    found = list_models(folder)
    _say(render.to_json([asdict(one) for one in found]) if as_json else render.models_text(found, folder))


@models.command()
@click.argument("wanted", metavar="NAME|OWNER/REPO")
@click.option("--from", "origin", metavar="hf|modelscope|DIR", default="hf", show_default=True, help="Where it is.")
@click.option("--revision", metavar="R", help="Branch, tag or commit; the newest else.")
@click.option("--trust-remote-code", is_flag=True, help="Bring Python code that the model needs along.")
@_options(_JSON)
def pull(
    wanted: str, origin: str, revision: str | None, trust_remote_code: bool, as_json: bool, home: Path | None
) -> None:
    """Bring a model to this machine, from a hub or a folder; run again, it goes on where it was broken off."""
    from dataclasses import asdict

    from kb_assistant import render
    from kb_assistant.pulling import pull_model
    from kb_assistant.settings import home_folder

    with _progress_bar(of_bytes=True) as progress:
        made = pull_model(
            wanted,
            home_folder(home) / "models",
            origin=origin,
            revision=revision,
            trust_remote_code=trust_remote_code,
            progress=progress,
            tell=_tell,
        )
    _say(render.to_json(asdict(made)) if as_json else render.pulled_text(made))


@models.command()
@click.argument("source", type=click.Path(path_type=Path), metavar="MODEL")
@click.option("--to", metavar="ENGINE", default="ipex", show_default=True, help="ipex or openvino.")
@click.option("--name", metavar="NAME", help="What to call it; MODEL's name and the format else.")
@click.option("--low-bit", metavar="FORMAT", help="Format of the weights for ipex; sym_int4 else.")
@click.option("--trust-remote-code", is_flag=True, help="Run Python code that the model brings along.")
@_options(_JSON)
def convert(
    source: Path,
    to: str,
    name: str | None,
    low_bit: str | None,
    trust_remote_code: bool,
    as_json: bool,
    home: Path | None,
) -> None:
    """Convert a language model once, so that it loads in seconds from then on.

    MODEL is a folder of full weights; for openvino that of a Qwen2, or a GGUF file.
    """
    from dataclasses import asdict

    from kb_assistant import render
    from kb_assistant.models import convert_model
    from kb_assistant.privacy import keep_offline
    from kb_assistant.settings import home_folder

    keep_offline()
    made = convert_model(
        source.expanduser(),
        home_folder(home) / "models",
        name=name,
        to=to,
        low_bit=low_bit,
        trust_remote_code=trust_remote_code,
        progress=_tell,
    )
    done = f"{made.name}: {made.bytes / 1e6:,.0f} MB in {made.format}; use it: kb ask QUESTION --model {made.name}"
    _say(render.to_json(asdict(made)) if as_json else done)


@models.command("remove")
@click.argument("name")
@_options(_JSON)
def remove_(name: str, as_json: bool, home: Path | None) -> None:
    """Delete a model from KB_HOME/models."""
    from dataclasses import asdict

    from kb_assistant import render
    from kb_assistant.models import remove_model
    from kb_assistant.settings import home_folder

    gone = remove_model(home_folder(home) / "models", name)
    _say(render.to_json(asdict(gone)) if as_json else f"removed: {gone.name} ({gone.bytes / 1e6:,.0f} MB)")


@cli.command()
@_options(*_LANGUAGE_MODEL, _JSON)
def doctor(as_json: bool, home: Path | None, **language_model: str | None) -> int:
    """Check that this machine and the store are sound."""
    from dataclasses import asdict

    from kb_assistant import render
    from kb_assistant.doctor import examine

    findings = examine(home, **language_model)
    _say(render.to_json([asdict(one) for one in findings]) if as_json else render.findings_text(findings))
    return 0 if all(one.ok for one in findings) else 3


@cli.command()
@click.argument("question", required=False, metavar="[QUESTION]")
@_ENGINE
@_MODEL
@_ADAPTER
@_JSON
@_DEBUG
def demo(question: str | None, as_json: bool, **language_model: str | None) -> None:
    """Ask the bundled handbook of an invented company, in a throw-away home."""
    from kb_assistant.demo import QUESTIONS, handbook

    with handbook(**language_model) as (assistant, report):
        if not as_json:
            click.echo(f"Ingested {report.added} sample documents in {report.seconds:.1f} s.")
            _say_where_to(assistant)
        asked = [question] if question else list(QUESTIONS)[: 1 if as_json else None]
        for one in asked:
            if not as_json:
                click.echo(f"\n> {one}")
            _answer(assistant, one, None, as_json=as_json)
        _say_if_extractive(assistant)


def _assistant(home: Path | None, **settings: Any) -> Assistant:
    from kb_assistant.assistant import Assistant

    return Assistant.open(home, **settings)


def _setting(argument: str) -> tuple[str, str]:
    name, equals, value = argument.partition("=")
    if not (name.strip() and equals):
        raise UsageError(f"--compare {argument}: not a setting; write it as SETTING=VALUE, such as passages=10")
    return name.strip(), value.strip()


def _only(source: str | None, types: tuple[str, ...], since: datetime | None, until: datetime | None) -> Filter:
    from kb_assistant.choosing import documents

    return documents(source, types, since and since.date(), until and until.date())


def _question(argument: str) -> str:
    return sys.stdin.read() if argument == "-" else argument


def _read_line() -> str | None:
    try:
        return input("> " if sys.stdin.isatty() else "").strip()
    except EOFError:
        return None


def _answer(
    assistant: Assistant,
    question: str,
    collection: str | None,
    *,
    history: tuple[Turn, ...] = (),
    only: Filter | None = None,
    as_json: bool = False,
) -> Answer:
    """Print an answer, as it is written or as one JSON document, and return it."""
    from kb_assistant import render
    from kb_assistant.conversation import searched_text

    answer: Answer | None = None
    written = ""
    at_once = assistant.engine_name == "extractive"  # then it is not written, and its highlights are known with it
    for piece in assistant.stream(question, collection=collection, history=history, only=only):
        if not isinstance(piece, str):
            answer = piece
        elif not (as_json or at_once):
            written += piece
            _say(piece, end="")
    assert answer is not None  # a stream ends with its answer, or raises
    if as_json:
        _say(render.to_json(render.answer_json(answer)))
        return answer
    if at_once:
        click.echo(
            answer.marked(render.printable, lambda words: click.style(render.printable(words), bold=True)), nl=False
        )
    elif written.split() != answer.text.split():  # what nothing supports is gone, numbers are put right
        _say(f"\n\n{render.CHECKED[language_of(question)]}\n{answer.text}", end="")
    _say("\n\n" + "\n".join(part for part in (searched_text(answer), render.citations_text(answer)) if part))
    return answer


def _short(name: str) -> str:
    """A file's name on one line, without what steers a terminal."""
    from kb_assistant.render import printable

    return " ".join(printable(name).split())[-_LONGEST_SHOWN:]


def _tell(message: str) -> None:
    from kb_assistant.render import printable

    click.echo(" ".join(printable(message).split()), err=True)


def _say(text: str, end: str = "\n") -> None:
    from kb_assistant.render import printable

    click.echo(printable(text) + end, nl=False)


def _say_if_extractive(assistant: Assistant) -> None:
    if assistant.engine_name == "extractive":
        click.echo(
            "(no language model is set: answers are quoted from the documents; --model FOLDER sets one)", err=True
        )


def _say_where_to(assistant: Assistant, language: str = "en") -> None:
    """Say on stderr where questions and passages go, if that is not this machine."""
    from kb_assistant.render import LEAVES

    if host := assistant.sends_to:
        _tell(LEAVES[language].format(host=host))


@contextmanager
def _progress_bar(*, of_bytes: bool = False) -> Iterator[Callable[[int, int, str], None]]:
    """Give a function that shows progress on a terminal, and nothing in a pipe."""
    if not sys.stderr.isatty():
        yield lambda done, total, name: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    count = DownloadColumn() if of_bytes else MofNCompleteColumn()
    columns = (BarColumn(), count, TimeRemainingColumn(), TextColumn("{task.description}", markup=False))
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=None)
        yield lambda done, total, name: bar.update(task, completed=done, total=total, description=_short(name))
