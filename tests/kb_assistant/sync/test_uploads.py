"""Uploads through the Python API: documents like any other, under ids of their own."""

import io
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from paths import SAMPLES
from pypdf import PdfReader, PdfWriter

from kb_assistant import Assistant, Upload
from kb_assistant.errors import UsageError
from kb_assistant.sync.report import IngestReport
from kb_assistant.sync.uploads import clean_name
from vectorstore import UnknownCollectionError

LEAVE = "# Leave\n\nStaff get 15 days of annual leave.\n"
SICK = "病假每年八天，须交医院证明。\n"


@pytest.fixture
def kb(own_home: Path) -> Iterator[Assistant]:
    with Assistant.open(own_home) as assistant:
        yield assistant


def upload(name: str, text: str) -> Upload:
    return Upload(name, io.BytesIO(text.encode()))


def outcomes(report: IngestReport) -> list[tuple[str, str]]:
    return [(file.path, file.status) for file in report.files]


def kept(kb: Assistant) -> list[Path]:
    folder = kb.home / "uploads"
    return sorted(folder.iterdir()) if folder.exists() else []


def found(kb: Assistant, question: str) -> list[str]:
    return [hit.source for hit in kb.search(question) if hit.coverage > 0.5]


def test_an_upload_is_found_cited_listed_and_removed_with_its_file(kb: Assistant) -> None:
    done: list[tuple[int, int, str]] = []
    report = kb.upload(
        [upload("leave.md", LEAVE), upload("病假.txt", SICK)], progress=lambda *state: done.append(state)
    )
    assert (report.added, report.failed) == (2, 0)
    assert outcomes(report) == [("leave.md", "ready"), ("病假.txt", "ready")]
    assert [state[:2] for state in done] == [(0, 2), (1, 2), (2, 2)]
    assert found(kb, "病假几天") == ["病假.txt"]
    assert kb.ask("How many days of annual leave do staff get?").citations[0].source == "leave.md"
    assert [Path(one.path).read_text(encoding="utf-8") for one in kb.sources()] == [LEAVE, SICK]
    assert kb.remove("病假.txt") == ["病假.txt"]
    assert found(kb, "病假几天") == []
    assert len(kept(kb)) == 1
    assert all(ok for _, ok, _ in kb.check())


def test_a_stream_that_cannot_be_wound_back_and_a_path_are_read(kb: Assistant, tmp_path: Path) -> None:
    (tmp_path / "x").write_text(SICK, encoding="utf-8")
    read, write = os.pipe()
    os.write(write, LEAVE.encode())
    os.close(write)
    with os.fdopen(read, "rb") as pipe:
        kb.upload([Upload("leave.md", pipe), Upload("病假.txt", tmp_path / "x")])
    assert [one.name for one in kb.sources()] == ["leave.md", "病假.txt"]
    assert (tmp_path / "x").exists()


def test_a_second_file_of_a_name_replaces_the_first_only_when_told_to(kb: Assistant) -> None:
    kb.upload([upload("leave.md", LEAVE)])
    newer = LEAVE.replace("15", "20")
    report = kb.upload([upload("leave.md", newer), upload("病假.txt", SICK)])
    assert outcomes(report) == [("leave.md", "refused"), ("病假.txt", "ready")]
    assert (report.added, report.failed) == (1, 1)
    assert "there is a document of that name" in report.files[0].notes[0]
    assert "15 days" in kb.text("leave.md")
    again = kb.upload([upload("leave.md", LEAVE)])
    assert (again.unchanged, again.chunks_embedded) == (1, 0)
    replaced = kb.upload([upload("leave.md", newer)], replacing=True)
    assert (replaced.added, replaced.updated) == (0, 1)
    assert "20 days" in kb.text("leave.md")
    assert kb.search("15 days annual leave", limit=1)[0].text.endswith("20 days of annual leave.")
    assert len(kept(kb)) == 2
    twice = kb.upload([upload("a.md", "# A\n\nOne."), upload("x/a.md", "# A\n\nTwo.")])
    assert sorted(outcomes(twice)) == [("a.md", "ready"), ("a.md", "refused")]
    assert (twice.added, twice.failed) == (1, 1)


def test_what_cannot_be_read_says_why_and_takes_no_readable_ones_place(kb: Assistant) -> None:
    kb.upload([upload("leave.md", LEAVE)])
    report = kb.upload(
        [upload("leave.md", " "), upload("a.pdf", "no PDF"), upload("b.exe", "MZ"), upload("c", "")],
        replacing=True,
    )
    assert dict(outcomes(report)) == {
        "a.pdf": "failed",
        "b.exe": "unsupported",
        "c": "unsupported",
        "leave.md": "empty",
    }
    assert ".exe files cannot be read" in report.files[1].notes[0]
    assert report.files[3].notes[-1] == "the document that it was to replace stays"
    assert found(kb, "annual leave days") == ["leave.md"]
    assert not any(path.stem in note for path in kept(kb) for file in report.files for note in file.notes)
    assert len(kept(kb)) == 2
    # Of one that could not be read nothing is lost.
    assert outcomes(kb.upload([Upload("a.pdf", SAMPLES / "product-specs.pdf")])) == [("a.pdf", "ready")]
    assert len(kept(kb)) == 2


def test_a_password_given_later_opens_it(kb: Assistant, tmp_path: Path) -> None:
    writer = PdfWriter(PdfReader(SAMPLES / "product-specs.pdf"))
    writer.encrypt("芝麻开门", algorithm="AES-256")
    writer.write(tmp_path / "locked.pdf")
    file = Upload("locked.pdf", tmp_path / "locked.pdf")
    assert outcomes(kb.upload([file])) == [("locked.pdf", "needs_password")]
    assert outcomes(kb.ingest(passwords=["芝麻开门"])) == [("locked.pdf", "ready")]


@pytest.mark.parametrize(
    ("sent", "shown"),
    [
        ("../../etc/passwd.txt", "passwd.txt"),
        ("C:\\Users\\王\\报告.docx", "报告.docx"),
        ("/abs/olute.md", "olute.md"),
        ("re\u202etxt.exe.md", "retxt.exe.md"),
        ("a\x00b\r\nc\t.md", "ab c .md"),
        ("Cafe\u0301 表\ufeff.md", "Café 表.md"),
        ("长" * 500 + ".pdf", "长" * 196 + ".pdf"),
        (".md", ".md"),
    ],
)
def test_a_name_is_only_shown(sent: str, shown: str) -> None:
    assert clean_name(sent) == shown


@pytest.mark.parametrize("sent", ["", "..", "a/", "\u202e", "...", "\ud800"])
def test_a_file_has_a_name(kb: Assistant, sent: str) -> None:
    with pytest.raises(UsageError, match="without a name"):
        kb.upload([upload("leave.md", LEAVE), upload(sent, LEAVE)])
    assert kept(kb) == []


def test_bounds_are_held(own_home: Path) -> None:
    with Assistant.open(own_home, max_uploads=2, max_file_mb=1) as kb:
        with pytest.raises(UsageError, match="3 files at once, more than 2"):
            kb.upload([upload("leave.md", LEAVE)] * 3)
        report = kb.upload([upload("big.txt", "x" * 1_000_001), upload("small.txt", "x" * 1_000_000)])
        assert outcomes(report)[0] == ("big.txt", "refused")
        assert "larger than 1 MB" in report.files[0].notes[0]
        assert [one.name for one in kb.sources()] == ["small.txt"]
        assert len(kept(kb)) == 1


def test_uploads_and_folders_leave_each_other_alone(kb: Assistant, tmp_path: Path) -> None:
    docs = tmp_path / "docs"
    docs.mkdir()
    (docs / "leave.md").write_text(LEAVE)
    kb.upload([upload("病假.txt", SICK)])
    kb.ingest(docs)
    (docs / "病假.txt").write_text("病假每年九天。", encoding="utf-8")
    assert kb.ingest(docs).added == 1
    assert {one.name for one in kb.sources()} == {"leave.md", "病假.txt", "docs/病假.txt"}
    report = kb.upload([upload("leave.md", "# Other\n\nWords.")], replacing=True)
    assert outcomes(report) == [("leave.md", "refused")]
    assert "comes from a folder" in report.files[0].notes[0]
    (docs / "leave.md").unlink()
    (docs / "病假.txt").unlink()
    kb.ingest(docs, delete_missing=True)
    assert [one.name for one in kb.sources()] == ["病假.txt"]
    # The home in a folder that is mirrored: its uploads are in already.
    kb.ingest(tmp_path)
    assert found(kb, "病假每年八天") == ["病假.txt"]
    with pytest.raises(UsageError, match="in their collections already"):
        kb.ingest(kb.home / "uploads")


def test_without_paths_all_that_is_known_is_looked_at_again(kb: Assistant, tmp_path: Path) -> None:
    with pytest.raises(UnknownCollectionError):
        kb.ingest()
    docs = tmp_path / "docs"
    docs.mkdir()
    (docs / "leave.md").write_text(LEAVE)
    kb.ingest(docs)
    kb.upload([upload("病假.txt", SICK)])
    (docs / "vpn.md").write_text("# VPN\n\nTokens expire after twelve hours.\n")
    report = kb.ingest()
    assert outcomes(report) == [("leave.md", "ready"), ("vpn.md", "ready"), ("病假.txt", "ready")]
    assert (report.added, report.unchanged) == (1, 2)
    with Assistant.open(kb.home, chunk_tokens=64) as other:
        assert other.ingest().updated == 3
    kept(kb)[0].unlink()
    assert ("病假.txt", "failed") in outcomes(kb.ingest())


def test_a_home_can_be_moved(kb: Assistant, tmp_path: Path) -> None:
    kb.upload([upload("leave.md", LEAVE)])
    kb.close()
    moved = kb.home.rename(tmp_path / "elsewhere")
    with Assistant.open(moved) as other:
        assert Path(other.sources()[0].path).read_text() == LEAVE
        assert other.ingest().unchanged == 1
        other.remove("leave.md")
        assert kept(other) == []


def test_the_command_line_lists_and_removes_uploads(kb: Assistant, kb_process) -> None:  # type: ignore[no-untyped-def]
    kb.upload([upload("leave.md", LEAVE)])
    assert kb_process("ingest", "--json").json()["unchanged"] == 1
    listed = kb_process("sources", "--json").json()
    assert [Path(one["path"]).read_text() for one in listed] == [LEAVE]
    assert "ready  leave.md" in kb_process("sources").out
    assert kb_process("doctor").code == 0
    assert kb_process("remove", "*.md").code == 0
    assert kept(kb) == []


SENDER = """
import sys
from pathlib import Path
from kb_assistant import Assistant, Upload
folder = Path(sys.argv[1])
with Assistant.open() as kb:
    print("ready", flush=True)
    kb.upload([Upload(path.name, path) for path in sorted(folder.iterdir())])
"""


def copied(kb: Assistant) -> int:
    return len(kept(kb))


def stored(kb: Assistant) -> int:
    return sum(one.sources for one in kb.collections())


@pytest.mark.skipif(os.name == "nt", reason="SIGKILL is not to be had on Windows")
def test_a_killed_upload_leaves_nothing_half(kb: Assistant, tmp_path: Path) -> None:
    folder = tmp_path / "sent"
    folder.mkdir()
    for number in range(120):
        paragraphs = [f"Paragraph {part} of file {number}: {'padding words ' * 60}" for part in range(12)]
        (folder / f"{number}.md").write_text("\n\n".join(paragraphs))
    half_way = 0
    for moment in (copied, stored, copied, stored):
        process = subprocess.Popen([sys.executable, "-c", SENDER, str(folder)], stdout=subprocess.PIPE)
        assert process.stdout is not None
        process.stdout.readline()
        before = moment(kb)
        while moment(kb) == before and process.poll() is None:
            time.sleep(0.005)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        half_way += 0 < stored(kb) < 120
        if stored(kb):
            assert all(one.chunks == 12 and Path(one.path).is_file() for one in kb.sources())
    assert half_way, "the moments were no test"
    report = kb.upload([Upload(path.name, path) for path in folder.iterdir()])
    assert (report.failed, len(kb.sources()), len(kept(kb))) == (0, 120, 120)
    kb.remove("*.md")
    assert kept(kb) == []


def test_doctor_names_uploads_whose_files_are_gone(kb: Assistant) -> None:
    kb.upload([upload("leave.md", LEAVE), upload("病假.txt", SICK)])
    assert ("uploads", True, "2 files") in kb.check()
    (path,) = [Path(one.path) for one in kb.sources() if one.name == "病假.txt"]
    path.unlink()
    assert ("uploads", False, "the files of 病假.txt are missing; upload them again") in kb.check()
