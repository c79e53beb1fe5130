"""Cuts documents into chunks: along their structure first, then along sentences.

A chunk is a span of its document's text, so that it can be quoted word for word. It begins with
the headings above it, and never crosses the next heading or a page. `Chunk.context` is indexed
with it. Where a table is too long for one chunk, each chunk repeats its header.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ingest.parsed import Block, BlockKind, LineMark, ParsedDocument
from ingest.sentences import sentence_spans

if TYPE_CHECKING:
    from langchain_text_splitters import RecursiveCharacterTextSplitter

__all__ = ["CHUNKER_VERSION", "Chunk", "Chunker", "blank_tokens", "estimate_tokens"]

CHUNKER_VERSION = 2
"""Raised when the same document gives other chunks, so that stores renew theirs."""

_TOKEN = re.compile(
    r"[\u2e80-\u9fff\uac00-\ud7ff\uf900-\ufaff\U00020000-\U000323af]|[^\W\d_\u2e80-\u9fff\U00020000-\U000323af]{1,6}"
    r"|\d{1,3}|[^\w\s]|_"
)
_BLANKS = re.compile(r"\s{512}")
"""Shorter runs are padding in tables and code."""
# Where to cut a sentence, or a table or code, best places first.
_CLAUSES = r"(?<=[，、,：:])"
_IN_SENTENCES = [_CLAUSES, r"\s+", ""]
_IN_LINES = [r"\n+", r"\s+", ""]

_LONGEST_NAME = 60
"""How many characters of a title or heading go into a context."""

_Span = tuple[int, int, tuple[int, int] | None]
"""(start, end, span of the table header to repeat in front)."""
_Piece = tuple[int, int]
"""(start, end)."""


def estimate_tokens(text: str) -> int:
    """Return roughly how many tokens a bilingual tokenizer would make of `text`."""
    return len(_TOKEN.findall(text)) + blank_tokens(text)


def blank_tokens(text: str) -> int:
    """Return the token count of long runs of blanks, which most tokenizers ignore, so that they end a chunk."""
    return len(_BLANKS.findall(text))


@dataclass(frozen=True, slots=True)
class Chunk:
    """A span of a document, and its place in the file.

    Attributes:
        text: the document's `text[char_start:char_end]`, after the repeated header if the span is a
            later part of a table.
        char_start: where the span begins in the document's text.
        char_end: where it ends there.
        context: the document's title and the headings above, shortened to a line. It is indexed
            together with the text.
        heading: the headings above it, the topmost first.
        page: its page, slide or sheet, from 1, in formats that have them.
        lines: where in `text` each line of the file begins.
        repeated: how many characters of `text` are a repeated table header.
        link: the address that the file names as the text's origin.
    """

    text: str
    char_start: int
    char_end: int
    context: str
    heading: tuple[str, ...]
    page: int | None
    lines: tuple[LineMark, ...]
    repeated: int = 0
    link: str | None = None


@dataclass(frozen=True)
class Chunker:
    """Cuts documents into chunks of at most `max_tokens` tokens, as `count_tokens` counts them.

    The context of a chunk adds at most a quarter of that.
    """

    max_tokens: int = 256
    overlap_tokens: int = 32
    count_tokens: Callable[[str], int] = estimate_tokens

    def chunk(self, document: ParsedDocument) -> list[Chunk]:
        """Return the document's chunks in order; together they hold every block."""
        chunks: list[Chunk] = []
        for heading, blocks in _sections(document):
            page, link = blocks[-1].page, blocks[-1].link
            for start, end, header in self._spans(document.text, blocks):
                text, lines = document.text[start:end], document.lines_of(start, end)
                shown = {_words(document, block) for block in blocks if block.level and start <= block.start < end}
                context = self._context(document.title, [name for name in heading if name not in shown])
                repeated = 0
                if header:
                    above = document.text[slice(*header)] + "\n"
                    repeated = len(above)
                    lines = (*document.lines_of(*header), *((offset + repeated, line) for offset, line in lines))
                    text = above + text
                chunks.append(Chunk(text, start, end, context, heading, page, lines, repeated, link))
        return chunks

    def _context(self, title: str | None, heading: list[str]) -> str:
        names = heading if title is None or title in heading else [title, *heading]
        context = " › ".join(_shortened(" ".join(name.split())) for name in names)
        while self.count_tokens(context) > self.max_tokens // 4:
            # The ends matter most: the document's name, and the subject of the section.
            keep = max(1, len(context) * 3 // 8)
            context = f"{context[:keep]}…{context[-keep:]}" if keep > 1 else ""
        return context

    def _spans(self, text: str, blocks: list[Block]) -> Iterator[_Span]:
        """Pack whole blocks, cutting those that are too long. Headings stay with the text below them."""
        start: int | None = None
        end = tokens = 0
        bare = False  # whether only headings are packed so far
        for block in blocks:
            size = self.count_tokens(text[block.start : block.end])
            # Text between blocks, such as link definitions in Markdown, counts too.
            between = text[end : block.start] if start is not None else ""
            gap = self.count_tokens(between) if between.strip() else blank_tokens(between)
            lead = start if start is not None and bare and size > self.max_tokens else block.start
            if start is not None and tokens + gap + size > self.max_tokens:
                if lead == block.start:
                    yield start, end, None
                start = None
            if size > self.max_tokens:
                yield from self._cut(text, block, lead)
                continue
            start, tokens, bare = (block.start, size, True) if start is None else (start, tokens + gap + size, bare)
            bare = bare and block.kind is BlockKind.HEADING
            end = block.end
        if start is not None:
            yield start, end, None

    def _cut(self, text: str, block: Block, lead: int) -> Iterator[_Span]:
        """Cut a block that is too long, together with the headings before it, which begin at `lead`."""
        if block.header_end:
            header = (block.start, block.header_end)
            room = self.max_tokens - self.count_tokens(text[lead : block.header_end])
            if room >= self.max_tokens // 2:
                rows = self._split(text, block.header_end, block.end, _IN_LINES, room)
                for number, (start, end) in enumerate(rows):
                    yield (start, end, header) if number else (lead, end, None)
                return
        is_prose = block.kind not in (BlockKind.TABLE, BlockKind.CODE)
        split, separators = (self._split_prose, _IN_SENTENCES) if is_prose else (self._split, _IN_LINES)
        overlap = min(self.overlap_tokens, self.max_tokens // 2)
        pieces = list(split(text, lead, block.end, separators, self.max_tokens - overlap))
        for number, (start, end) in enumerate(pieces):
            first = start
            if number and overlap:
                # Repeat only whole sentences, clauses or lines of the piece before.
                *_, (tail, tail_end) = split(text, pieces[number - 1][0], start, separators[:1], overlap)
                fits = self.count_tokens(text[tail:tail_end]) <= overlap
                if tail > pieces[number - 1][0] and fits and self.count_tokens(text[tail:end]) <= self.max_tokens:
                    first = tail
            yield first, end, None

    def _split_prose(self, text: str, start: int, end: int, separators: list[str], room: int) -> Iterator[_Piece]:
        """Yield pieces of whole sentences; a sentence that is too long is cut at the separators."""
        first: int | None = None
        last = tokens = 0
        for piece_start, piece_end in self._sentences(text, start, end, separators, room):
            size = self.count_tokens(text[piece_start:piece_end])
            if first is not None:
                tokens += self.count_tokens(text[last:piece_start]) + size
                if tokens > room:
                    yield first, last
                    first = None
            if first is None:
                first, tokens = piece_start, size
            last = piece_end
        if first is not None:
            yield first, last

    def _sentences(self, text: str, start: int, end: int, separators: list[str], room: int) -> Iterator[_Piece]:
        for offset, offset_end in sentence_spans(text[start:end]):
            span = start + offset, start + offset_end
            if self.count_tokens(text[slice(*span)]) > room:
                yield from self._split(text, *span, separators, room)
            else:
                yield span

    def _split(self, text: str, start: int, end: int, separators: list[str], room: int) -> Iterator[_Piece]:
        """Yield pieces cut at the separators, white space between them left out."""
        for piece in self._splitter(separators, room).split_text(text[start:end]):
            start = text.index(piece, start)
            yield start, start + len(piece)
            start += len(piece)

    def _splitter(self, separators: list[str], chunk_size: int) -> RecursiveCharacterTextSplitter:
        from langchain_text_splitters import RecursiveCharacterTextSplitter

        # Without its own overlap: it does not tell where its pieces are, and in repetitive text
        # overlapping pieces could not be located.
        return RecursiveCharacterTextSplitter(
            separators=separators,
            is_separator_regex=True,
            keep_separator="end",
            chunk_size=chunk_size,
            chunk_overlap=0,
            # It would repeat a split of no tokens in the next piece, as if there were overlap.
            length_function=lambda piece: max(1, self.count_tokens(piece)) if piece else 0,
        )


def _shortened(name: str) -> str:
    return name if len(name) <= _LONGEST_NAME else f"{name[:_LONGEST_NAME]}…"


def _sections(document: ParsedDocument) -> Iterator[tuple[tuple[str, ...], list[Block]]]:
    """Yield each section as its path of headings and its blocks, which share a page and an origin."""
    path: list[tuple[int, str]] = []
    section: list[Block] = []
    for block in document.blocks:
        is_heading = block.kind is BlockKind.HEADING
        if section and _begins_section(section[-1], block):
            yield tuple(words for _, words in path), section
            section = []
        if is_heading:
            path = [(level, words) for level, words in path if level < block.level]
            path.append((block.level, _words(document, block)))
        section.append(block)
    if section:
        yield tuple(words for _, words in path), section


def _begins_section(last: Block, block: Block) -> bool:
    """Return whether a new section begins at `block`; consecutive headings begin one together."""
    if last.kind is BlockKind.HEADING:
        return block.page != last.page
    return block.kind in (BlockKind.HEADING, BlockKind.RECORD) or (block.page, block.link) != (last.page, last.link)


def _words(document: ParsedDocument, block: Block) -> str:
    return " ".join(document.text[block.start : block.end].split())
