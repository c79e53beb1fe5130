"""Following a folder: bursts are one change, files are read when they are whole."""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from queue import Queue

import pytest

from kb_assistant import Assistant
from kb_assistant.sync.report import IngestReport

Watched = tuple[Assistant, Path, "Queue[IngestReport]", list[str]]


@pytest.fixture
def watched(tmp_path: Path) -> Iterator[Watched]:
    """An assistant that follows a folder, the folder, its reports, and what it says."""
    folder = tmp_path / "docs"
    folder.mkdir()
    (folder / "a.md").write_text("Zebras have stripes.")
    reports: Queue[IngestReport] = Queue()
    said: list[str] = []
    stop = threading.Event()
    with Assistant.open() as kb:

        def follow() -> None:
            for report in kb.watch(folder, notify=said.append, stop=stop):
                reports.put(report)

        thread = threading.Thread(target=follow)
        thread.start()
        try:
            assert reports.get(timeout=30).added == 1
            time.sleep(0.5)  # until the system tells of changes
            yield kb, folder, reports, said
        finally:
            stop.set()
            thread.join()


def until(holds: Callable[[], bool], seconds: float = 15) -> bool:
    end = time.monotonic() + seconds
    while not holds() and time.monotonic() < end:
        time.sleep(0.05)
    return holds()


def test_a_burst_of_changes_is_one(watched: Watched) -> None:
    kb, folder, reports, _ = watched
    for number in range(30):
        (folder / f"{number}.md").write_text(f"Note {number}.")
        time.sleep(0.01)
    (folder / "a.md").unlink()
    report = reports.get(timeout=15)
    assert (report.added, report.deleted) == (30, 1)
    assert kb.search("zebras stripes")[0].coverage < 0.5


def test_a_file_is_read_when_it_is_whole(watched: Watched) -> None:
    kb, folder, reports, _ = watched
    with (folder / "long.md").open("w") as stream:
        for number in range(20):
            stream.write(f"Paragraph {number} of a long file.\n\n")
            stream.flush()
            time.sleep(0.15)
    report = reports.get(timeout=15)
    assert (report.added, report.updated) == (1, 0)
    assert [source.name for source in kb.sources()] == ["a.md", "long.md"]
    assert kb.search("paragraph 19", limit=1)[0].coverage == 1


def test_a_folder_that_is_emptied_is_left_alone_and_told(watched: Watched) -> None:
    kb, folder, _, said = watched
    (folder / "a.md").unlink()
    assert until(lambda: bool(said))
    assert said[0].endswith("is empty now; its 1 documents stay as they are")
    assert len(kb.sources()) == 1


def test_it_goes_on_after_that(watched: Watched) -> None:
    _, folder, reports, said = watched
    (folder / "a.md").unlink()
    assert until(lambda: bool(said))
    (folder / "b.md").write_text("Giraffes have long necks.")
    report = reports.get(timeout=15)
    assert (report.added, report.deleted) == (1, 1)


def test_a_folder_that_goes_and_comes_back_is_followed_again(watched: Watched) -> None:
    _, folder, reports, said = watched
    shutil.rmtree(folder)
    assert until(lambda: any("is gone now" in line for line in said))
    folder.mkdir()
    (folder / "back.md").write_text("Okapis live in forests.")
    assert until(lambda: not reports.empty())
    assert reports.get().added == 1


def test_what_changes_during_the_first_run_is_not_lost(tmp_path: Path) -> None:
    folder = tmp_path / "docs"
    folder.mkdir()
    (folder / "a.md").write_text("Zebras have stripes.")
    stop = threading.Event()
    with Assistant.open() as kb:

        def late(done: int, total: int, *_: object) -> None:
            if done == total == 1:
                (folder / "late.md").write_text("Okapis live in forests.")

        reports = kb.watch(folder, progress=late, stop=stop)
        assert next(reports).added == 1
        assert next(reports).added == 1
        stop.set()
        assert len(kb.sources()) == 2
