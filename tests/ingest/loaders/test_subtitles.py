from __future__ import annotations

from pathlib import Path

import pytest
from contract import check_document

from ingest import load
from ingest.errors import UnreadableError

SRT = """\
1
00:00:01,000 --> 00:00:03,000
<i>Welcome</i> to the harbour.
Mind the gap.

2
00:00:03,200 --> 00:00:05,000
停泊费按米计算。

3
00:01:00,000 --> 00:01:02,000
{\\an8}Next &amp; last.
"""
VTT = """\
WEBVTT - harbour

NOTE
not to be shown

STYLE
::cue { color: red }

00:01.000 --> 00:03.000 align:start
<v Ann>Welcome <c.loud>aboard</c>.
"""


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        (
            "a.srt",
            SRT,
            [("Welcome to the harbour.\nMind the gap.\n停泊费按米计算。", [3, 4, 8]), ("Next & last.", [12])],
        ),
        ("a.vtt", VTT, [("Welcome aboard.", [10])]),
    ],
)
def test_cues_are_text_and_a_pause_begins_a_paragraph(
    tmp_path: Path, name: str, content: str, expected: list[tuple[str, list[int]]]
) -> None:
    path = tmp_path / name
    path.write_text(content, encoding="utf-8")
    document = load(path)
    check_document(document)
    assert [
        (document.text[b.start : b.end], [line for _, line in document.lines_of(b.start, b.end)])
        for b in document.blocks
    ] == expected


def test_a_file_without_cues_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.srt"
    path.write_text("some words")
    with pytest.raises(UnreadableError, match=r"^a\.srt: it has no subtitles; add it as \.txt"):
        load(path)
