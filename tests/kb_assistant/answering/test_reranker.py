"""The setting `reranker`, as the command line sees it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from small_reranker import save_reranker

QUESTION = "How many days of annual leave do staff get?"


@pytest.fixture
def folder(kb: Callable[..., Any], tmp_path: Path) -> Path:
    """A cross-encoder's folder, and documents that are ingested without it."""
    (tmp_path / "notes").mkdir()
    lines = [f"Staff get {days} days of annual leave in year {days}." for days in range(11, 17)]
    for number, line in enumerate(lines):
        (tmp_path / "notes" / f"{number}.md").write_text(line, encoding="utf-8")
    kb("ingest", tmp_path / "notes")
    return save_reranker(tmp_path / "models" / "small", [*lines, QUESTION])


def test_search_and_answer_go_by_its_order(
    kb: Callable[..., Any], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = [hit["source"] for hit in kb("search", QUESTION, "--json").json()["hits"]]
    monkeypatch.setenv("KB_RERANKER", str(folder))
    after = kb("search", QUESTION, "--json").json()["hits"]
    assert sorted(hit["source"] for hit in after) == sorted(before)
    assert [hit["source"] for hit in after] != before
    assert [hit["score"] for hit in after] == sorted((hit["score"] for hit in after), reverse=True)
    assert not kb("ask", QUESTION, "--json").json()["refused"]


def test_doctor_names_it(kb: Callable[..., Any], folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def found() -> dict[str, Any]:
        return {one["check"]: one for one in kb("doctor", "--json").json()}

    assert found()["reranker"]["ok"]
    monkeypatch.setenv("KB_RERANKER", str(folder))
    assert (found()["reranker"]["ok"], found()["reranker"]["detail"]) == (True, "small loads")
    (folder / "model.safetensors").write_bytes(b"not weights")
    assert not found()["reranker"]["ok"]


def test_one_that_is_missing_or_broken_is_one_line_and_exit_code_3(
    kb: Callable[..., Any], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "model.safetensors").write_bytes(b"not weights")
    for value in (folder, folder.parent / "nowhere"):
        monkeypatch.setenv("KB_RERANKER", str(value))
        for command in ("search", "ask"):
            run = kb(command, QUESTION)
            assert run.code == 3
            assert f"reranker at {value}" in run.err
            assert len(run.err.strip().splitlines()) == 1
