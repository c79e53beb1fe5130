"""`kb` as a process: runs the command line, and turns every error into one line and an exit code."""

from __future__ import annotations

import logging
import os
import sys
import traceback
import warnings
from contextlib import suppress

import click

from kb_assistant.cli import cli
from kb_assistant.errors import KbError
from kb_assistant.privacy import keep_offline

__all__ = ["main"]


def main() -> None:
    """Run the command line; every error is one line on stderr, and one JSON document with --json."""
    as_json, debug = "--json" in sys.argv, "--debug" in sys.argv
    keep_offline()
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:  # a service may start without them
            stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    if not debug:
        warnings.simplefilter("ignore")
        logging.basicConfig(level=logging.CRITICAL)
    try:
        code = _in_user_language(cli).main(prog_name="kb", standalone_mode=False)
        if sys.stdout is not None:
            sys.stdout.flush()
    except (BrokenPipeError, SystemExit):  # what click makes of it: the reader, such as `head`, has seen enough
        code = 0
    except BaseException as error:  # noqa: BLE001 - the one place where errors become lines
        code = _report(error, as_json=as_json, debug=debug)
    if sys.stdout is not None:
        try:
            sys.stdout.flush()
        except OSError:  # nobody can read it any more; without this Python would try again, and complain
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.exit(code)


def _in_user_language(command: click.Command) -> click.Command:
    """Set the language of messages, and return the command with help in it."""
    from kb_assistant.messages import use_language, user_language

    language = user_language(_language_setting())
    use_language(language)
    if language == "en":
        return command
    from kb_assistant.cli.help import in_chinese

    return in_chinese(command)


def _language_setting() -> str:
    """The setting `language`, read without loading the settings: help takes a tenth of a second."""
    if "KB_LANGUAGE" in os.environ:
        return os.environ["KB_LANGUAGE"]
    import tomllib
    from pathlib import Path

    from platformdirs import user_data_path

    given = sys.argv[sys.argv.index("--home") + 1 :][:1] if "--home" in sys.argv else []
    home = Path(next(iter(given), os.environ.get("KB_HOME")) or user_data_path("kb-assistant", appauthor=False))
    try:
        return str(tomllib.loads((home.expanduser() / "kb.toml").read_text(encoding="utf-8")).get("language", "auto"))
    except (OSError, ValueError):
        return "auto"  # loading the settings says what is wrong with the file


def _report(error: BaseException, *, as_json: bool, debug: bool) -> int:
    code, message = _explained(error)
    if debug:
        traceback.print_exception(error)
    from kb_assistant.messages import localized
    from kb_assistant.serialization import printable, to_json

    message = " ".join(message.split())
    click.echo(f"kb: {printable(localized(message))}", err=True)
    if as_json:
        with suppress(OSError):  # stdout itself may be what failed
            click.echo(to_json({"error": {"kind": type(error).__name__, "message": message, "exit_code": code}}))
    return code


def _explained(error: BaseException) -> tuple[int, str]:
    """Return an error's exit code and its one line."""
    if isinstance(error, KbError):
        return error.exit_code, str(error)
    if isinstance(error, (KeyboardInterrupt, click.Abort)):
        return 130, "interrupted"
    if isinstance(error, click.ClickException):
        context = getattr(error, "ctx", None)
        hint = f"; see {context.command_path} --help" if context else ""
        return 2, f"{error.format_message().rstrip('.')}{hint}"
    if isinstance(error, OSError) and error.filename:
        return 3, f"{error.filename}: {error.strerror}"
    words = " ".join(str(error).split())
    return 3, f"internal error ({type(error).__name__}: {words}); run it again with --debug for the details"
