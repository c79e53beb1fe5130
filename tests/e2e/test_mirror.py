"""Whatever is done to a folder, and whenever `kb ingest` is killed: in the end the store is the folder."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path

import chromadb
import pytest
from chromadb.api.shared_system_client import SharedSystemClient
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from ingest import content_hash
from kb_assistant import Assistant

NAMES = st.sampled_from(["a.md", "b.txt", "制度/年假.md", "制度/差旅.txt", "deep/er/c.md", "deep/d.txt"])
PARAGRAPHS = st.sampled_from(
    [
        "Staff get fifteen days of annual leave.",
        "年假满五年的员工每年十七天。",
        "All rights reserved. Do not copy.",
        "# 标题",
        "VPN tokens expire after twelve hours.",
        "病假每年八天，须交医院证明。",
    ]
)
CONTENTS = st.lists(PARAGRAPHS, max_size=4).map("\n\n".join)


class Mirror(RuleBasedStateMachine):
    """A folder, and what is done to it between runs."""

    def __init__(self) -> None:
        super().__init__()
        self.scratch = Path(tempfile.mkdtemp())
        self.folder = self.scratch / "docs"
        self.home = self.scratch / "home"
        self.in_step = False
        # One that is always there, so that the folder is never taken for a drive that is not.
        self.write("always.md", "Zebras have stripes.")

    def write(self, name: str, content: str) -> None:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8")
        self.in_step = False

    def files(self) -> list[Path]:
        return sorted(path for path in self.folder.rglob("*") if path.is_file() and path.name != "always.md")

    @rule(name=NAMES, content=CONTENTS)
    def add_or_edit(self, name: str, content: str) -> None:
        self.write(name, content)

    @precondition(lambda self: self.files())
    @rule(data=st.data(), name=NAMES)
    def rename(self, data: st.DataObject, name: str) -> None:
        path = data.draw(st.sampled_from(self.files()))
        (self.folder / name).parent.mkdir(parents=True, exist_ok=True)
        path.replace(self.folder / name)
        self.in_step = False

    @precondition(lambda self: self.files())
    @rule(data=st.data())
    def delete(self, data: st.DataObject) -> None:
        data.draw(st.sampled_from(self.files())).unlink()
        self.in_step = False

    @rule(after_s=st.floats(0, 0.4))
    def kill(self, after_s: float) -> None:
        """Run it in a process, and kill that some time after it has begun to write."""
        process = subprocess.Popen(
            [sys.executable, "-m", "kb_assistant", "ingest", str(self.folder), "--home", str(self.home)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        until = time.monotonic() + 10
        while not (self.home / "writer.pid").exists() and process.poll() is None and time.monotonic() < until:
            time.sleep(0.005)
        time.sleep(after_s)
        process.send_signal(signal.SIGKILL)
        process.wait()

    @rule()
    def ingest(self) -> None:
        with Assistant.open(self.home) as kb:
            report = kb.ingest(self.folder)
            assert report.failed == 0
            assert all(sound for _, sound, _ in kb.check()), kb.check()
        self.in_step = True

    @invariant()
    def the_store_is_the_folder(self) -> None:
        if not self.in_step:
            return
        with closing(sqlite3.connect(self.home / "catalog.db")) as catalog:

            def ask(query: str) -> list[tuple[object, ...]]:
                return catalog.execute(query).fetchall()

            found = [path for path in self.folder.rglob("*") if path.is_file()]
            expected = {(path.relative_to(self.folder).as_posix(), content_hash(path)) for path in found}
            assert set(ask("SELECT name, content_hash FROM sources")) == expected
            for path in found:
                query = (
                    "SELECT text FROM chunks JOIN sources ON sources.id = source_id "
                    "JOIN passages ON passages.id = passage_id WHERE name = ? ORDER BY position"
                )
                name = path.relative_to(self.folder).as_posix()
                stored = "\n".join(text for (text,) in catalog.execute(query, (name,)))
                words = path.read_text(encoding="utf-8").replace("# 标题", "").split()
                assert stored.replace("标题", "").replace("#", "").split() == words
            passages = {row[0] for row in ask("SELECT id FROM passages")}
            assert {row[0] for row in ask("SELECT passage_id FROM chunks")} == passages
            assert {row[0] for row in ask("SELECT rowid FROM fulltext_1")} == passages
            assert {int(one) for one in self.in_chroma()} == passages
            assert ask("SELECT 1 FROM chroma_queue") == []
            assert set(ask("SELECT text_hash FROM vectors")) == set(ask("SELECT text_hash FROM passages"))
            texts = ask("SELECT context, text FROM passages")
            assert len(texts) == len(set(texts))

    def in_chroma(self) -> list[str]:
        SharedSystemClient.clear_system_cache()
        client = chromadb.PersistentClient(str(self.home / "chroma"))
        held = [one for each in client.list_collections() for one in each.get(include=[])["ids"]]
        client.close()
        return held

    def teardown(self) -> None:
        self.ingest()
        self.the_store_is_the_folder()
        shutil.rmtree(self.scratch)


TestMirror = pytest.mark.skipif(os.name == "nt", reason="SIGKILL is not to be had on Windows")(Mirror.TestCase)
TestMirror.settings = settings(
    max_examples=10,
    stateful_step_count=12,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
