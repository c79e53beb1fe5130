"""Worker processes: their results, and the bounds they are kept in."""

from __future__ import annotations

import os
import shutil
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

from ingest import Chunker, ChunkSettings, Limits, LoadOptions, Reading, WorkerPool, load
from ingest.scratch_folder import belongs_to, make_scratch_folder


def read(*paths: Path, limits: Limits | None = None, passwords: tuple[str, ...] = ()) -> dict[str, Reading]:
    with WorkerPool(ChunkSettings(), LoadOptions(limits or Limits(), passwords), processes=2) as pool:
        return dict(pool.read((path.name, path) for path in paths))


def slow_file(folder: Path) -> Path:
    """A file that takes seconds to read."""
    path = folder / "slow.md"
    path.write_text("".join(f"# Heading {number}\n\nText.\n\n" for number in range(100_000)))
    return path


def children() -> list[psutil.Process]:
    return [child for child in psutil.Process().children() if "ingest.worker" in child.cmdline()]


def gone(process: psutil.Process) -> bool:
    return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE


def test_results_are_those_of_loading_and_chunking_in_this_process(samples: Path) -> None:
    found = read(*sorted(samples.iterdir()))
    assert set(found) == {path.name for path in samples.iterdir()}
    for path in samples.iterdir():
        document = load(path)
        reading = found[path.name]
        assert reading.chunks == tuple(Chunker().chunk(document))
        assert (reading.status, reading.title, reading.pages) == ("ready", document.title, document.pages)
        assert reading.notes == document.notes


def test_without_files_no_process_starts() -> None:
    with WorkerPool(ChunkSettings(), LoadOptions()) as pool:
        assert list(pool.read([])) == []
        assert children() == []


def test_the_given_tokenizer_counts_the_tokens(tmp_path: Path) -> None:
    from tokenizers import Tokenizer, models, pre_tokenizers

    tokenizer = Tokenizer(models.WordLevel({"?": 0}, unk_token="?"))
    tokenizer.pre_tokenizer = pre_tokenizers.Split("", "isolated")  # each character is a token
    path = tmp_path / "a.txt"
    path.write_text("One sentence here. Another one there. A third, at last.")
    with WorkerPool(ChunkSettings(20, 0, tokenizer.to_str()), LoadOptions()) as pool:
        ((_, reading),) = pool.read([(1, path)])
    assert [chunk.text for chunk in reading.chunks] == ["One sentence here.", "Another one there.", "A third, at last."]


def test_very_many_blanks_end_a_chunk_whatever_the_tokenizer_counts_for_them(tmp_path: Path) -> None:
    from tokenizers import Tokenizer, models, pre_tokenizers

    tokenizer = Tokenizer(models.WordLevel({"?": 0}, unk_token="?"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    path = tmp_path / "a.txt"
    path.write_text(f"One{' ' * 20_000}two")
    with WorkerPool(ChunkSettings(20, 0, tokenizer.to_str()), LoadOptions()) as pool:
        ((_, reading),) = pool.read([(1, path)])
    assert [chunk.text for chunk in reading.chunks] == ["One", "two"]


def test_a_broken_file_is_reported_and_the_others_are_read(tmp_path: Path) -> None:
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


def test_a_file_that_takes_too_long_fails_and_the_next_is_read(tmp_path: Path) -> None:
    (tmp_path / "next.txt").write_text("words")
    began = time.monotonic()
    with WorkerPool(ChunkSettings(), LoadOptions(Limits(seconds=1.0)), processes=1) as pool:
        found = dict(pool.read((p.name, p) for p in (slow_file(tmp_path), tmp_path / "next.txt")))
    assert time.monotonic() - began < 15
    assert found["slow.md"].status == "failed"
    assert found["slow.md"].notes == ("it took longer than 1 s to read; split it, or raise max_seconds",)
    assert found["next.txt"].status == "ready"


def test_a_file_that_takes_too_much_memory_fails(tmp_path: Path) -> None:
    reading = read(slow_file(tmp_path), limits=Limits(memory_bytes=60_000_000))["slow.md"]
    assert reading.status == "failed"
    assert reading.notes[0].startswith("reading it took more than 60 MB of memory")


def test_a_worker_that_dies_over_a_file_fails_only_that_file(tmp_path: Path) -> None:
    (tmp_path / "next.txt").write_text("words")
    with WorkerPool(ChunkSettings(), LoadOptions(), processes=1) as pool:
        results = pool.read((p.name, p) for p in (tmp_path / "next.txt", slow_file(tmp_path), tmp_path / "next.txt"))
        assert next(results)[1].status == "ready"
        time.sleep(0.3)
        children()[0].kill()
        name, reading = next(results)
        assert (name, reading.status) == ("slow.md", "failed")
        assert "crashed" in reading.notes[0]
        assert next(results)[1].status == "ready"


def test_closing_ends_a_busy_worker(tmp_path: Path) -> None:
    pool = WorkerPool(ChunkSettings(), LoadOptions(), processes=1)
    (tmp_path / "first.txt").write_text("words")
    results = pool.read((p, p) for p in (tmp_path / "first.txt", slow_file(tmp_path)))
    next(results)
    (child,) = children()
    began = time.monotonic()
    pool.close()
    assert time.monotonic() - began < 2
    assert gone(child)


def test_closing_starts_no_new_worker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # As if every file left much memory in use, so that its worker ends after it.
    monkeypatch.setattr("ingest.worker_pool._memory_bytes", lambda pid, *, family=False: 0 if family else 10**12)
    closing = threading.Event()
    slow = slow_file(tmp_path)
    (tmp_path / "first.txt").write_text("words")

    def files() -> Iterator[tuple[int, Path]]:
        yield 1, tmp_path / "first.txt"
        closing.wait()
        time.sleep(0.5)
        yield 2, slow

    pool = WorkerPool(ChunkSettings(), LoadOptions(), processes=1)
    next(pool.read(files()))
    closing.set()
    began = time.monotonic()
    pool.close()
    assert time.monotonic() - began < 2
    assert children() == []


def test_temporary_files_of_a_killed_worker_are_removed(tmp_path: Path) -> None:
    before = set(Path(tempfile.gettempdir()).glob("kb-worker-*"))
    read(slow_file(tmp_path), limits=Limits(seconds=0.5))
    assert set(Path(tempfile.gettempdir()).glob("kb-worker-*")) <= before


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGKILL")
def test_a_worker_does_not_outlive_the_process_that_started_it(tmp_path: Path) -> None:
    script = (
        "import sys; from pathlib import Path; from ingest import *\n"
        "with WorkerPool(ChunkSettings(), LoadOptions()) as pool: list(pool.read([(1, Path(sys.argv[1]))]))"
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


@pytest.mark.skipif(os.name == "nt", reason="there are no process groups on Windows")
@pytest.mark.parametrize("arguments", [[], ["{parent}"], ["{parent}", "{folder}"], ["x", "{folder}"]])
def test_a_worker_refuses_a_folder_that_no_pool_made(tmp_path: Path, arguments: list[str]) -> None:
    folder = tmp_path / "precious"
    folder.mkdir()
    (folder / "thesis.txt").touch()
    # The shell is in the process group of the worker: it says nothing if that is killed.
    command = f'"{sys.executable}" -m ingest.worker {" ".join(arguments)}; echo "exit code $?"'
    done = subprocess.run(
        ["/bin/sh", "-c", command.format(parent="$$", folder=folder)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        env={**os.environ, "TMPDIR": str(folder)},
        start_new_session=True,
        check=False,
    )
    assert done.stdout == "exit code 2\n"
    assert done.stderr.startswith("ingest.worker: only a worker pool starts this")
    assert (folder / "thesis.txt").exists()


def test_a_folder_is_a_workers_only_with_the_name_the_marker_and_the_owner(tmp_path: Path) -> None:
    with make_scratch_folder(os.getpid()) as name:
        made = Path(name)
        assert belongs_to(made, os.getpid())
        assert not belongs_to(made, os.getpid() + 1)
        link = tmp_path / made.name
        link.symlink_to(made)
        assert not belongs_to(link, os.getpid())
        renamed = tmp_path / "documents"
        shutil.copytree(made, renamed)
        assert not belongs_to(renamed, os.getpid())
        (made / ".kb-worker").unlink()
        assert not belongs_to(made, os.getpid())
    assert not belongs_to(made, os.getpid())


def test_a_worker_cannot_reach_the_network(tmp_path: Path) -> None:
    script = (
        "import os, socket, sys, threading; from ingest import worker\n"
        "from ingest.scratch_folder import make_scratch_folder\n"
        "sys.stdin.close(); threading.Thread.start = lambda self: None\n"
        "folder = make_scratch_folder(0)\n"
        "sys.argv += ['0', folder.name]\n"
        "try: worker.main()\n"
        "except ValueError: pass\n"
        "try: socket.create_connection(('127.0.0.1', 9))\n"
        "except PermissionError as error: sys.exit(0 if 'must not reach the network' in str(error) else 1)\n"
        "sys.exit(2)"
    )
    assert subprocess.run([sys.executable, "-c", script], check=False, cwd=tmp_path).returncode == 0
