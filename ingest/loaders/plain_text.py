"""Plain text: paragraphs are separated by blank lines."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from ingest.encoding import decode
from ingest.errors import UnreadableError
from ingest.options import LoadOptions
from ingest.parsed import Block, BlockKind, ParsedDocument, file_lines

__all__ = ["load_text", "parse_text", "read_text"]

_PARAGRAPH = re.compile(r"(?m)^[^\S\n]*\S[^\n]*(?:\n[^\S\n]*\S[^\n]*)*")


def read_text(path: Path) -> tuple[str, tuple[str, ...]]:
    """Return a text file's text, with a note where its encoding was guessed or bytes were lost.

    Raises:
        UnreadableError: no encoding fits.
    """
    try:
        decoded = decode(path.read_bytes())
    except UnicodeDecodeError as error:
        raise UnreadableError(f"{path.name}: not text in UTF-8, UTF-16, GB18030 or Big5; save it as UTF-8") from error
    return decoded.text, decoded.notes


def load_text(path: Path, _options: LoadOptions) -> ParsedDocument:
    """Load a text file; lines are the file's own."""
    return parse_text(*read_text(path))


def parse_text(text: str, notes: Sequence[str] = ()) -> ParsedDocument:
    """Return the paragraphs of a text; lines are those of the text."""
    blocks = tuple(Block(BlockKind.PARAGRAPH, *match.span()) for match in _PARAGRAPH.finditer(text))
    return ParsedDocument(text, blocks, file_lines(text), notes=tuple(notes))
