"""A full disk is told in one line, and the run after it carries on."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from kb_assistant.errors import KbError, report_full_disk


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Callable[[str], Path]]:
    """Mount a file system of a given size, or make one larger."""
    folder = tmp_path / "disk"
    folder.mkdir()
    if sys.platform != "linux" or os.geteuid() != 0:
        pytest.skip("only root can mount a small disk")
    options = ["mount", "-t", "tmpfs", "-o", "size=100k", "tmpfs", str(folder)]
    if subprocess.run(options, capture_output=True, check=False).returncode:
        pytest.skip("nothing can be mounted here")

    def resized(size: str) -> Path:
        subprocess.run(["mount", "-o", f"remount,size={size}", str(folder)], check=True)
        return folder

    yield resized
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


@pytest.mark.parametrize("size", ["16k", "100k", "300k", "2m"])
def test_a_run_that_fills_the_disk_is_carried_on_when_there_is_room(
    kb_process: Callable, small_disk: Callable[[str], Path], tmp_path: Path, size: str
) -> None:
    docs = tmp_path / "docs"
    docs.mkdir()
    for number in range(20):
        words = " ".join(f"word{number * 1000 + place}" for place in range(1000))
        (docs / f"{number}.md").write_text(f"{words}\n\n# Part\n\n{words[::-1]}")
    home = small_disk(size) / "home"
    run = kb_process("ingest", docs, KB_HOME=str(home))
    assert (run.code, run.out, run.err.count("\n")) == (3, "", 1), run.err
    assert f"no room left on the disk of {home}" in run.err
    small_disk("100m")
    assert kb_process("ingest", docs, KB_HOME=str(home)).code == 0
    assert len(kb_process("sources", "--json", KB_HOME=str(home)).json()) == 20


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")
def test_a_file_that_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(KbError, match="no room left on the disk"), report_full_disk(tmp_path):
        Path("/dev/full").write_text("words")


def test_a_database_that_cannot_grow(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "small.db")) as database:
        database.execute("PRAGMA max_page_count = 2")
        database.execute("CREATE TABLE words (word TEXT)")
        with pytest.raises(KbError, match="no room left on the disk"), report_full_disk(tmp_path):
            database.execute("INSERT INTO words VALUES (?)", ["word" * 10_000])


def test_other_errors_stay_what_they_are(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), report_full_disk(tmp_path):
        (tmp_path / "none").read_text()
