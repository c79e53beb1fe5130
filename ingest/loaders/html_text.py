"""Text of an HTML block, collected tag by tag with its source lines."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import NamedTuple

from ingest.cleaning import gap

__all__ = ["BlockText", "CodeText", "Lines"]

_WORD = re.compile(r"\S+")
_ENDS = ".:?!。：？！"


class Lines(NamedTuple):
    """The lines of a block, their numbers in the source, and the separator before each."""

    texts: list[str]
    numbers: list[int]
    gaps: list[str]


@dataclass(slots=True)
class _Run:
    """Text from a single source line."""

    pieces: list[str]
    number: int
    after_break: bool

    @property
    def text(self) -> str:
        return " ".join("".join(self.pieces).split())


class BlockText:
    """Collects the text of a paragraph, heading, list item or cell; only `<br>` breaks lines."""

    def __init__(self) -> None:
        self._runs: list[_Run] = []
        self._in_word = False
        self._broken = False

    def add(self, text: str, number: int) -> None:
        """Add text that begins on source line `number`."""
        first, *others = text.split("\n")
        self._add(first, number)
        for line, part in enumerate(others, start=number + 1):
            self._in_word = False
            self._add(part, line)

    def add_space(self) -> None:
        """Separate the words before from those after."""
        if self._runs:
            self._runs[-1].pieces.append(" ")
        self._in_word = False

    def break_line(self) -> None:
        """End the line as `<br>` does."""
        self._in_word = False
        self._broken = True

    def end_term(self) -> None:
        """Put a colon after a term, unless it ends with punctuation; its definition follows."""
        text = self._runs[-1].text if self._runs else ""
        if text:
            self._runs[-1].pieces = [text, " " if text[-1] in _ENDS else ": "]
        self._in_word = False

    def lines(self) -> Lines:
        """Return the collected lines; none if there is only white space."""
        found = Lines([], [], [])
        for run in self._runs:
            text = run.text
            if text:
                before = found.texts[-1] if found.texts else ""
                found.gaps.append("" if not before else "\n" if run.after_break else gap(before, text))
                found.texts.append(text)
                found.numbers.append(run.number)
        return found

    def _add(self, text: str, number: int) -> None:
        if self._in_word and self._runs[-1].number != number:
            # A tag inside a word spans two lines; the word belongs to the line on which it begins.
            rest = _WORD.match(text)
            if rest:
                self._runs[-1].pieces.append(rest[0])
                text = text[rest.end() :]
        if not text:
            return
        if text.isspace():
            self.add_space()
            return
        if self._runs and self._runs[-1].number == number and not self._broken:
            self._runs[-1].pieces.append(text)
        else:
            self._runs.append(_Run([text], number, self._broken))
            self._broken = False
        self._in_word = not text[-1].isspace()


class CodeText:
    """Collects the text of `<pre>` with its line breaks and indentation."""

    def __init__(self) -> None:
        self._lines: list[tuple[list[str], int]] = []

    def add(self, text: str, number: int) -> None:
        """Add text that begins on source line `number`."""
        first, *others = text.split("\n")
        if self._lines:
            self._lines[-1][0].append(first)
        else:
            self._lines.append(([first], number))
        self._lines += [([part], line) for line, part in enumerate(others, start=number + 1)]

    def break_line(self, number: int) -> None:
        """End the line unless it is empty; the next text is on source line `number`."""
        if self._lines and any(self._lines[-1][0]):
            self._lines.append(([], number))

    def lines(self) -> tuple[list[str], list[int]]:
        """Return the lines and their numbers, without empty ones at the top and the bottom."""
        lines = [("".join(pieces).expandtabs().rstrip(), number) for pieces, number in self._lines]
        shown = [index for index, (text, _) in enumerate(lines) if text]
        lines = lines[shown[0] : shown[-1] + 1] if shown else []
        return [text for text, _ in lines], [number for _, number in lines]
