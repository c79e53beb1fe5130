"""`kb ingest` killed at random moments: the next run finishes, nothing lost, doubled or half there."""

import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ingest import content_hash
from kb_assistant import Assistant

FILES = 200
PARAGRAPHS = 12


def write(folder: Path, version: int) -> set[str]:
    """Write all files in a version, and return the hashes of their contents."""
    folder.mkdir(exist_ok=True)
    for number in range(FILES):
        paragraphs = [
            f"Paragraph {part} of file {number}, version {version}: {'padding words ' * 60}"
            for part in range(PARAGRAPHS)
        ]
        (folder / f"{number}.md").write_text("\n\n".join(paragraphs))
    return {content_hash(path) for path in folder.iterdir()}


def halves(home: Path) -> list[tuple[str, int, int]]:
    """Sources whose chunks are not all there, or come from two versions."""
    query = """
        SELECT sources.name, count(chunks.id),
               sum(text LIKE '%version 1:%') * sum(text LIKE '%version 2:%')
        FROM sources LEFT JOIN chunks ON chunks.source_id = sources.id
        LEFT JOIN passages ON passages.id = chunks.passage_id GROUP BY sources.id
    """
    with sqlite3.connect(home / "catalog.db") as connection:
        rows = connection.execute(query).fetchall()
    full = max((row[1] for row in rows), default=0)
    return [row for row in rows if row[1] != full or row[2]]


def versions(home: Path) -> set[str]:
    """The contents that are stored, by their hashes."""
    if not (home / "catalog.db").exists():
        return set()
    with sqlite3.connect(home / "catalog.db", timeout=30) as connection:
        try:
            return {row[0] for row in connection.execute("SELECT content_hash FROM sources")}
        except sqlite3.OperationalError:  # the tables are being made
            return set()


def changed(home: Path, before: set[str]) -> bool:
    """Whether something else is stored than `before`."""
    return versions(home) != before


@pytest.mark.skipif(os.name == "nt", reason="SIGKILL is not to be had on Windows")
def test_a_run_that_is_killed_is_carried_on(own_home: Path, tmp_path: Path) -> None:
    folder = tmp_path / "docs"
    moments = random.Random(7)
    command = [sys.executable, "-m", "kb_assistant", "ingest", str(folder)]
    current = write(folder, 1)
    kills = half_way = 0
    for round_ in range(8):
        if round_ == 4:
            current = write(folder, 2)
        before = versions(own_home)
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        if round_ % 2:
            time.sleep(moments.uniform(0.1, 2.0))
        else:  # as soon as it has stored something more
            while not changed(own_home, before) and process.poll() is None:
                time.sleep(0.005)
        process.send_signal(signal.SIGKILL)
        kills += process.wait() == -signal.SIGKILL
        if (own_home / "catalog.db-wal").exists():
            assert halves(own_home) == []
            half_way += 0 < len(versions(own_home) & current) < FILES
    assert kills >= 4  # or the moments were no test
    assert half_way >= 1

    with Assistant.open() as kb:
        report = kb.ingest(folder)
        assert (report.failed, len(kb.sources())) == (0, FILES)
        assert all(ok for _, ok, _ in kb.check()), kb.check()
        assert halves(own_home) == []
        texts = [hit.text for hit in kb.search("paragraph version", limit=1000)]
        assert len(texts) == len(set(texts))
        assert not [text for text in texts if "version 1:" in text]
        assert kb.ingest(folder).unchanged == FILES
