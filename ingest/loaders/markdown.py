"""Markdown: blocks as markdown-it finds them, with their lines; the text stays as it was written."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

from markdown_it import MarkdownIt
from markdown_it.token import Token

from ingest.loaders.plain_text import read_text
from ingest.options import LoadOptions
from ingest.parsed import Block, BlockKind, ParsedDocument, file_lines

__all__ = ["load_markdown", "parse_markdown"]

# Only where a "key:" comes first: a page may also begin with a horizontal rule.
_FRONT_MATTER = re.compile(
    r"\A---[ \t]*\n((?:[ \t]*(?:#[^\n]*)?\n)*[\w\"'][^\n:]*:(?=\s).*?\n)(?:---|\.\.\.)[ \t]*(?:\n|\Z)", re.DOTALL
)
_FRONT_TITLE = re.compile(r"^title:\s*[\"']?(.*?)[\"']?\s*$", re.MULTILINE)
_WORDS = re.compile(r"[^\W_]")
_LEAVES = {
    "heading_open": BlockKind.HEADING,
    "paragraph_open": BlockKind.PARAGRAPH,
    "table_open": BlockKind.TABLE,
    "fence": BlockKind.CODE,
    "code_block": BlockKind.CODE,
    "html_block": BlockKind.PARAGRAPH,
}


@cache
def _parser() -> MarkdownIt:
    # The default of 20 is ten levels of lists; deeper text would be lost silently.
    parser = MarkdownIt("commonmark", {"maxNesting": 200}).enable("table")
    # Only the block structure is used, and inline parsing takes most of the time.
    parser.core.ruler.enableOnly(["normalize", "block"])
    return parser


def load_markdown(path: Path, _options: LoadOptions) -> ParsedDocument:
    """Load a Markdown file; lines are the file's own."""
    return parse_markdown(*read_text(path))


def parse_markdown(text: str, notes: Sequence[str] = ()) -> ParsedDocument:
    """Return the blocks of a Markdown text; lines are those of the text."""
    front = _FRONT_MATTER.match(text)
    # Blanked rather than cut out, to keep line numbers right.
    body = "\n" * text.count("\n", 0, front.end()) + text[front.end() :] if front else text
    env: dict[str, Any] = {}
    tokens = _parser().parse(body, env)
    no_text = set(range(front[0].rstrip("\n").count("\n") + 1)) if front else set()
    for definition in [*env.get("references", {}).values(), *env.get("duplicate_refs", [])]:
        no_text.update(range(*definition["map"]))
    blocks = _with_uncovered_lines(_blocks(tokens, text), text, no_text)
    declared = _FRONT_TITLE.search(front[1]) if front else None
    title = declared[1] if declared else next((text[b.start : b.end] for b in blocks if b.level == 1), None)
    return ParsedDocument(text, tuple(blocks), file_lines(text), title=title, notes=tuple(notes))


def _with_uncovered_lines(blocks: list[Block], text: str, no_text: set[int]) -> list[Block]:
    """Add a paragraph for each run of lines with words that no block covers.

    Such lines are nested deeper than the parser goes; `no_text` holds the lines of front matter and link definitions.
    """
    rest: list[Block] = []
    blocks_in_order = iter([*blocks, Block(BlockKind.PARAGRAPH, len(text) + 1, len(text) + 1)])
    block = next(blocks_in_order)
    start, open_run = 0, False
    for number, line in enumerate(text.split("\n")):
        end = start + len(line)
        while block.end <= start:
            block = next(blocks_in_order)
        lost = block.start >= end and number not in no_text and _WORDS.search(line) is not None
        if lost and open_run:
            rest[-1] = replace(rest[-1], end=start + len(line.rstrip()))
        elif lost:
            rest.append(Block(BlockKind.PARAGRAPH, start, start + len(line.rstrip())))
        open_run = lost
        start = end + 1
    return sorted([*blocks, *rest], key=lambda block: block.start) if rest else blocks


def _blocks(tokens: list[Token], text: str) -> list[Block]:
    starts = [0]
    for line in text.split("\n"):
        starts.append(starts[-1] + len(line) + 1)
    blocks: list[Block] = []
    list_depth = 0
    for index, token in enumerate(tokens):
        if token.type in ("list_item_open", "list_item_close"):
            list_depth += token.nesting
        kind = _LEAVES.get(token.type)
        if kind is None or token.map is None:
            continue
        if kind is BlockKind.PARAGRAPH and list_depth:
            kind = BlockKind.LIST_ITEM
        start, end = starts[token.map[0]], min(starts[token.map[1]], len(text))
        end = start + len(text[start:end].rstrip())
        level = 0
        if kind is BlockKind.HEADING:
            level = int(token.tag[1])
            words = tokens[index + 1].content
            at = text.find(words, start, end)
            start, end = (at, at + len(words)) if at >= 0 else (start, end)
        if end > start and (not blocks or start >= blocks[-1].end):
            blocks.append(Block(kind, start, end, level))
    return blocks
