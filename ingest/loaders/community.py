"""reStructuredText and Org, through langchain-community's loaders.

The loaders pass a file to unstructured, which converts it with pandoc in its sandbox and tells
headings, lists, tables and code apart. They give no lines: each block is looked up in the source.
"""

from __future__ import annotations

import logging
import os
import tempfile
import warnings
from collections.abc import Iterator
from functools import cache
from importlib import import_module
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ingest.errors import TooLargeError, UnreadableError, UnsupportedError
from ingest.loaders.html import parse_html
from ingest.loaders.plain_text import read_text
from ingest.options import LoadOptions
from ingest.parsed import BlockKind, ParsedDocument, TextBuilder

if TYPE_CHECKING:
    from langchain_core.documents import Document

__all__ = ["load_markup"]

_LOADERS = {".org": "UnstructuredOrgModeLoader", ".rst": "UnstructuredRSTLoader"}
_KINDS = {"Title": BlockKind.HEADING, "ListItem": BlockKind.LIST_ITEM, "CodeSnippet": BlockKind.CODE}
_NO_TEXT = ("Image", "PageBreak")
# How much of a block's beginning to look for; less where markup interrupts it.
_SOUGHT_LETTERS = (40, 20, 10, 5)


def load_markup(path: Path, options: LoadOptions) -> ParsedDocument:
    """Load a reStructuredText or Org file; lines are the file's own.

    Raises:
        TooLargeError: it holds more text than the bounds allow.
        UnreadableError: no encoding fits, or pandoc cannot read it.
        UnsupportedError: pandoc is not installed.
    """
    text, notes = read_text(path)
    if len(text) > options.limits.characters:
        raise TooLargeError(
            f"{path.name}: it holds {len(text):,} characters, more than {options.limits.characters:,}; "
            "split it, or raise max_characters"
        )
    builder = TextBuilder()
    lines = _SourceLines(text)
    title: str | None = None
    for document in _elements(path, text) if text.strip() else ():
        _add(builder, lines, document)
        if title is None and document.metadata.get("category") == "Title":
            title = " ".join(document.page_content.split())
    return builder.build(title=title, notes=notes)


def _elements(path: Path, text: str) -> list[Document]:
    """Return the elements that the loader finds in a UTF-8 copy of the text."""
    suffix = path.suffix.lower()
    _prepare()
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # langchain-community is no longer developed, and says so
        copy = Path(folder) / f"source{suffix}"
        copy.write_text(text, encoding="utf-8", errors="replace")
        try:
            loader: Any = getattr(import_module("langchain_community.document_loaders"), _LOADERS[suffix])
            # Language detection is only metadata, and the slowest step.
            found: list[Document] = loader(str(copy), mode="elements", languages=[""]).load()
        except (ImportError, OSError) as error:
            raise UnsupportedError(f"{path.name}: it is read by pandoc; pip install pypandoc-binary") from error
        except RuntimeError as error:
            reason = " ".join(str(error).split())[:200]
            raise UnreadableError(f"{path.name}: pandoc cannot read it ({reason}); add it as .txt") from error
    return found


@cache
def _prepare() -> None:
    """Keep unstructured offline and quiet.

    It downloads a spaCy model at the first sentence, and fails without a network. Element kinds
    come from markup here, so a blank pipeline is enough.
    """
    os.environ["UNSTRUCTURED_DISABLE_NOTICE"] = "1"
    os.environ["SCARF_NO_ANALYTICS"] = os.environ["DO_NOT_TRACK"] = "true"
    import spacy
    import unstructured.nlp.tokenize as tokenize

    pipeline = spacy.blank("xx")
    pipeline.add_pipe("sentencizer")
    tokenize._get_nlp = lambda: pipeline  # the only place that loads the model
    logging.getLogger("pypandoc").setLevel(logging.ERROR)  # it warns about each include that the sandbox blocks


def _add(builder: TextBuilder, lines: _SourceLines, element: Document) -> None:
    category = element.metadata.get("category")
    table = element.metadata.get("text_as_html")
    if category in _NO_TEXT or not element.page_content.strip():
        return
    if category == "Table" and table:
        for block in (page := parse_html(table)).blocks:
            rows = page.text[block.start : block.end].split("\n")
            builder.add(block.kind, rows, numbers=list(lines.of_rows(rows)), header_rows=2 if len(rows) > 2 else 0)
        return
    kind = _KINDS.get(str(category), BlockKind.PARAGRAPH)
    if kind is BlockKind.CODE:
        code = [line.rstrip() for line in element.page_content.expandtabs().strip("\n").split("\n")]
        first = lines.of(code[0])
        builder.add(kind, code, numbers=range(first, first + len(code)))
        return
    words = " ".join(element.page_content.split())
    level = (element.metadata.get("category_depth") or 0) + 1 if kind is BlockKind.HEADING else 0
    builder.add(kind, [words], numbers=[lines.of(words)], level=level)


class _SourceLines:
    """Finds the lines on which successive texts begin, skipping the markup between them."""

    def __init__(self, text: str) -> None:
        lines = ["".join(line.split()) for line in text.split("\n")]
        self._letters = "".join(lines)
        self._ends = list(accumulate(map(len, lines)))
        self._at = 0
        self._line = 1

    def of(self, text: str) -> int:
        """Return the line on which a text begins, at or below the previous text."""
        letters = "".join(text.split())
        for length in _SOUGHT_LETTERS:
            at = self._letters.find(letters[:length], self._at)
            if at >= 0 and letters:
                self._at = at + min(length, len(letters))
                while self._ends[self._line - 1] <= at:
                    self._line += 1
                break
        return self._line

    def of_rows(self, rows: list[str]) -> Iterator[int]:
        """Yield the line of each row of a Markdown table; the rule takes the line of the row above."""
        for row in rows:
            cells = [cell.strip() for cell in row.strip("|").split(" | ")]
            yield self._line if set(row) <= set("|- ") else self.of(next((cell for cell in cells if cell), ""))
