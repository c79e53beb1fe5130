"""Blocks of one document appended to another: a message's text, a book's pages, HTML within XML."""

from __future__ import annotations

from ingest.parsed import Block, BlockKind, ParsedDocument, TextBuilder

__all__ = ["append_blocks"]


def append_blocks(
    builder: TextBuilder,
    document: ParsedDocument,
    *,
    level: int = 0,
    shift: int | None = 0,
    link: str | None = None,
) -> None:
    """Append the blocks of a document, without a heading of its own.

    Args:
        builder: receives the blocks.
        document: the document to append.
        level: added to the level of its headings.
        shift: added to its line numbers; `None` to number its lines after those already there.
        link: the origin of its blocks, where they name none.
    """
    for block in document.blocks:
        text = document.text[block.start : block.end]
        header = document.text[block.start : block.header_end] if block.header_end else ""
        lines = text.split("\n")
        builder.add(
            block.kind,
            lines,
            numbers=None if shift is None else [number + shift for number in _numbers(document, block, lines)],
            level=block.level + level if block.kind is BlockKind.HEADING else 0,
            page=block.page,
            header_rows=header.count("\n") + 1 if header else 0,
            link=block.link or link,
        )


def _numbers(document: ParsedDocument, block: Block, lines: list[str]) -> list[int]:
    starts = dict(document.lines_of(block.start, block.end))
    numbers: list[int] = []
    at = 0
    for line in lines:
        numbers.append(starts.get(at, numbers[-1] if numbers else 1))
        at += len(line) + 1
    return numbers
