"""The contract for the documents of all loaders."""

from itertools import pairwise

from ingest import BlockKind, Chunker, ParsedDocument


def check_document(document: ParsedDocument) -> None:
    """Raise AssertionError where a document breaks the promises of `ParsedDocument`."""
    text = document.text
    assert document.blocks
    assert text.strip()
    assert "\r" not in text
    assert "\0" not in text
    for block in document.blocks:
        assert 0 <= block.start < block.end <= len(text)
        assert text[block.start : block.end].strip()
        assert (block.level > 0) == (block.kind is BlockKind.HEADING)
        assert block.header_end == 0 or (block.kind is BlockKind.TABLE and block.start < block.header_end <= block.end)
        assert block.page is None or block.page >= 1
    assert all(one.end <= other.start for one, other in pairwise(document.blocks))
    offsets = [offset for offset, _ in document.line_marks]
    assert offsets[0] == 0
    assert all(one < other for one, other in pairwise(offsets))
    assert offsets[-1] <= len(text)
    assert all(line >= 1 for _, line in document.line_marks)
    for chunk in Chunker().chunk(document):
        assert chunk.text[chunk.repeated :] == text[chunk.char_start : chunk.char_end]
