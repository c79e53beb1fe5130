"""`kb search`, `ask`, `chat` and `demo`, and how they print passages and answers."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from kb_assistant.cli.options import (
    ADAPTER,
    COLLECTION,
    DEBUG,
    DOCUMENTS,
    ENGINE,
    JSON,
    LANGUAGE_MODEL,
    MODEL,
    open_assistant,
    with_options,
)
from kb_assistant.cli.output import (
    one_line,
    print_destination,
    print_engine_note,
    print_localized,
    print_message,
    print_result,
)
from kb_assistant.cli.typed_input import read_all, read_lines
from kb_assistant.errors import UsageError
from kb_assistant.language import language_of

if TYPE_CHECKING:
    from kb_assistant.answering.presentation import Emphasis
    from kb_assistant.answering.types import Answer, Turn
    from kb_assistant.assistant import Assistant
    from vectorstore import Filter, Hit

__all__ = ["ask", "chat", "demo", "print_answer", "search"]

_CHAT_COMMANDS = {
    **dict.fromkeys(("help", "?", "？", "帮助"), "help"),
    **dict.fromkeys(("clear", "清空"), "clear"),
    **dict.fromkeys(("exit", "quit", "退出"), "exit"),
}
"""What can be typed in `kb chat` instead of a question, with or without a slash before it."""
_CHAT_HELP = {
    "en": """\
Type a question, or one of these:
  clear  forget the conversation so far
  help   show this list
  exit   leave; so does Ctrl-D
Ctrl-C stops an answer.""",
    "zh": """\
请输入问题，或以下命令：
  清空  忘掉此前的对话（clear）
  帮助  显示本说明（help）
  退出  结束对话（exit），也可以按 Ctrl-D
回答过程中按 Ctrl-C 可以停止。""",
}


@click.command()
@click.argument("question", metavar="QUESTION")
@click.option("-k", "limit", type=click.IntRange(1, 1000), default=10, show_default=True, help="How many passages.")
@with_options(*DOCUMENTS, COLLECTION, JSON)
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
    from kb_assistant import serialization

    asked, only = _question(question), _only(source, types, since, until)
    with open_assistant(home) as assistant:
        hits = assistant.search(asked, limit=limit, collection=collection, only=only)
    print_result(serialization.to_json(serialization.hits_json(asked, hits)) if as_json else _hits_text(hits))


@click.command()
@click.argument("question", metavar="QUESTION")
@with_options(*DOCUMENTS, COLLECTION, *LANGUAGE_MODEL, JSON)
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
    with open_assistant(home, **language_model) as assistant:
        if not as_json:
            print_destination(assistant)
        print_answer(assistant, asked, collection, only=only, as_json=as_json)
        print_engine_note(assistant)


@click.command()
@with_options(COLLECTION, *LANGUAGE_MODEL)
def chat(collection: str | None, home: Path | None, **language_model: str | None) -> None:
    """Ask one question after another; "help" lists what else can be typed."""
    history: list[Turn] = []
    with open_assistant(home, **language_model) as assistant:
        assistant.sources(collection)  # says at once if there is nothing to ask
        _ = assistant.engine  # and if its model cannot be used
        print_engine_note(assistant)
        print_destination(assistant)
        for line in read_lines("> "):
            command = _CHAT_COMMANDS.get(line.removeprefix("/").casefold())
            if command == "exit":
                return
            if command == "clear":
                history.clear()
            elif command == "help":
                print_result(_CHAT_HELP[language_of(line)])
            elif line:
                history += _answered(assistant, line, collection, tuple(history))


def _answered(assistant: Assistant, question: str, collection: str | None, history: tuple[Turn, ...]) -> list[Turn]:
    """Print the answer, and return its turn; none where it was stopped, or the question cannot be asked."""
    try:
        return [print_answer(assistant, question, collection, history=history).turn]
    except KeyboardInterrupt:
        click.echo(err=True)
        print_message("(stopped)")
    except UsageError as error:
        print_message(f"kb: {error}")
    return []


@click.command()
@click.argument("question", required=False, metavar="[QUESTION]")
@ENGINE
@MODEL
@ADAPTER
@JSON
@DEBUG
def demo(question: str | None, as_json: bool, **language_model: str | None) -> None:
    """Ask the bundled handbook of an invented company, in a throw-away home."""
    from kb_assistant.demo import QUESTIONS, handbook

    with handbook(**language_model) as (assistant, report):
        if not as_json:
            print_localized(f"Ingested {report.added} sample documents in {report.seconds:.1f} s.")
            print_destination(assistant)
        asked = [question] if question else list(QUESTIONS)[: 1 if as_json else None]
        for each in asked:
            if not as_json:
                click.echo(f"\n> {each}")
            print_answer(assistant, each, None, as_json=as_json)
        print_engine_note(assistant)


def print_answer(
    assistant: Assistant,
    question: str,
    collection: str | None,
    *,
    history: tuple[Turn, ...] = (),
    only: Filter | None = None,
    as_json: bool = False,
) -> Answer:
    """Print an answer as it streams in, or as one JSON document, and return it."""
    from kb_assistant import serialization
    from kb_assistant.answering.follow_up import searched_text
    from kb_assistant.answering.presentation import CHECKED, annotated, answer_json, citations_text

    answer: Answer | None = None
    written = ""
    at_once = assistant.engine_name == "extractive"  # nothing is streamed then, so highlights can be shown
    for piece in assistant.stream(question, collection=collection, history=history, only=only):
        if not isinstance(piece, str):
            answer = piece
        elif not (as_json or at_once):
            written += piece
            print_result(piece, end="")
    assert answer is not None  # a stream ends with its answer, or raises
    if as_json:
        print_result(serialization.to_json(answer_json(answer)))
        return answer
    shown = annotated(answer.text, answer.unsupported, answer.highlights, _styled)
    if at_once:
        click.echo(shown, nl=False)
    elif answer.unsupported or written.split() != answer.text.split():  # citations may have moved as well
        click.echo(f"\n\n{CHECKED[language_of(question)]}\n{shown}", nl=False)
    below = "\n".join(part for part in (searched_text(answer), citations_text(answer)) if part)
    print_result(f"\n\n{below}" if below else "")
    return answer


def _styled(words: str, emphasis: Emphasis) -> str:
    from kb_assistant.serialization import printable

    if emphasis == "highlight":
        return click.style(printable(words), bold=True)
    return click.style(words, fg="yellow") if emphasis == "note" else printable(words)


def _only(source: str | None, types: tuple[str, ...], since: datetime | None, until: datetime | None) -> Filter:
    from kb_assistant.answering.filters import build_filter

    return build_filter(source, types, since and since.date(), until and until.date())


def _question(argument: str) -> str:
    return read_all() if argument == "-" else argument


def _hits_text(hits: Iterable[Hit]) -> str:
    lines = []
    for hit in hits:
        page = f"p. {hit.page} " if hit.page else ""
        heading = f"  {' › '.join(hit.heading)}" if hit.heading else ""
        place = str(hit.line_start) if hit.line_start == hit.line_end else f"{hit.line_start}-{hit.line_end}"
        lines.append(f"{hit.rank:>2}. {hit.score:.2f}  {page}{one_line(hit.source)}:{place}{heading}")
        lines.append(f"      {one_line(hit.text)}")
    return "\n".join(lines) or "nothing found"
