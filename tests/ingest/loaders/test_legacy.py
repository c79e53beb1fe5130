import base64
import importlib.util
import os
import shutil
import subprocess
from pathlib import Path

import docx
import pptx
import pytest
from contract import check_document

from ingest import BlockKind, ParsedDocument, load
from ingest.errors import UnreadableError, UnsupportedError

SOFFICE = shutil.which("soffice")
needs_libreoffice = pytest.mark.skipif(SOFFICE is None, reason="LibreOffice is not installed")
COMPOUND_FILE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
OLD_WORD = COMPOUND_FILE + bytes(504) + "WordDocument".encode("utf-16-le") + bytes(100)


def loaded(path: Path) -> ParsedDocument:
    document = load(path)
    check_document(document)
    return document


def blocks(document: ParsedDocument) -> list[tuple[BlockKind, str, int | None]]:
    return [(block.kind, document.text[block.start : block.end], block.page) for block in document.blocks]


def old(path: Path, suffix: str) -> Path:
    """Save a document in the format of Office 97."""
    assert SOFFICE is not None
    profile = (path.parent / "profile").as_uri()
    subprocess.run(
        [SOFFICE, f"-env:UserInstallation={profile}", "--headless", "--convert-to", suffix, path.name],
        cwd=path.parent,
        check=True,
        capture_output=True,
    )
    return path.with_suffix(f".{suffix}")


@needs_libreoffice
def test_an_old_word_document(tmp_path: Path) -> None:
    made = docx.Document()
    made.add_heading("差旅制度", level=1)
    made.add_paragraph("先填表。")
    table = made.add_table(rows=2, cols=2)
    for at, text in enumerate(["项", "限额", "酒店", "600 元"]):
        table.cell(at // 2, at % 2).text = text
    made.add_paragraph("完")
    made.save(str(tmp_path / "差旅 -制度.docx"))
    document = loaded(old(tmp_path / "差旅 -制度.docx", "doc"))
    assert [(kind, text) for kind, text, _ in blocks(document)] == [
        (BlockKind.HEADING, "差旅制度"),
        (BlockKind.PARAGRAPH, "先填表。"),
        (BlockKind.TABLE, "| 项 | 限额 |\n| --- | --- |\n| 酒店 | 600 元 |"),
        (BlockKind.PARAGRAPH, "完"),
    ]
    # By what it is, whatever its suffix says.
    renamed = (tmp_path / "差旅 -制度.doc").rename(tmp_path / "renamed.docx")
    assert loaded(renamed).text == document.text


@needs_libreoffice
def test_an_old_presentation(tmp_path: Path) -> None:
    made = pptx.Presentation()
    slide = made.slides.add_slide(made.slide_layouts[1])
    slide.shapes.title.text = "年度计划"
    slide.placeholders[1].text = "第一点"
    made.slides.add_slide(made.slide_layouts[5]).shapes.title.text = "结语"
    made.save(str(tmp_path / "x.pptx"))
    document = loaded(old(tmp_path / "x.pptx", "ppt"))
    assert [(text, page) for _, text, page in blocks(document)] == [("年度计划", 1), ("第一点", 1), ("结语", 2)]


@needs_libreoffice
def test_a_file_that_libreoffice_cannot_read(tmp_path: Path) -> None:
    path = tmp_path / "x.doc"
    path.write_bytes(OLD_WORD)
    with pytest.raises(UnreadableError, match=r"^x\.doc: LibreOffice cannot read .* save it as \.docx from Word"):
        load(path)


def test_without_libreoffice_the_remedy_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "x.doc"
    path.write_bytes(OLD_WORD)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UnsupportedError, match=r"^x\.doc: Word 97-2003 documents need LibreOffice; install it"):
        load(path)


def test_nothing_is_left_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "x.doc"
    path.write_bytes(OLD_WORD)
    program = tmp_path / "bin" / "soffice"
    program.parent.mkdir()
    program.write_text(
        '#!/bin/sh\necho "$@" > "$HOME/../../arguments"\ncat "$HOME/profile/user/"* > "$HOME/../../profile"\n'
    )
    program.chmod(0o700)
    monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}{os.environ['PATH']}")
    scratch = tmp_path / "a" / "b"
    scratch.mkdir(parents=True)
    monkeypatch.setattr("tempfile.tempdir", str(scratch))
    with pytest.raises(UnreadableError, match=r"^x\.doc: LibreOffice cannot read"):
        load(path)
    assert list(scratch.iterdir()) == []
    arguments = (tmp_path / "a" / "arguments").read_text()
    assert "-env:UserInstallation=file://" in arguments
    assert "--headless" in arguments
    profile = (tmp_path / "a" / "profile").read_text()
    for setting in ("DisableMacrosExecution", "BlockUntrustedRefererLinks"):
        assert f'oor:name="{setting}" oor:op="fuse"><value>true</value>' in profile


def test_a_docx_named_doc(tmp_path: Path) -> None:
    made = docx.Document()
    made.add_heading("标题", level=1)
    made.save(str(tmp_path / "x.doc"))
    assert loaded(tmp_path / "x.doc").title == "标题"


def test_a_pptx_named_ppt(tmp_path: Path) -> None:
    made = pptx.Presentation()
    made.slides.add_slide(made.slide_layouts[5]).shapes.title.text = "标题"
    made.save(str(tmp_path / "x.ppt"))
    assert loaded(tmp_path / "x.ppt").pages == 1


def test_a_web_page_named_doc(tmp_path: Path) -> None:
    path = tmp_path / "x.doc"
    page = "<html><head><meta charset='gb2312'></head><body><h1>通知</h1><p>明天放假。</p></body></html>"
    path.write_bytes(page.encode("gb2312"))
    assert [text for _, text, _ in blocks(loaded(path))] == ["通知", "明天放假。"]


def test_a_web_archive_named_doc(tmp_path: Path) -> None:
    page = base64.encodebytes("<html><meta charset='utf-8'><body><h1>通知</h1><p>明天放假。</p></body></html>".encode())
    path = tmp_path / "x.doc"
    path.write_bytes(
        b"MIME-Version: 1.0\nSubject: Exported From Confluence\nContent-Type: multipart/related; boundary=b\n\n"
        b"--b\nContent-Type: text/html; charset=utf-8\nContent-Transfer-Encoding: base64\n"
        b"Content-Location: file:///C:/x.htm\n\n" + page + b"\n--b--\n"
    )
    assert [text for _, text, _ in blocks(loaded(path))] == ["通知", "明天放假。"]


def test_a_text_named_doc(tmp_path: Path) -> None:
    path = tmp_path / "x.doc"
    path.write_text("第一段\n\n第二段\n", encoding="utf-8")
    assert [text for _, text, _ in blocks(loaded(path))] == ["第一段", "第二段"]


@pytest.mark.skipif(importlib.util.find_spec("pypandoc") is None, reason="pandoc is not installed")
def test_an_rtf_named_doc(tmp_path: Path) -> None:
    path = tmp_path / "x.doc"
    path.write_text(r"{\rtf1\ansi Plain words.\par}")
    assert "Plain words." in loaded(path).text


@pytest.mark.parametrize("suffix", [".doc", ".ppt"])
@pytest.mark.parametrize("content", [b"", bytes(4096), b"\x89PNG\r\n\x1a\n" + bytes(range(256))])
def test_an_invalid_document_is_refused(tmp_path: Path, suffix: str, content: bytes) -> None:
    path = tmp_path / f"x{suffix}"
    path.write_bytes(content)
    with pytest.raises(UnreadableError, match=rf"^x\{suffix}: not a \w+ document, or cut short; save it again as"):
        load(path)
