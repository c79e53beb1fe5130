"""Mail messages as documents, whichever program saved them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from ingest.loaders.append import append_blocks
from ingest.loaders.containers import Members
from ingest.options import LoadOptions
from ingest.parsed import BlockKind, ParsedDocument, TextBuilder

__all__ = ["Letter", "letter_document"]


@dataclass
class Letter:
    """A message without its attachments.

    Attributes:
        subject: its subject; may be empty.
        headers: names and values to show.
        bodies: the parts of its text.
    """

    subject: str = ""
    headers: list[tuple[str, str]] = field(default_factory=list)
    bodies: list[ParsedDocument] = field(default_factory=list)


def letter_document(
    letter: Letter, name: str, options: LoadOptions, attachments: Sequence[Callable[[Members], None]]
) -> ParsedDocument:
    """Return a message with its attachments as a document.

    The subject is the top heading; headers count as line 1 of the text.

    Args:
        letter: the message without its attachments.
        name: its file name, for notes and errors.
        options: options for the message.
        attachments: functions that each add an attachment to the given members.

    Raises:
        IngestError: it has only attachments, and none of them can be read.
        TooLargeError: it holds too much.
    """
    builder = TextBuilder()
    if letter.subject:
        builder.add(BlockKind.HEADING, [letter.subject], numbers=[1], level=1)
    if letter.headers:
        lines = [f"{header}: {value}" for header, value in letter.headers]
        builder.add(BlockKind.PARAGRAPH, lines, numbers=[1] * len(lines))
    for body in letter.bodies:
        append_blocks(builder, body, level=1 if letter.subject else 0)
    members = Members(name, options, builder, "attachment", level=2 if letter.subject else 1)
    with members.opened():
        members.announce(len(attachments))
        for attach in attachments:
            attach(members)
    if not builder:
        members.check_read()
    notes = dict.fromkeys(note for body in letter.bodies for note in body.notes)
    return builder.build(
        title=letter.subject or None,
        notes=[*notes, *members.notes()],
        incomplete=members.incomplete,
        lacks_ocr=members.lacks_ocr,
    )
