"""Reader processes: what they give back, and that nothing gets out of hand in them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from ingest import Chunker, ChunkSettings, Limits, LoadOptions, Reader, Reading, load


def read(*paths: Path, limits: Limits | None = None, passwords: tuple[str, ...] = ()) -> dict[str, Reading]:
    with Reader(ChunkSettings(), LoadOptions(limits or Limits(), passwords), processes=2) as reader:
        return dict(reader.read((path.name, path) for path in paths))


def slow_file(folder: Path) -> Path:
    """A file that takes seconds to read."""
    path = folder / "slow.md"
    path.write_text("".join(f"# Heading {number}\n\nText.\n\n" for number in range(100_000)))
    return path


def children() -> list[psutil.Process]:
    return [one for one in psutil.Process().children() if "ingest.worker" in one.cmdline()]


def gone(process: psutil.Process) -> bool:
    return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE


def test_it_gives_what_loading_and_cutting_here_would(samples: Path) -> None:
    found = read(*sorted(samples.iterdir()))
    assert set(found) == {path.name for path in samples.iterdir()}
    for path in samples.iterdir():
        document = load(path)
        reading = found[path.name]
        assert reading.chunks == tuple(Chunker().chunk(document))
        assert (reading.status, reading.title, reading.pages) == ("ready", document.title, document.pages)
        assert reading.notes == document.notes


def test_nothing_to_read_starts_nothing() -> None:
    with Reader(ChunkSettings(), LoadOptions()) as reader:
        assert list(reader.read([])) == []
        assert children() == []


def test_tokens_are_counted_by_the_tokenizer_it_is_given(tmp_path: Path) -> None:
    from tokenizers import Tokenizer, models, pre_tokenizers

    tokenizer = Tokenizer(models.WordLevel({"?": 0}, unk_token="?"))
    tokenizer.pre_tokenizer = pre_tokenizers.Split("", "isolated")  # each character is a token
    path = tmp_path / "a.txt"
    path.write_text("One sentence here. Another one there. A third, at last.")
    with Reader(ChunkSettings(20, 0, tokenizer.to_str()), LoadOptions()) as reader:
        ((_, reading),) = reader.read([(1, path)])
    assert [chunk.text for chunk in reading.chunks] == ["One sentence here.", "Another one there.", "A third, at last."]


def test_very_many_blanks_end_a_chunk_whatever_the_tokenizer_makes_of_them(tmp_path: Path) -> None:
    from tokenizers import Tokenizer, models, pre_tokenizers

    tokenizer = Tokenizer(models.WordLevel({"?": 0}, unk_token="?"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    path = tmp_path / "a.txt"
    path.write_text(f"One{' ' * 20_000}two")
    with Reader(ChunkSettings(20, 0, tokenizer.to_str()), LoadOptions()) as reader:
        ((_, reading),) = reader.read([(1, path)])
    assert [chunk.text for chunk in reading.chunks] == ["One", "two"]


def test_a_bad_file_is_told_and_the_others_are_read(tmp_path: Path) -> None:
    (tmp_path / "bad.pdf").write_bytes(b"%PDF-1.7 and no more")
    (tmp_path / "good.txt").write_text("words")
    found = read(tmp_path / "bad.pdf", tmp_path / "gone.txt", tmp_path / "good.txt", tmp_path / "x.unknown")
    assert {name: reading.status for name, reading in found.items()} == {
        "bad.pdf": "failed",
        "gone.txt": "failed",
        "good.txt": "ready",
        "x.unknown": "unsupported",
    }
    assert found["bad.pdf"].notes[0].startswith("not a PDF, or broken")


def test_a_file_that_takes_too_long_is_given_up_and_the_next_one_is_read(tmp_path: Path) -> None:
    (tmp_path / "next.txt").write_text("words")
    began = time.monotonic()
    with Reader(ChunkSettings(), LoadOptions(Limits(seconds=1.0)), processes=1) as reader:
        found = dict(reader.read((p.name, p) for p in (slow_file(tmp_path), tmp_path / "next.txt")))
    assert time.monotonic() - began < 15
    assert found["slow.md"].status == "failed"
    assert found["slow.md"].notes == ("it took longer than 1 s to read; split it, or raise max_seconds",)
    assert found["next.txt"].status == "ready"


def test_a_file_that_takes_too_much_memory_is_given_up(tmp_path: Path) -> None:
    reading = read(slow_file(tmp_path), limits=Limits(memory_bytes=60_000_000))["slow.md"]
    assert reading.status == "failed"
    assert reading.notes[0].startswith("reading it took more than 60 MB of memory")


def test_a_reader_that_dies_over_a_file_fails_that_file_only(tmp_path: Path) -> None:
    (tmp_path / "next.txt").write_text("words")
    with Reader(ChunkSettings(), LoadOptions(), processes=1) as reader:
        results = reader.read((p.name, p) for p in (tmp_path / "next.txt", slow_file(tmp_path), tmp_path / "next.txt"))
        assert next(results)[1].status == "ready"
        time.sleep(0.3)
        children()[0].kill()
        name, reading = next(results)
        assert (name, reading.status) == ("slow.md", "failed")
        assert "broke down" in reading.notes[0]
        assert next(results)[1].status == "ready"


def test_closing_ends_a_reader_at_work(tmp_path: Path) -> None:
    reader = Reader(ChunkSettings(), LoadOptions(), processes=1)
    (tmp_path / "first.txt").write_text("words")
    results = reader.read((p, p) for p in (tmp_path / "first.txt", slow_file(tmp_path)))
    next(results)
    (child,) = children()
    began = time.monotonic()
    reader.close()
    assert time.monotonic() - began < 2
    assert gone(child)


def test_closing_starts_no_reader_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # As if every file left much behind, so that its process is ended after it.
    monkeypatch.setattr("ingest.worker_pool._memory_bytes", lambda pid, *, family=False: 0 if family else 10**12)
    closing = threading.Event()
    slow = slow_file(tmp_path)
    (tmp_path / "first.txt").write_text("words")

    def files() -> Iterator[tuple[int, Path]]:
        yield 1, tmp_path / "first.txt"
        closing.wait()
        time.sleep(0.5)
        yield 2, slow

    reader = Reader(ChunkSettings(), LoadOptions(), processes=1)
    next(reader.read(files()))
    closing.set()
    began = time.monotonic()
    reader.close()
    assert time.monotonic() - began < 2
    assert children() == []


def test_what_is_left_lying_about_is_removed(tmp_path: Path) -> None:
    before = set(Path(tempfile.gettempdir()).glob("kb-*"))
    read(slow_file(tmp_path), limits=Limits(seconds=0.5))
    assert set(Path(tempfile.gettempdir()).glob("kb-*")) <= before


@pytest.mark.skipif(os.name == "nt", reason="SIGKILL is not to be had on Windows")
def test_a_reader_does_not_outlive_who_started_it(tmp_path: Path) -> None:
    script = (
        "import sys; from pathlib import Path; from ingest import *\n"
        "with Reader(ChunkSettings(), LoadOptions()) as reader: list(reader.read([(1, Path(sys.argv[1]))]))"
    )
    parent = subprocess.Popen([sys.executable, "-c", script, str(slow_file(tmp_path))])
    until = time.monotonic() + 10
    while not (found := psutil.Process(parent.pid).children()) and time.monotonic() < until:
        time.sleep(0.02)
    scratch = Path(found[0].environ()["TMPDIR"])
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    while not gone(found[0]) and time.monotonic() < until:
        time.sleep(0.05)
    assert gone(found[0])
    assert not scratch.exists()


def test_a_reader_cannot_reach_the_network(tmp_path: Path) -> None:
    script = (
        "import socket, sys, threading; from ingest import worker\n"
        "sys.stdin.close(); threading.Thread.start = lambda self: None\n"
        "sys.argv.append('0')\n"
        "try: worker.main()\n"
        "except ValueError: pass\n"
        "try: socket.create_connection(('127.0.0.1', 9))\n"
        "except PermissionError as error: sys.exit(0 if 'must not reach the network' in str(error) else 1)\n"
        "sys.exit(2)"
    )
    assert subprocess.run([sys.executable, "-c", script], check=False, cwd=tmp_path).returncode == 0
