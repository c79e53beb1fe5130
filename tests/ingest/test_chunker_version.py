"""The chunks of a document belong to a `CHUNKER_VERSION`: when they change, it has to.

Stores renew their documents only when the number moves. After raising it in
ingest/chunking.py, record the chunks of today:

    PYTHONPATH=.:tests:tests/ingest python tests/ingest/test_chunker_version.py
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import astuple
from pathlib import Path

from ingest import CHUNKER_VERSION, BlockKind, Chunker, ParsedDocument
from ingest.parsed import TextBuilder

RECORDED = Path(__file__).with_name("chunks.json")
ENGLISH = (
    "The Art. 7 penalty applies from Jan. 2025 on, approx. 40 euros a day. Dr. Li of Acme Inc. Tokyo, who opens at "
    "9 a.m. and closes at 6 p.m., decides; see Sec. 4, Fig. 3 and Smith v. Jones. Is it due? It is! "
)
CHINESE = "停泊费按米计算，冬季每米六十八元；夏季另议。他说：“可以。”押金多少？见 No. 5 的规定……"


def handbook() -> ParsedDocument:
    """A document with every kind of block, two pages, and an origin."""
    builder = TextBuilder()
    builder.add(BlockKind.HEADING, ["第一章 Berths"], level=1, page=1)
    builder.add(BlockKind.PARAGRAPH, [CHINESE * 12], page=1)
    builder.add(BlockKind.HEADING, ["Fees"], level=2, page=1)
    builder.add(BlockKind.PARAGRAPH, (ENGLISH * 8).split(", "), page=1, joined=True)
    builder.add(BlockKind.LIST_ITEM, ["- first"], page=1)
    builder.add(BlockKind.LIST_ITEM, ["- " + "second, " * 120], page=1)
    rows = [f"| {number} | {CHINESE[:20]} |" for number in range(60)]
    builder.add(BlockKind.TABLE, ["| no | fee |", "| --- | --- |", *rows], page=2, header_rows=2)
    builder.add(BlockKind.CODE, [f"    step({number})" for number in range(120)], page=2)
    builder.add(BlockKind.PARAGRAPH, [f"One{' ' * 9000}two."], page=2, link="https://example.org/")
    builder.add(BlockKind.PARAGRAPH, ["word" * 500], page=2)
    return builder.build(title="手册")


def digests() -> dict[str, str]:
    parsed = handbook()
    sizes = {"default": (256, 32), "small": (48, 12), "without overlap": (100, 0)}
    return {
        name: hashlib.sha256(json.dumps(list(map(astuple, Chunker(*size).chunk(parsed)))).encode()).hexdigest()[:16]
        for name, size in sizes.items()
    }


def test_chunks_change_only_with_the_version() -> None:
    recorded = json.loads(RECORDED.read_text())
    assert recorded["chunker_version"] == CHUNKER_VERSION, "record the chunks of today, as this module says"
    assert digests() == recorded["digests"], (
        f"chunks are not those of version {CHUNKER_VERSION}: raise CHUNKER_VERSION, so that stores renew their "
        "documents, and record the chunks of today, as this module says"
    )


def record() -> None:
    """Write the digests of today; only for a version that has moved."""
    before = json.loads(RECORDED.read_text()) if RECORDED.is_file() else {"chunker_version": 0, "digests": {}}
    now = digests()
    if before["chunker_version"] == CHUNKER_VERSION and before["digests"] != now:
        raise SystemExit("the chunks have changed: raise CHUNKER_VERSION first")
    RECORDED.write_text(json.dumps({"chunker_version": CHUNKER_VERSION, "digests": now}, indent=2) + "\n")


if __name__ == "__main__":
    record()
