"""Decides which files the `.kbignore` files of a folder tree leave out, by the rules of gitignore."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from pathspec.patterns.gitignore.spec import GitIgnoreSpecPattern

from ingest.encoding import decode

__all__ = ["IGNORE_FILE", "IgnoreRules"]

IGNORE_FILE = ".kbignore"


@dataclass(frozen=True, slots=True)
class _Rule:
    """A line of an ignore file, without the slash at its end that confines it to folders."""

    pattern: GitIgnoreSpecPattern
    only_folders: bool

    def matches(self, path: str, *, is_folder: bool) -> bool:
        """Return whether the rule names this path itself.

        pathspec's own verdict includes paths inside a folder that the rule names, so that "!a"
        after "*" would bring back every file in "a".
        """
        if self.only_folders and not is_folder:
            return False
        found = self.pattern.match_file(path)
        return found is not None and not found.match.groupdict().get("ps_d")


@dataclass(frozen=True, slots=True)
class IgnoreRules:
    """The ignore files that apply inside one folder.

    Attributes:
        levels: (path of the folder that holds an ignore file, its rules), the outermost first.
            Paths are relative to the root of the tree, with forward slashes: "" or "a/b/".
    """

    levels: tuple[tuple[str, tuple[_Rule, ...]], ...] = ()

    def extended(self, folder: Path, prefix: str) -> Self:
        """Return the rules with those of `folder`, whose path in the tree is `prefix`; the same if it has none.

        Raises:
            OSError: the folder has an ignore file that cannot be read.
        """
        path = folder / IGNORE_FILE
        try:
            data = path.read_bytes()
        except (FileNotFoundError, IsADirectoryError):
            return self
        except OSError as error:
            raise _unreadable(path, error.errno, error.strerror) from error
        try:
            lines = decode(data).text.split("\n")
        except UnicodeDecodeError as error:
            raise _unreadable(path, None, "it is not a text file") from error
        return type(self)((*self.levels, (prefix, tuple(_rules(lines)))))

    def exclude(self, name: str, *, is_folder: bool = False) -> bool:
        """Return whether the rules leave out `name`, a path in the tree whose parents they do not leave out."""
        # The last rule that matches decides, the innermost folder's before those further out.
        for prefix, rules in reversed(self.levels):
            path = name[len(prefix) :]
            for rule in reversed(rules):
                if rule.matches(path, is_folder=is_folder):
                    return bool(rule.pattern.include)
        return False


def _unreadable(path: Path, number: int | None, reason: str | None) -> OSError:
    return OSError(number, f"its {IGNORE_FILE} cannot be read: {reason or os.strerror(number or 0)}", str(path))


def _rules(lines: Iterable[str]) -> Iterator[_Rule]:
    for line in lines:
        words = line.rstrip()
        try:
            pattern = GitIgnoreSpecPattern(words[:-1] if words.endswith("/") else line)
        except ValueError:  # not a pattern; git skips such lines too
            continue
        if pattern.include is not None:
            yield _Rule(pattern, words.endswith("/"))
