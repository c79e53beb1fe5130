"""JSON and JSON Lines: each record is a paragraph of "key: value" lines.

An object with text under "content" is a passage: its text is kept as it is, and its "link"
as the origin. Nothing is fetched from there.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ingest.encoding import Decoded, decode
from ingest.errors import TooLargeError, UnreadableError
from ingest.loaders.plain_text import parse_text
from ingest.options import LoadOptions
from ingest.parsed import BlockKind, ParsedDocument, TextBuilder

__all__ = ["load_json", "load_jsonl"]

_SPACE = re.compile(r"[ \t\n\r\ufeff]*")
_TITLES = ("title", "标题", "題目", "题目")
# Small objects in a list stay in the paragraph of their record.
_FEW, _SHORT = 3, 400
_MOST_NAMED = 10


class _Number(str):
    """A number as it is written, with all its digits."""

    __slots__ = ()


_DECODER = json.JSONDecoder(parse_float=_Number, parse_int=_Number, parse_constant=_Number, strict=False)


def load_json(path: Path, options: LoadOptions) -> ParsedDocument:
    """Load a JSON file; a record in the top list, or under a top key, has the line on which it begins.

    Deeper values have the line of their record. A file that holds JSON Lines is read as such.

    Raises:
        TooLargeError: it holds too much text.
        UnreadableError: it is not JSON, or nested too deeply.
    """
    decoded = _decoded(path)
    if _is_lines(decoded.text):
        return _from_lines(path, decoded, options)
    return _from_json(path, decoded, options)


def load_jsonl(path: Path, options: LoadOptions) -> ParsedDocument:
    """Load a JSON Lines file; lines are the file's own. Broken lines are skipped and noted.

    Raises:
        TooLargeError: it holds too much text.
        UnreadableError: no line is JSON.
    """
    decoded = _decoded(path)
    first = next((line for line in decoded.text.split("\n") if line.strip()), "")
    if not _is_json(first) and _is_json(decoded.text):
        return _from_json(path, decoded, options)
    return _from_lines(path, decoded, options)


def _decoded(path: Path) -> Decoded:
    try:
        return decode(path.read_bytes())
    except UnicodeDecodeError as error:
        raise UnreadableError(f"{path.name}: not text in any known encoding; save it as UTF-8") from error


def _is_lines(text: str) -> bool:
    """Return whether each of the first two lines that are not blank is a record."""
    lines = (match[0] for match in re.finditer(r"(?m)^[^\S\n]*\S[^\n]*", text))
    first, second = next(lines, ""), next(lines, "")
    return bool(second) and all(line.lstrip()[:1] in "{[" and _is_json(line) for line in (first, second))


def _is_json(text: str) -> bool:
    try:
        _DECODER.decode(text.strip("\ufeff \t\r\n"))
    except (ValueError, RecursionError):
        return False
    return True


def _from_lines(path: Path, decoded: Decoded, options: LoadOptions) -> ParsedDocument:
    writer = _RecordWriter(path, options)
    broken: list[int] = []
    first_error = ""
    for number, line in enumerate(decoded.text.split("\n"), start=1):
        if not line.strip("\ufeff \t\r"):
            continue
        try:
            writer.record(_DECODER.decode(line.strip("\ufeff \t\r")), number)
        except json.JSONDecodeError as error:
            first_error = first_error or f"line {number}, column {error.colno}: {error.msg}"
            broken.append(number)
        except RecursionError:
            first_error = first_error or f"line {number}: nested too deeply"
            broken.append(number)
    if broken and not writer.builder:
        raise UnreadableError(f"{path.name}: not JSON Lines ({first_error}); each line must be one JSON value")
    notes = list(decoded.notes)
    if broken:
        more = f" and {len(broken) - _MOST_NAMED} more" if len(broken) > _MOST_NAMED else ""
        named = ", ".join(map(str, broken[:_MOST_NAMED]))
        notes.append(f"{len(broken)} broken line{'s' if len(broken) > 1 else ''} skipped: {named}{more}")
    return writer.builder.build(notes=notes, incomplete=bool(broken))


def _from_json(path: Path, decoded: Decoded, options: LoadOptions) -> ParsedDocument:
    writer = _RecordWriter(path, options)
    scanner = _Scanner(decoded.text)
    try:
        if not scanner.is_over():
            _write_all(scanner, writer)
            if not scanner.is_over():
                raise json.JSONDecodeError("extra data after the end", decoded.text, scanner.at)
    except json.JSONDecodeError as error:
        raise UnreadableError(
            f"{path.name}: not JSON (line {error.lineno}, column {error.colno}: {error.msg}); correct it there"
        ) from error
    except RecursionError as error:
        raise UnreadableError(f"{path.name}: its values are nested too deeply; flatten it") from error
    return writer.builder.build(notes=decoded.notes)


def _write_all(scanner: _Scanner, writer: _RecordWriter) -> None:
    """Write the records of a list, or the values of an object's keys, each on its line."""
    opening = scanner.peek()
    if opening == "[":
        for _, line in scanner.members():
            writer.record(scanner.value(), line)
        return
    if opening != "{":
        writer.record(scanner.value(), scanner.line())
        return
    loose: dict[str, Any] = {}
    loose_line = 1
    for key, line in scanner.members():
        inner = scanner.peek()
        if inner not in ("{", "["):
            loose_line = loose_line if loose else line
            loose[key] = scanner.value()
            continue
        writer.record(loose, loose_line)
        loose = {}
        if inner == "{":
            writer.section(key, line, [(scanner.value(), line)])
        else:
            writer.section(key, line, ((scanner.value(), at) for _, at in scanner.members()))
    writer.record(loose, loose_line)


class _Scanner:
    """Walks the outer levels of a JSON text and tracks the line."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = _SPACE.match(text).end()  # type: ignore[union-attr]  # it matches nothing as well
        self._counted, self._line = 0, 1

    def is_over(self) -> bool:
        self._skip_space()
        return self.at >= len(self.text)

    def peek(self) -> str:
        return self.text[self.at : self.at + 1]

    def line(self) -> int:
        self._line += self.text.count("\n", self._counted, self.at)
        self._counted = self.at
        return self._line

    def value(self) -> Any:
        value, self.at = _DECODER.raw_decode(self.text, self.at)
        return value

    def members(self) -> Iterator[tuple[str, int]]:
        """Yield the key (empty in a list) and line of each member; read its value before asking for the next."""
        closing = "}" if self.peek() == "{" else "]"
        self.at += 1
        self._skip_space()
        if self.peek() == closing:
            self.at += 1
            return
        while True:
            line, key = self.line(), ""
            if closing == "}":
                if self.peek() != '"':
                    raise json.JSONDecodeError("expected a key in double quotes", self.text, self.at)
                key, self.at = _DECODER.raw_decode(self.text, self.at)
                self._skip_space()
                self._expect(":")
                self._skip_space()
            yield key, line
            self._skip_space()
            if self.peek() == closing:
                self.at += 1
                return
            self._expect(",")
            self._skip_space()

    def _expect(self, character: str) -> None:
        if self.peek() != character:
            raise json.JSONDecodeError(f"expected {character!r}", self.text, self.at)
        self.at += 1

    def _skip_space(self) -> None:
        match = _SPACE.match(self.text, self.at)
        self.at = match.end() if match else self.at


class _RecordWriter:
    """Writes values as paragraphs, the first of each record as the beginning of a section."""

    def __init__(self, path: Path, options: LoadOptions) -> None:
        self.builder = TextBuilder()
        self._path = path
        self._most = options.limits.characters
        self._begins_record = True

    def section(self, key: str, line: int, values: Any) -> None:
        """Write the values of a top key below a heading with the key; nothing if all are empty."""
        pending = " ".join(_clean(key).split())
        scalars: list[str] = []
        for value, at in values:
            if pending and value not in (None, "", [], {}):
                self.builder.add(BlockKind.HEADING, [pending], numbers=[line], level=1)
                pending = ""
            if isinstance(value, str | bool) and len(str(value)) < _SHORT:
                scalars += _shown(value)
            else:
                scalars = self._flush(scalars, at)
                self.record(value, at)
        self._flush(scalars, line)

    def record(self, value: Any, line: int) -> None:
        """Write a value as a paragraph, and each larger value inside it as another below."""
        self._begins_record = True
        self._write(value, line)
        self._begins_record = True

    def _write(self, value: Any, line: int) -> None:
        if isinstance(value, dict) and isinstance(value.get("content"), str):
            self._passage(value, line)
            return
        larger: list[Any] = []
        self._flush(list(_lines(value, "", larger)), line)
        for inner in larger:
            self._write(inner, line)

    def _passage(self, value: dict[str, Any], line: int) -> None:
        link = value.get("link")
        link = _clean(link).strip() or None if isinstance(link, str) else None
        used = {"content", "link"} if link else {"content"}
        title = next((key for key in _TITLES if isinstance(value.get(key), str) and value[key].strip()), None)
        if title:
            self.builder.add(
                BlockKind.HEADING, [" ".join(_clean(value[title]).split())], numbers=[line], level=1, link=link
            )
            used.add(title)
        passage = parse_text(_clean(value["content"]))
        for block in passage.blocks:
            lines = passage.text[block.start : block.end].split("\n")
            self._flush(lines, line, link)
        self._write({key: inner for key, inner in value.items() if key not in used}, line)

    def _flush(self, lines: list[str], line: int, link: str | None = None) -> list[str]:
        if lines:
            kind = BlockKind.RECORD if self._begins_record else BlockKind.PARAGRAPH
            self.builder.add(kind, lines, numbers=[line] * len(lines), link=link)
            self._begins_record = False
        if len(self.builder) > self._most:
            raise TooLargeError(
                f"{self._path.name}: it holds more than {self._most:,} characters; split it, or raise max_characters"
            )
        return []


def _lines(value: Any, key: str, larger: list[Any]) -> Iterator[str]:
    """Yield the lines of a value; objects that are records by themselves go into `larger`."""
    if isinstance(value, dict):
        if key and isinstance(value.get("content"), str):
            larger.append(value)
            return
        for name, inner in value.items():
            yield from _lines(inner, f"{key}.{_clean(name)}" if key else _clean(name), larger)
    elif isinstance(value, list):
        objects = [inner for inner in value if isinstance(inner, dict | list)]
        apart = len(objects) > _FEW or len(json.dumps(objects, ensure_ascii=False)) > _SHORT
        for inner in value:
            if apart and isinstance(inner, dict | list):
                larger.append(inner)
            else:
                yield from _lines(inner, key, larger)
    else:
        shown = _shown(value)
        if shown:
            yield f"{key}: {shown[0]}" if key else shown[0]
            yield from shown[1:]


def _shown(value: Any) -> list[str]:
    """Return the lines that show a single value; none for an empty value."""
    if value is None:
        return []
    if isinstance(value, bool):
        return ["true" if value else "false"]
    return [line for line in _clean(value).split("\n") if line.strip()]


def _clean(text: str) -> str:
    return text.replace("\0", "").replace("\r\n", "\n").replace("\r", "\n")
