"""What a reader sees of a mail message, whichever program saved it."""

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
    """What a reader sees of a message before its attachments.

    Attributes:
        subject: what it is about, or nothing.
        headers: names and values, as they are shown.
        bodies: the pieces of its text.
    """

    subject: str = ""
    headers: list[tuple[str, str]] = field(default_factory=list)
    bodies: list[ParsedDocument] = field(default_factory=list)


def letter_document(
    letter: Letter, name: str, options: LoadOptions, attachments: Sequence[Callable[[Members], None]]
) -> ParsedDocument:
    """Return a message with its attachments as a document.

    The subject is the heading of all; what stands above the text counts as its line 1.

    Args:
        letter: the message itself.
        name: its file's name, for messages to the user.
        options: how it is read.
        attachments: each adds one attachment to the members that it is given.

    Raises:
        IngestError: it holds nothing but attachments, and none of them can be read.
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
