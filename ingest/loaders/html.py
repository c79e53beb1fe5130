"""HTML: parsed once by lxml and read in a single walk. No address in a page is opened."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from html import unescape
from pathlib import Path

from ingest.encoding import Decoded, decode
from ingest.errors import UnreadableError
from ingest.options import LoadOptions
from ingest.parsed import BlockKind, ParsedDocument, TextBuilder

__all__ = ["decode_html", "load_html", "parse_html"]

_CHARSET = re.compile(rb"""(?:charset|encoding)\s*=\s*["']?([\w-]+)""", re.IGNORECASE)
_DECLARATION = re.compile(r"\A\s*<\?xml[^>]*\?>")
# For pages nested too deeply to parse.
_UNSEEN = re.compile(
    r"<!--.*?-->|<(script|style|title|noscript|template|nav|svg)\b.*?</\1\s*>", re.DOTALL | re.IGNORECASE
)
_WORD_TAG = re.compile(r"</?(?:a|abbr|b|code|em|font|i|mark|small|span|strong|sub|sup|u)\b[^<>]*>", re.IGNORECASE)
_TAG = re.compile(r"<[^<>]*>?")


def load_html(path: Path, _options: LoadOptions) -> ParsedDocument:
    """Load an HTML file; lines are those of its source.

    Raises:
        UnreadableError: no encoding fits.
    """
    try:
        decoded = decode_html(path.read_bytes())
    except UnicodeDecodeError as error:
        raise UnreadableError(f"{path.name}: its encoding is unknown; save it as UTF-8") from error
    return parse_html(decoded.text, notes=decoded.notes)


def decode_html(data: bytes, *, declared: str | None = None) -> Decoded:
    """Decode a page in the encoding that `declared` or the page itself names, or else one that fits.

    Raises:
        UnicodeDecodeError: no encoding fits.
    """
    own = _CHARSET.search(data[:2048])
    return decode(data, declared=own[1].decode("ascii") if own and not declared else declared)


def parse_html(html: str, *, notes: Sequence[str] = ()) -> ParsedDocument:
    """Return the visible text of HTML as a document, which may be empty; lines are those of the source.

    Args:
        html: a page or a fragment.
        notes: notes to start with.
    """
    from lxml import etree

    from ingest.loaders.html_blocks import add_blocks

    html = _DECLARATION.sub(lambda match: "\n" * match[0].count("\n"), html)
    builder = TextBuilder()
    parser = etree.HTMLParser(encoding="utf-8", huge_tree=True)
    page = etree.fromstring(html.encode("utf-8", "replace"), parser) if html.strip() else None
    if page is None:  # nothing but comments or white space
        return builder.build(notes=notes)
    title = " ".join((page.findtext(".//title") or "").split()) or None
    if any(error.type_name == "ERR_RESOURCE_LIMIT" for error in parser.error_log):
        for number, line in _visible_lines(html):
            builder.add(BlockKind.PARAGRAPH, [line], numbers=[number])
        return builder.build(title=title, notes=[*notes, "nested too deeply to tell its structure"])
    add_blocks(builder, page)
    return builder.build(title=title, notes=notes)


def _visible_lines(html: str) -> Iterator[tuple[int, str]]:
    """Yield the number and visible text of each source line, for pages nested too deeply to parse."""
    seen = _UNSEEN.sub(lambda match: "\n" * match[0].count("\n"), html)
    for number, line in enumerate(_TAG.sub(_spaces, _WORD_TAG.sub("", seen)).split("\n"), start=1):
        if words := " ".join(unescape(line).split()):
            yield number, words


def _spaces(tag: re.Match[str]) -> str:
    return " " + "\n" * tag[0].count("\n")
