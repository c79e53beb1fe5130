"""Help of the command line in Chinese: commands and options translated, and lines wrapped by display width."""

from __future__ import annotations

import inspect
import re
import unicodedata
from collections.abc import Iterable
from copy import copy

import click

from kb_assistant.cli.output import columns_of
from kb_assistant.messages import translate

__all__ = ["in_chinese", "unwrapped"]


def in_chinese(command: click.Command) -> click.Command:
    """Return a copy of a command, its sub-commands and their options with Chinese help."""
    command = copy(command)
    command.context_class = _ChineseContext
    if command.help:
        command.help = translate(unwrapped(command.help), "zh")
        command.short_help = re.split(r"\n\n|[。；]", command.help)[0]
    command.params = [_with_chinese_help(parameter) for parameter in command.params]
    if isinstance(command, click.Group):
        command.commands = {name: in_chinese(member) for name, member in command.commands.items()}
    return command


def unwrapped(help_text: str) -> str:
    """Return a docstring with each paragraph on one line; indented lines stay as they are."""
    return re.sub(r"(?<!\n)\n(?=\S)", " ", inspect.cleandoc(help_text))


def _with_chinese_help(parameter: click.Parameter) -> click.Parameter:
    parameter = copy(parameter)
    if isinstance(parameter, click.Option) and parameter.help:
        parameter.help = translate(parameter.help, "zh")
    return parameter


class _ChineseHelpFormatter(click.HelpFormatter):
    """Writes click's own words in Chinese; a Chinese character takes two columns."""

    def write_usage(self, prog: str, args: str = "", prefix: str | None = None) -> None:
        """Write the usage line."""
        super().write_usage(prog, args, "用法：")

    def write_heading(self, heading: str) -> None:
        """Write the heading of a section."""
        super().write_heading(translate(heading, "zh"))

    def write_text(self, text: str) -> None:
        """Write paragraphs, wrapped."""
        blank = " " * self.current_indent
        paragraphs = [" ".join(paragraph.split()) for paragraph in text.split("\n\n")]
        wrapped = ("\n".join(blank + line for line in _wrap(words, self.width - len(blank))) for words in paragraphs)
        self.write("\n\n".join(wrapped) + "\n")

    def write_dl(self, rows: Iterable[tuple[str, str]], col_max: int = 30, col_spacing: int = 2) -> None:
        """Write rows of terms and explanations."""
        rows = list(rows)
        column = min(max((columns_of(term) for term, _ in rows), default=0), col_max) + col_spacing
        blank = " " * self.current_indent
        for term, text in rows:
            text = translate(text, "zh").replace("[default: ", "[默认：")
            lines = _wrap(text, max(self.width - len(blank) - column, 20))
            first = term + " " * max(column - columns_of(term), col_spacing)
            self.write((blank + first + (lines[0] if lines else "")).rstrip() + "\n")
            for line in lines[1:]:
                self.write(blank + " " * column + line + "\n")


class _ChineseContext(click.Context):
    formatter_class = _ChineseHelpFormatter


_NOT_FIRST = "，。；：、？！）》」』”’"


def _wrap(text: str, width: int) -> list[str]:
    """Wrap at blanks and between Chinese characters, none of whose punctuation begins a line."""
    lines, line = [], ""
    for piece in _pieces(text):
        if line and columns_of(line + piece.rstrip()) > width and piece[0] not in _NOT_FIRST:
            lines.append(line.rstrip())
            line = ""
        line += piece if line else piece.lstrip()
    return [*lines, line.rstrip()] if line.strip() else lines


def _pieces(text: str) -> list[str]:
    """Words with the blank after them, and Chinese characters one by one."""
    pieces: list[str] = []
    for character in text:
        wide = unicodedata.east_asian_width(character) in "WF"
        if pieces and not wide and not pieces[-1].endswith(" ") and columns_of(pieces[-1][-1]) == 1:
            pieces[-1] += character
        else:
            pieces.append(character)
    return pieces
