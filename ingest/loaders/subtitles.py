"""Subtitles (.srt, .vtt): each cue is a line of text; cues without a pause form a paragraph."""

from __future__ import annotations

import re
from html import unescape
from pathlib import Path

from ingest.errors import UnreadableError
from ingest.loaders.plain_text import read_text
from ingest.options import LoadOptions
from ingest.parsed import BlockKind, ParsedDocument, TextBuilder

__all__ = ["load_subtitles"]

_CLOCK = r"(?:(\d+):)?(\d{1,2}):(\d{2})[.,](\d{3})"
_TIMING = re.compile(rf"\s*{_CLOCK}\s*-->\s*{_CLOCK}")
_TAG = re.compile(r"<[^<>]*>|\{\\[^{}]*\}")
# Longer paragraphs would be cut anywhere, and a longer pause usually means another speaker or scene.
_MOST_CHARACTERS, _LONGEST_PAUSE_S = 800, 2.0


def load_subtitles(path: Path, _options: LoadOptions) -> ParsedDocument:
    """Load a SubRip or WebVTT file; lines are the file's own. Times, cue numbers and styles are left out.

    Raises:
        UnreadableError: no encoding fits, or it has no cues.
    """
    text, notes = read_text(path)
    builder = TextBuilder()
    texts: list[str] = []
    numbers: list[int] = []
    ended_s: float | None = None
    in_cue = False
    for number, line in enumerate(text.split("\n"), start=1):
        timing = _TIMING.match(line)
        if timing is not None:
            paused = ended_s is not None and _seconds(*timing.groups()[:4]) - ended_s > _LONGEST_PAUSE_S
            if texts and (paused or sum(map(len, texts)) > _MOST_CHARACTERS):
                builder.add(BlockKind.PARAGRAPH, texts, numbers=numbers)
                texts, numbers = [], []
            ended_s, in_cue = _seconds(*timing.groups()[4:]), True
        elif not line.strip():
            in_cue = False
        elif in_cue and (words := " ".join(unescape(_TAG.sub("", line)).split())):
            texts.append(words)
            numbers.append(number)
    if texts:
        builder.add(BlockKind.PARAGRAPH, texts, numbers=numbers)
    if ended_s is None and text.strip():
        raise UnreadableError(f"{path.name}: it has no subtitles; add it as .txt")
    return builder.build(notes=notes)


def _seconds(hours: str | None, minutes: str, seconds: str, thousandths: str) -> float:
    return int(hours or 0) * 3600 + int(minutes) * 60 + int(seconds) + int(thousandths) / 1000
