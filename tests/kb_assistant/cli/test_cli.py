"""The command line's contract: what is printed where, and the exit codes."""

import json
import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import click
import pytest
from paths import SAMPLES

from kb_assistant.cli import cli

QUESTION = "How long is the warranty on rechargeable batteries?"


@pytest.fixture
def docs(tmp_path: Path) -> Path:
    folder = tmp_path / "docs"
    folder.mkdir()
    (folder / "leave.md").write_text("# Leave\n\nStaff get 15 days of annual leave.\n")
    (folder / "病假.txt").write_text("病假每年八天，须交医院证明。\n", encoding="utf-8")
    return folder


def test_help_names_every_command_and_every_option_is_described(kb: Callable) -> None:
    text = kb("--help").out
    for name, command in cli.commands.items():
        assert name in text
        assert command.help
        options = [option for option in command.params if isinstance(option, click.Option)]
        assert all(option.help for option in options), name


def test_help_shows_that_paths_need_not_be_given(kb: Callable) -> None:
    assert "ingest [OPTIONS] [PATH]..." in kb("ingest", "--help").out


def test_ingest_json(kb: Callable, docs: Path) -> None:
    run = kb("ingest", docs, "--json")
    assert (run.code, run.err) == (0, "")
    report = run.json()
    assert list(report) == [
        *("added", "updated", "renamed", "unchanged", "deleted", "failed", "chunks_embedded", "seconds", "files")
    ]
    assert (report["added"], report["failed"], report["chunks_embedded"]) == (2, 0, 2)
    assert report["files"][0] == {"path": "leave.md", "status": "ready", "chunks": 1, "pages": None, "notes": []}


def test_ingest_for_people(kb: Callable, docs: Path) -> None:
    (docs / "broken.pdf").write_bytes(b"not a pdf")
    (docs / "photo.xyz").write_bytes(b"\x00")
    run = kb("ingest", docs)
    assert run.code == 1
    assert "failed  broken.pdf: not a PDF, or broken" in run.out
    assert "1 files of other kinds were passed over" in run.out
    assert "2 added, 1 failed; 2 chunks embedded" in run.out


def test_a_dry_run_for_people(kb: Callable, docs: Path) -> None:
    run = kb("ingest", docs, "--dry-run")
    assert run.out == "    added  leave.md\n    added  病假.txt\nwould be: 2 added\n"


def encrypted_workbook(path: Path, password: str) -> None:
    """A workbook with a sentence in it, encrypted as Excel does."""
    import io

    from msoffcrypto.format.ooxml import OOXMLFile
    from openpyxl import Workbook

    workbook, plain = Workbook(), io.BytesIO()
    workbook.active["A1"] = "The vault code is kept by the notary."
    workbook.save(plain)
    with path.open("wb") as stream:
        OOXMLFile(plain).encrypt(password, stream)


def test_an_encrypted_file_is_read_with_its_password(kb: Callable, docs: Path) -> None:
    encrypted_workbook(docs / "vault.xlsx", "春天")
    run = kb("ingest", docs)
    assert run.code == 1
    assert "needs_password  vault.xlsx: it is encrypted" in run.out
    assert "--password" in run.out
    run = kb("ingest", docs, "--password", "wrong", "--password", "春天", "--json")
    assert (run.code, run.json()["updated"], run.json()["unchanged"]) == (0, 1, 2)
    assert "notary" in kb("search", "vault code").out
    assert kb("ingest", docs, "--json").json()["unchanged"] == 3


def test_a_scan_is_not_shown_as_ready(kb: Callable, docs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from PIL import Image

    monkeypatch.setenv("KB_OCR", "false")
    Image.new("RGB", (60, 20), "white").save(docs / "scan.png")
    run = kb("ingest", docs)
    assert run.code == 1
    assert "needs_ocr  scan.png: " in run.out
    assert kb("sources", "--json").json()[1]["status"] == "needs_ocr"
    again = kb("ingest", docs, "--json").json()
    assert (again["unchanged"], again["failed"]) == (2, 1)


def test_an_emptied_folder_needs_a_flag(kb: Callable, docs: Path) -> None:
    kb("ingest", docs)
    for path in docs.iterdir():
        path.unlink()
    run = kb("ingest", docs)
    assert (run.code, run.out) == (2, "")
    assert f"{docs} is empty now, and 2 documents from it are in collection 'default'; nothing was changed" in run.err
    docs.rmdir()
    assert "is gone now" in kb("ingest", docs).err
    assert len(kb("sources", "--json").json()) == 2
    assert kb("ingest", docs, "--delete-missing", "--dry-run", "--json").json()["deleted"] == 2
    assert kb("ingest", docs, "--delete-missing", "--keep-missing").code == 2
    assert kb("ingest", docs, "--delete-missing", "--json").json()["deleted"] == 2
    assert kb("sources", "--json").json() == []


@pytest.mark.skipif(os.name == "nt", reason="Ctrl-C is sent otherwise on Windows")
def test_watch_follows_and_gives_one_document_at_the_end(docs: Path, own_home: Path) -> None:
    command = [sys.executable, "-m", "kb_assistant", "ingest", str(docs), "--watch", "--json"]
    environment = {**os.environ, "PYTHONFAULTHANDLER": "1"}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)
    assert process.stderr is not None
    assert process.stderr.readline() == "watching for changes; Ctrl-C stops it\n"
    time.sleep(0.5)
    (docs / "new.md").write_text("Zebras have stripes.")
    until = time.monotonic() + 20
    while not stored(own_home, "new.md") and time.monotonic() < until:
        time.sleep(0.1)
    time.sleep(1)  # the run that stored it has to end to be in the report
    process.send_signal(signal.SIGINT)
    try:
        out, err = process.communicate(timeout=60)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGABRT)  # writes where each thread stands
        pytest.fail(process.communicate()[1])
    assert (process.returncode, err) == (0, "")
    report = json.loads(out)
    assert (report["added"], [file["path"] for file in report["files"]]) == (3, ["leave.md", "new.md", "病假.txt"])


@pytest.mark.skipif(os.name == "nt", reason="Ctrl-C is sent otherwise on Windows")
def test_watch_without_a_path_follows_all_folders(kb: Callable, docs: Path, tmp_path: Path, own_home: Path) -> None:
    run = kb("ingest", "--watch")
    assert (run.code, "nothing has been ingested yet" in run.err) == (3, True)
    other = tmp_path / "other"
    other.mkdir()
    (other / "vpn.md").write_text("Tokens expire after twelve hours.")
    kb("ingest", docs, other)
    command = [sys.executable, "-m", "kb_assistant", "ingest", "--watch", "--json"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    assert process.stderr.readline() == "watching for changes; Ctrl-C stops it\n"
    time.sleep(0.5)
    (other / "new.md").write_text("Zebras have stripes.")
    until = time.monotonic() + 20
    while not stored(own_home, "new.md") and time.monotonic() < until:
        time.sleep(0.1)
    time.sleep(1)  # the run that stored it has to end to be in the report
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=60)
    report = json.loads(out)
    assert (report["added"], report["unchanged"]) == (1, 3)


def stored(home: Path, name: str) -> bool:
    with closing(sqlite3.connect(home / "catalog.db")) as catalog:
        if catalog.execute("SELECT 1 FROM chroma_queue").fetchall():  # Chroma does not know all of it yet
            return False
        return bool(catalog.execute("SELECT 1 FROM sources WHERE name = ?", (name,)).fetchall())


def test_search_json(kb: Callable, docs: Path) -> None:
    kb("ingest", docs)
    found = kb("search", "annual leave", "-k", "1", "--json").json()
    assert found["query"] == "annual leave"
    (hit,) = found["hits"]
    assert list(hit) == ["rank", "score", "source", "page", "line_start", "line_end", "heading", "text"]
    assert {**hit, "score": None} == {
        "rank": 1,
        "score": None,
        "source": "leave.md",
        "page": None,
        "line_start": 1,
        "line_end": 3,
        "heading": "Leave",
        "text": "Leave\n\nStaff get 15 days of annual leave.",
    }


def test_search_for_people(kb: Callable, docs: Path) -> None:
    kb("ingest", docs)
    assert "leave.md:1-3  Leave\n      Leave Staff get 15 days" in kb("search", "annual leave").out
    assert kb("search", "x", "--source", "none*").out == "nothing found\n"


def test_ask_json(kb: Callable, docs: Path) -> None:
    kb("ingest", docs)
    run = kb("ask", "病假每年几天？", "--json")
    answer = run.json()
    assert run.code == 0
    assert list(answer) == [*("question", "answer", "refused", "engine", "citations", "timing", "usage", "unsupported")]
    assert answer["answer"] == "病假每年八天，须交医院证明。 [1]"
    (citation,) = answer["citations"]
    assert list(citation) == [*("number", "source", "page", "line_start", "line_end", "heading", "quote", "score")]
    assert (citation["source"], citation["line_start"]) == ("病假.txt", 1)
    assert list(answer["timing"]) == ["retrieval_s", "first_token_s", "total_s"]
    assert answer["usage"] == {"prompt_tokens": 0, "completion_tokens": 0}


def test_ask_for_people(kb: Callable, docs: Path) -> None:
    kb("ingest", docs)
    run = kb("ask", "How many days of annual leave?")
    assert run.out == (
        "Staff get 15 days of annual leave. [1]\n\n[1] leave.md:3  Leave\n    “Staff get 15 days of annual leave.”\n"
    )
    assert run.err == "(no language model is set: answers are quoted from the documents; --model FOLDER sets one)\n"


def test_a_refusal_offers_the_nearest_passages(kb: Callable, docs: Path) -> None:
    kb("ingest", docs)
    run = kb("ask", "Who won the annual football match on the moon?")
    assert run.out.startswith("The answer is not in these documents.\n\nThe nearest passages:\n[1] leave.md:3")


def test_a_filter_that_no_document_meets_is_named_and_nothing_else(kb: Callable, docs: Path) -> None:
    kb("ingest", docs)
    run = kb("ask", "年假有几天？", "--type", "pdf", "--since", "2024-01-01")
    assert run.out == "没有文档符合筛选条件：类型 .pdf、2024-01-01 起修改。知识库中共有 2 份文档。\n"


def test_search_and_ask_keep_to_types_and_dates(kb: Callable, docs: Path) -> None:
    (docs / "old.txt").write_text("Staff got 10 days of annual leave.\n")
    os.utime(docs / "old.txt", (1_600_000_000, 1_600_000_000))  # in September 2020
    kb("ingest", docs)
    question = "How many days of annual leave do staff get?"

    def found(*options: str) -> set[str]:
        return {hit["source"] for hit in kb("search", question, "--json", *options).json()["hits"]}

    assert found("--type", "markdown") == {"leave.md"}
    assert found("--type", "txt", "--type", "md") == {"leave.md", "old.txt", "病假.txt"}
    assert found("--since", "2020-10-01") == {"leave.md", "病假.txt"}
    assert found("--until", "2020-10-01") == found("--until", "2020-10-01", "--source", "o*") == {"old.txt"}
    assert "15 days" in kb("ask", question, "--json", "--since", "2020-10-01").json()["answer"]
    assert "10 days" in kb("ask", question, "--json", "--until", "2020-10-01").json()["answer"]
    for options in (["--type", "exe"], ["--since", "yesterday"], ["--since", "2024-02-01", "--until", "2024-01-01"]):
        assert kb("search", question, *options).code == 2


def test_sources_and_remove(kb: Callable, docs: Path) -> None:
    kb("ingest", docs, "--collection", "hr")
    assert [one["source"] for one in kb("sources", "--collection", "hr", "--json").json()] == ["leave.md", "病假.txt"]
    assert kb("remove", "leave.md", "--collection", "hr", "--json").json() == {"removed": ["leave.md"]}
    assert "病假.txt  (1 chunks)" in kb("sources", "--collection", "hr").out


def test_what_was_removed_stays_out_until_it_is_asked_for(kb: Callable, docs: Path) -> None:
    kb("ingest", docs)
    kb("remove", "leave.md", "病假.txt")
    run = kb("ingest", docs, "--dry-run")
    assert run.out == (
        " left out  leave.md\n left out  病假.txt\n"
        "2 files stay out since kb remove (--include-removed takes them in again)\nwould be: no documents\n"
    )
    assert [file["status"] for file in kb("ingest", "--json").json()["files"]] == ["left_out", "left_out"]
    assert kb("ingest", docs / "leave.md", "--json").json()["added"] == 1
    assert kb("ingest", "--json").json()["unchanged"] == 1
    assert kb("ingest", "--include-removed", "--json").json()["added"] == 1


@pytest.mark.skipif(os.name == "nt", reason="such names cannot be made on Windows")
@pytest.mark.parametrize("name", ["two\nlines.md", "tab\tand  spaces.md", "bell\x07.md", "年假\u202e.md"])
def test_a_document_is_removed_by_the_name_that_is_shown(kb: Callable, docs: Path, name: str) -> None:
    (docs / name).write_text("Okapis live in forests.")
    kb("ingest", docs)
    shown = next(line for line in kb("sources").out.splitlines() if line.split()[1] not in ("leave.md", "病假.txt"))
    run = kb("remove", shown.strip().removeprefix("ready  ").removesuffix("  (1 chunks)"))
    assert (run.code, run.out.count("\n")) == (0, 1)
    assert len(kb("sources", "--json").json()) == 2


def test_names_that_are_shown_alike_are_not_removed_together(kb: Callable, docs: Path) -> None:
    for name in ("a  b.md", "a   b.md"):
        (docs / name).write_text(f"Text of {name!r}.")
    kb("ingest", docs)
    run = kb("remove", "a b.md")
    assert (run.code, "2 documents are shown as 'a b.md'" in run.err) == (2, True)
    assert kb("remove", "a  b.md", "--json").json() == {"removed": ["a  b.md"]}


def test_collections_show_their_folders(kb: Callable, docs: Path) -> None:
    kb("ingest", docs, "--collection", "hr")
    (collection,) = kb("collections", "--json").json()
    assert list(collection) == ["collection", "sources", "chunks", "embedding", "folders"]
    assert (collection["collection"], collection["sources"], collection["folders"]) == ("hr", 2, [str(docs)])
    run = kb("collections")
    assert run.out.startswith("hr: 2 documents, 2 chunks")
    assert run.out.endswith(f"\n    {docs}\n")


def test_a_collection_is_renamed(kb: Callable, docs: Path) -> None:
    kb("ingest", docs)
    run = kb("collections", "rename", "default", "人事")
    assert (run.code, run.out) == (0, "default is called 人事 now\n")
    assert 'set collection = "人事" in kb.toml' in run.err
    assert "15 days" in kb("ask", "How many days of annual leave?", "--collection", "人事").out
    assert kb("ingest", "--collection", "人事", "--json").json()["unchanged"] == 2
    kb("ingest", docs, "--collection", "it")
    assert kb("collections", "rename", "it", "hr", "--json").json() == {"renamed": "it", "collection": "hr"}
    for old, new, reason in (
        ("hr", "人事", "there is a collection '人事' already"),
        ("hr", " ", "cannot be a collection's name"),
        ("hr", "two\nlines", "cannot be a collection's name"),
        ("it", "x", "no collection 'it'"),
    ):
        run = kb("collections", "rename", old, new)
        assert (run.code, reason in run.err) == (2, True), run.err
    assert kb("doctor").code == 0


def test_a_collection_is_removed(kb: Callable, docs: Path, own_home: Path) -> None:
    kb("ingest", docs)
    kb("ingest", docs, "--collection", "hr")
    run = kb("collections", "remove", "hr")
    assert (run.code, run.out) == (2, "")
    assert "collection 'hr' goes, with 2 documents" in run.err
    assert "add --yes" in run.err
    run = kb("collections", "remove", "hr", "--yes", "--json")
    assert (run.code, run.json()) == (0, {"removed": "hr", "sources": 2})
    assert [one["collection"] for one in kb("collections", "--json").json()] == ["default"]
    assert kb("collections", "remove", "hr", "--yes").code == 2
    assert "15 days" in kb("ask", "How many days of annual leave?").out
    assert kb("doctor").code == 0
    assert kb("collections", "remove", "default", "--yes").out == "removed: default\n"
    with closing(sqlite3.connect(own_home / "catalog.db")) as catalog:
        for table in ("sources", "chunks", "passages", "vectors", "roots", "chroma_queue"):
            assert catalog.execute(f"SELECT count(*) FROM {table}").fetchone() == (0,), table
        assert catalog.execute("SELECT name FROM sqlite_master WHERE name LIKE 'fulltext%'").fetchall() == []
    assert list(docs.iterdir())


@pytest.mark.skipif(sys.platform == "win32", reason="no pseudo-terminals")
@pytest.mark.parametrize(("answer", "code", "left"), [("y\n", 0, []), ("n\n", 130, ["default"])])
def test_a_removal_is_asked_about(
    kb: Callable, docs: Path, monkeypatch: pytest.MonkeyPatch, answer: str, code: int, left: list[str]
) -> None:
    kb("ingest", docs)
    terminal, inside = os.openpty()
    os.write(terminal, answer.encode())
    with os.fdopen(inside, "r") as stdin, monkeypatch.context() as patched:
        patched.setattr(sys, "stdin", stdin)
        run = kb("collections", "remove", "default")
    os.close(terminal)
    assert run.code == code
    assert "with 2 documents" in run.err
    assert [one["collection"] for one in kb("collections", "--json").json()] == left


def test_folders_are_listed_and_no_longer_mirrored(kb: Callable, docs: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "leave.md").write_text("Okapis live in forests.")
    kb("ingest", docs, other, "--collection", "hr")
    listed = kb("folders", "--collection", "hr", "--json").json()
    assert listed == [{"folder": str(docs), "sources": 2}, {"folder": str(other), "sources": 1}]
    assert kb("folders", "--collection", "hr").out == f"{docs}: 2 documents\n{other}: 1 documents\n"
    run = kb("folders", "remove", docs, "--collection", "hr")
    assert (run.code, "2 documents from it go; the files stay; nothing was changed" in run.err) == (2, True)
    run = kb("folders", "--collection", "hr", "remove", docs, "--yes", "--json")
    assert run.json() == {"folder": str(docs), "removed": ["docs/leave.md", "病假.txt"]}
    assert [one["source"] for one in kb("sources", "--collection", "hr", "--json").json()] == ["other/leave.md"]
    assert kb("folders", "remove", docs, "--collection", "hr", "--yes").code == 2


def test_what_kbignore_excludes_is_only_counted(kb: Callable, docs: Path) -> None:
    kb("ingest", docs)
    (docs / ".kbignore").write_text("*.txt\ndrafts/\n")
    (docs / "drafts").mkdir()
    (docs / "drafts" / "plan.md").write_text("Okapis live in forests.")
    run = kb("ingest", "--json")
    assert run.err == "2 files or folders were left out because of .kbignore\n"
    report = run.json()
    assert {file["path"]: file["status"] for file in report["files"]} == {"leave.md": "ready", "病假.txt": "deleted"}
    (docs / ".kbignore").write_text("*\n")
    assert kb("ingest", "--json").json()["deleted"] == 1


def test_doctor_finds_a_sound_store_sound(kb: Callable, docs: Path) -> None:
    assert "empty; run: kb ingest FOLDER" in kb("doctor").out
    kb("ingest", docs)
    run = kb("doctor", "--json")
    assert (run.code, {finding["ok"] for finding in run.json()}) == (0, {True})


def test_doctor_finds_missing_vectors(kb: Callable, docs: Path, own_home: Path) -> None:
    kb("ingest", docs)
    for path in sorted((own_home / "chroma").rglob("*"), reverse=True):
        path.unlink() if path.is_file() else path.rmdir()
    run = kb("doctor")
    assert run.code == 3
    assert (
        "FAIL  collection default: 2 documents, 2 chunks of 2 texts, 2 in full text, 0 vectors; run kb ingest\n"
        in run.out
    )
    kb("ingest", docs)
    assert kb("doctor").code == 0


def test_doctor_finds_a_missing_model(kb: Callable, docs: Path, tmp_path: Path) -> None:
    kb("ingest", docs)
    run = kb("doctor", "--model", tmp_path / "none")
    assert run.code == 3
    assert "FAIL  engine:" in run.out


def test_doctor_says_what_is_wrong_with_the_home_and_the_settings(kb: Callable, own_home: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    run = kb("doctor", "--home", tmp_path / "file", "--json")
    assert (run.code, [one["check"] for one in run.json() if not one["ok"]]) == (3, ["home"])
    own_home.mkdir()
    (own_home / "kb.toml").write_text("pasages = 3")
    assert "FAIL  settings: unknown setting 'pasages'" in kb("doctor").out


def test_doctor_says_whether_the_home_is_full_or_not_writable(
    kb: Callable, own_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own_home.mkdir()
    with monkeypatch.context() as patched:
        patched.setattr(os, "access", lambda path, mode: False)
        assert f"FAIL  home: {own_home} cannot be written to; allow it, or set KB_HOME" in kb("doctor").out
    full = shutil.disk_usage(own_home)._replace(free=200_000_000)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: full)
    assert f"FAIL  home: {own_home}: 0.2 GB free; make room, or set KB_HOME" in kb("doctor").out


def test_doctor_says_that_chroma_is_damaged(kb_process: Callable, docs: Path, own_home: Path) -> None:
    kb_process("ingest", docs)
    (own_home / "chroma" / "chroma.sqlite3").write_bytes(b"garbage " * 10000)
    run = kb_process("doctor")
    assert run.code == 3
    assert "FAIL  store: cannot use the vectors" in run.out


def test_a_home_with_special_characters(kb: Callable, docs: Path, tmp_path: Path) -> None:
    home = tmp_path / "o?a=b%20 主目录"
    assert kb("ingest", docs, "--home", home).code == 0
    assert (home / "catalog.db").exists()
    assert "15 days" in kb("ask", "annual leave days", "--home", home).out


def test_a_document_cannot_steer_the_terminal(kb: Callable, docs: Path) -> None:
    (docs / "evil.md").write_text("The zebra quota is \x1b]0;pwned\x07\x1b[31mforty\x9b2J.\n")
    kb("ingest", docs)
    for arguments in (["ask", "What is the zebra quota?"], ["search", "zebra quota"]):
        run = kb(*arguments)
        assert "forty" in run.out
        assert not {"\x1b", "\x07", "\x9b"} & set(run.out)


@pytest.mark.skipif(sys.platform == "win32", reason="no pseudo-terminals")
def test_the_words_that_answer_are_bold_on_a_terminal_only(kb: Callable, docs: Path, own_home: Path) -> None:
    question = "How many days of annual leave do staff get?"
    kb("ingest", docs)
    assert "\x1b" not in kb("ask", question).out
    printed = kb("ask", question, "--json")
    assert "\x1b" not in printed.out
    assert not {"highlights", "searched"} & set(printed.json())
    terminal, inside = os.openpty()
    command = [sys.executable, "-m", "kb_assistant", "ask", question, "--home", str(own_home)]
    subprocess.run(command, stdout=inside, stderr=subprocess.DEVNULL, check=True)
    os.close(inside)
    shown = os.read(terminal, 10_000).decode()
    os.close(terminal)
    assert "\x1b[1m15 days\x1b[0m of annual leave" in shown


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_output_that_cannot_be_written(kb_process: Callable, docs: Path, own_home: Path) -> None:
    import os
    import subprocess
    import sys

    kb_process("ingest", docs)
    command = f"'{sys.executable}' -m kb_assistant sources --json > /dev/full"
    environment = {**os.environ, "KB_HOME": str(own_home)}
    run = subprocess.run(["bash", "-c", command], capture_output=True, text=True, env=environment, check=False)
    assert run.returncode == 3
    assert "Traceback" not in run.stderr


def test_demo(kb: Callable) -> None:
    run = kb("demo")
    assert run.code == 0
    assert "580 元" in run.out
    assert "9 months" in run.out
    assert kb("demo", QUESTION, "--json").json()["citations"][0]["source"] == "warranty-returns.html"


def bad_model(folder: Path) -> list[str]:
    (folder / "model").mkdir()
    (folder / "model" / "config.json").write_text('{"model_type": "qwen2"}')
    return ["ask", "annual leave", "--model", str(folder / "model")]


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["ingest", "no-such-folder"], 2, "no-such-folder: no such file or folder; nothing was changed"),
        (["search", "x", "--collection", "legal"], 2, "no collection 'legal'; there are: default"),
        (["ask", "x", "--collection", "legal"], 2, "no collection 'legal'; there are: default"),
        (["remove", "nothing.md"], 2, "no source 'nothing.md' in the collection; kb sources lists them"),
        (["ask", ""], 2, "the question is empty"),
        (["ask", "x", "--engine", "gpt"], 2, "setting engine"),
        (["ask", "x", "--engine", "ipex"], 2, "engine ipex needs a model"),
        (["ask", "annual leave", "--model", "no-such-model"], 3, "no-such-model"),
        (["search", "x", "-k", "0"], 2, "0 is not in the range"),
        (
            ["serve", "--host", "0.0.0.0"],
            2,
            "cannot listen on 0.0.0.0: anyone who reaches it could read the documents; run kb user add",
        ),
        (["frobnicate"], 2, "No such command 'frobnicate'"),
    ],
)
def test_errors_are_one_line_and_one_document(
    kb: Callable, docs: Path, arguments: list[str], code: int, message: str
) -> None:
    kb("ingest", docs)
    run = kb(*arguments)
    assert (run.code, run.out) == (code, "")
    assert message in run.err
    assert run.err.startswith("kb: ")
    assert run.err.count("\n") == 1
    if arguments[0] not in ("serve", "frobnicate"):
        again = kb(*arguments, "--json")
        assert again.code == code
        assert again.json()["error"]["exit_code"] == code
        assert message in again.json()["error"]["message"]


def test_where_it_cannot_listen(kb: Callable) -> None:
    kb("key", "add", "program")
    for host in ("nosuch.invalid", "192.0.2.1"):
        run = kb("serve", "--host", host)
        assert run.code == 2
        assert f"cannot listen on {host}:7860: " in run.err
        assert run.err.endswith("; give an address of this machine with --host\n")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        run = kb("serve", "--port", str(taken.getsockname()[1]))
        assert run.err.endswith("Address already in use; choose another port with --port\n")


def test_a_model_folder_without_weights(kb: Callable, docs: Path, tmp_path: Path) -> None:
    kb("ingest", docs)
    run = kb(*bad_model(tmp_path))
    assert (run.code, run.err.count("\n")) == (3, 1)
    assert "safetensors" in run.err


def test_nothing_ingested_yet(kb: Callable) -> None:
    run = kb("ask", "annual leave")
    assert (run.code, run.err) == (3, "kb: nothing has been ingested yet; run: kb ingest FOLDER\n")


def test_a_misspelt_setting(kb: Callable, own_home: Path) -> None:
    own_home.mkdir()
    (own_home / "kb.toml").write_text("pasages = 3")
    run = kb("sources")
    assert (run.code, run.err.count("\n")) == (2, 1)
    assert "unknown setting 'pasages'" in run.err
    assert "did you mean 'passages'?" in run.err


def test_a_catalogue_that_is_garbage(kb: Callable, own_home: Path) -> None:
    own_home.mkdir()
    (own_home / "catalog.db").write_bytes(b"garbage " * 1000)
    run = kb("sources")
    assert (run.code, run.err.count("\n")) == (3, 1)
    assert "cannot open the catalogue" in run.err


def test_a_home_that_is_no_folder(kb: Callable, docs: Path) -> None:
    home = docs / "leave.md"
    for command in (["ask", "x"], ["ingest", docs]):
        run = kb(*command, "--home", home)
        assert (run.code, run.err.count("\n")) == (3, 1)
        assert f"cannot make the folder {home}: File exists; set KB_HOME to a folder that can be written to" in run.err


def test_a_traceback_only_with_debug(kb: Callable) -> None:
    assert "Traceback" in kb("ingest", "no-such-folder", "--debug").err


def test_nothing_but_the_document_on_stdout_and_no_bar_in_a_pipe(kb_process: Callable, docs: Path) -> None:
    run = kb_process("ingest", docs, "--json")
    assert (run.code, run.err) == (0, "")
    assert run.json()["added"] == 2


def test_help_is_quick_because_it_imports_nothing_heavy() -> None:
    import subprocess
    import sys

    code = "import sys, kb_assistant.entry; print(*sorted(m for m in sys.modules if '.' not in m))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    heavy = {"torch", "transformers", "chromadb", "langchain", "langchain_core", "gradio", "numpy", "pydantic", "rich"}
    assert not heavy & set(loaded)


def test_a_reader_that_has_seen_enough(kb_process: Callable, own_home: Path) -> None:
    import os
    import subprocess
    import sys

    kb_process("ingest", SAMPLES)
    command = f"'{sys.executable}' -m kb_assistant search warranty -k 100 --json | head -c 1"
    run = subprocess.run(
        ["bash", "-c", command],
        capture_output=True,
        text=True,
        env={**os.environ, "KB_HOME": str(own_home)},
        check=False,
    )
    assert (run.stdout, run.stderr) == ("{", "")
    chatter = f"'{sys.executable}' -m kb_assistant demo | head -n 1"
    run = subprocess.run(["bash", "-c", chatter], capture_output=True, text=True, check=False)
    assert run.stdout.startswith("Ingested 10 sample documents")
    assert "error" not in run.stderr
