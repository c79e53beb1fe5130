"""Jupyter notebooks (.ipynb): Markdown cells as Markdown, code cells as code, with their printed output."""

from __future__ import annotations

import json
from bisect import bisect_right
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ingest.errors import UnreadableError
from ingest.loaders.markdown import parse_markdown
from ingest.loaders.plain_text import read_text
from ingest.options import LoadOptions
from ingest.parsed import BlockKind, ParsedDocument, TextBuilder, file_lines

__all__ = ["load_notebook"]

# Logs of training runs and tables go on for pages; the beginning shows what they are.
_MOST_OUTPUT_LINES = 50


def load_notebook(path: Path, _options: LoadOptions) -> ParsedDocument:
    """Load a notebook; lines are those of the JSON file.

    Raises:
        UnreadableError: no encoding fits, or it is not a notebook.
    """
    text, notes = read_text(path)
    builder = TextBuilder()
    lines = _SourceLines(text)
    title: str | None = None
    for cell in _cells(path, text) if text.strip() else ():
        source, before = _joined(cell.get("source")), lines.at
        if cell.get("cell_type") == "markdown":
            page = parse_markdown(source)
            title = title or page.title
            starts = lines.of(source)
            for block in page.blocks:
                first = source.count("\n", 0, block.start)
                texts = page.text[block.start : block.end].split("\n")
                numbers = starts[first : first + len(texts)]
                builder.add(block.kind, texts, numbers=numbers, level=block.level)
        else:
            _add_code(builder, lines, source)
        after, lines.at = lines.at, before  # Jupyter writes keys in order: outputs before the source
        for output in cell.get("outputs") or ():
            if isinstance(output, dict):
                _add_code(builder, lines, _shown(output))
        lines.at = max(lines.at, after)
    return builder.build(title=title, notes=notes)


def _cells(path: Path, text: str) -> Iterator[dict[str, Any]]:
    try:
        notebook = json.loads(text)
        cells = notebook["cells"] if "cells" in notebook else notebook["worksheets"][0]["cells"]
        yield from (cell for cell in cells if isinstance(cell, dict))
    except (ValueError, TypeError, KeyError, IndexError, RecursionError) as error:
        raise UnreadableError(f"{path.name}: not a Jupyter notebook, or broken; save it again in Jupyter") from error


def _joined(source: object) -> str:
    """Return text that a notebook holds as a string or as a list of lines."""
    lines = source if isinstance(source, list) else [source]
    return "".join(line for line in lines if isinstance(line, str)).replace("\r\n", "\n").replace("\0", "")


def _shown(output: dict[str, Any]) -> str:
    """Return the plain text of an output; pictures and errors have none."""
    data = output.get("data")
    text = _joined(output.get("text") or (data.get("text/plain") if isinstance(data, dict) else None))
    return "\n".join(text.split("\n")[:_MOST_OUTPUT_LINES])


def _add_code(builder: TextBuilder, lines: _SourceLines, source: str) -> None:
    numbers = lines.of(source)
    shown = [(line.rstrip(), number) for line, number in zip(source.split("\n"), numbers, strict=True)]
    used = [index for index, (line, _) in enumerate(shown) if line]
    if used:
        texts, placed = zip(*shown[used[0] : used[-1] + 1], strict=True)
        builder.add(BlockKind.CODE, texts, numbers=placed)


class _SourceLines:
    """Finds the lines of the JSON file that hold successive texts.

    Attributes:
        at: where to look from.
    """

    def __init__(self, text: str) -> None:
        self.at = 0
        self._text = text
        self._starts = [offset for offset, _ in file_lines(text)]

    def of(self, source: str) -> list[int]:
        """Return the line of the JSON file for each line of `source`."""
        return [self._find(line) for line in source.split("\n")]

    def _find(self, line: str) -> int:
        for ascii_only in (False, True):
            written = json.dumps(line, ensure_ascii=ascii_only)[1:-1]
            found = self._text.find(written, self.at) if written else -1
            if found >= 0:
                self.at = found + len(written)
                return bisect_right(self._starts, found)
        return bisect_right(self._starts, self.at)
