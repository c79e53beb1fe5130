from __future__ import annotations

import zipfile
from pathlib import Path

import pypandoc
import pytest
from contract import check_document

from ingest import BlockKind, ParsedDocument, load
from ingest.errors import NoTextError, PasswordRequiredError, TooLargeError, UnreadableError
from ingest.options import Limits, LoadOptions

MARKDOWN = """---
title: 员工手册
---

# 考勤

公司实行*弹性*工作制。[^1]

- 上午十点到
- 下午四点走

## 年假

| 工龄 | 天数 |
|------|------|
| 一年 | 5    |
| a\\|b | 10   |

```
code  here
    indented
```

[^1]: 试用期除外。
"""


def made(path: Path, text: str = MARKDOWN) -> Path:
    pypandoc.convert_text(text, path.suffix[1:], format="markdown", outputfile=str(path), extra_args=["--standalone"])
    return path


def blocks(document: ParsedDocument) -> list[tuple[str, int, str]]:
    return [(b.kind.value, b.level, document.text[b.start : b.end]) for b in document.blocks]


def with_member(path: Path, name: str, content: bytes) -> Path:
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, content)
    return path


@pytest.mark.parametrize("suffix", [".odt", ".epub", ".rtf"])
def test_headings_lists_and_tables_are_kept(tmp_path: Path, suffix: str) -> None:
    document = load(made(tmp_path / f"手册{suffix}"))
    check_document(document)
    found = blocks(document)
    assert document.title == ("考勤" if suffix == ".rtf" else "员工手册")
    assert ("heading", 1, "考勤") in found
    assert ("heading", 2, "年假") in found
    assert ("table", 0, "| 工龄 | 天数 |\n| --- | --- |\n| 一年 | 5 |\n| a\\|b | 10 |") in found
    assert any(words.startswith("公司实行弹性工作制。") for _, _, words in found)
    assert "下午四点走" in document.text
    assert "试用期除外。" in document.text
    assert "↩" not in document.text


@pytest.mark.parametrize("suffix", [".odt", ".epub", ".rtf"])
def test_each_paragraph_and_row_counts_as_a_line(tmp_path: Path, suffix: str) -> None:
    document = load(made(tmp_path / f"a{suffix}", "# a\n\nb\n\nc\n"))
    assert [line for _, line in document.line_marks] == list(range(1, len(document.blocks) + 1))


def test_code_keeps_its_line_breaks(tmp_path: Path) -> None:
    found = blocks(load(made(tmp_path / "a.epub")))
    assert ("code", 0, "code  here\n    indented") in found


# RTF in the code pages of Windows


def rtf(path: Path, body: bytes, *, head: bytes = rb"\ansi\ansicpg936") -> ParsedDocument:
    path.write_bytes(rb"{\rtf1" + head + b"\n" + body + rb"\par}")
    document = load(path)
    check_document(document)
    return document


def escaped(text: str, encoding: str) -> bytes:
    return b"".join(rb"\'%02x" % byte for byte in text.encode(encoding))


@pytest.mark.parametrize(
    ("head", "encoding", "words"),
    [
        (rb"\ansi\ansicpg936", "gb18030", "公司实行弹性工作制。"),
        (rb"\ansi\ansicpg1252", "gb18030", "公司实行弹性工作制。"),
        (rb"\ansi", "gb18030", "公司实行弹性工作制。"),
        (rb"\ansi\ansicpg950", "big5", "會議室已經預訂了。"),
        (rb"\ansi\ansicpg932", "shift_jis", "会議は午後三時からです。"),
        (rb"\ansi\ansicpg1252", "cp1252", "Überprüfung für alle"),
    ],
)
def test_text_in_code_pages_comes_out_right(tmp_path: Path, head: bytes, encoding: str, words: str) -> None:
    assert rtf(tmp_path / "a.rtf", escaped(words, encoding), head=head).text == words


def test_the_code_page_is_that_of_the_font(tmp_path: Path) -> None:
    fonts = rb"{\fonttbl{\f0 Arial;}{\f1\fcharset134 SimSun;}{\f2\fcharset136 MingLiU;}}"
    body = (
        fonts
        + rb"\f0 caf\'e9 \f1 "
        + escaped("日出", "gb18030")
        + rb" {\f2 "
        + escaped("中文", "big5")
        + rb"}\f0 d\'e9j\'e0"
    )
    assert rtf(tmp_path / "a.rtf", body, head=rb"\ansi\ansicpg1252\deff0").text == "café 日出 中文déjà"


def test_second_bytes_written_as_letters_belong_to_the_first(tmp_path: Path) -> None:
    assert "丂" in rtf(tmp_path / "a.rtf", escaped("制度规定的", "gb18030") + rb" \'81@").text
    assert rtf(tmp_path / "b.rtf", "直接写的中文，没有转义。".encode("gb18030")).text == "直接写的中文，没有转义。"


def test_unicode_is_preferred_to_its_fallback(tmp_path: Path) -> None:
    body = rb"{\uc2\u20013\'d6\'d0\u25991\'ce\'c4 end} \u-10179?\u-8704? \u8212- after"
    assert rtf(tmp_path / "a.rtf", body).text == "中文 end 😀 — after"


def test_pictures_in_rtf_are_skipped(tmp_path: Path) -> None:
    body = rb"before {\pict\pngblip 89504e470d0a1a0a} {\*\objdata 0105} {\pict\bin4 {}}{} after"
    assert rtf(tmp_path / "a.rtf", body).text.split() == ["before", "after"]


# What is not to be read


def test_an_encrypted_odt_needs_a_password(tmp_path: Path) -> None:
    path = tmp_path / "a.odt"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("mimetype", "application/vnd.oasis.opendocument.text")
        archive.writestr("content.xml", b"\x81\x82" * 200)
        archive.writestr("META-INF/manifest.xml", "<manifest><file-entry><encryption-data/></file-entry></manifest>")
    with pytest.raises(PasswordRequiredError, match=r"^a\.odt: it is encrypted; "):
        load(path)


def encryption(algorithm: str, uri: str) -> bytes:
    return (
        '<encryption xmlns="urn:oasis:names:tc:opendocument:xmlns:container" '
        'xmlns:enc="http://www.w3.org/2001/04/xmlenc#"><enc:EncryptedData>'
        f'<enc:EncryptionMethod Algorithm="{algorithm}"/>'
        f'<enc:CipherData><enc:CipherReference URI="{uri}"/></enc:CipherData></enc:EncryptedData></encryption>'
    ).encode()


def test_a_protected_book_says_so(tmp_path: Path) -> None:
    listed = encryption("http://www.w3.org/2001/04/xmlenc#aes128-cbc", "EPUB/text/ch001.xhtml")
    path = with_member(made(tmp_path / "a.epub"), "META-INF/encryption.xml", listed)
    with pytest.raises(UnreadableError, match=r"^a\.epub: it is protected against copying"):
        load(path)


def test_a_book_with_protected_fonts_is_read(tmp_path: Path) -> None:
    listed = encryption("http://www.idpf.org/2008/embedding", "EPUB/fonts/a.otf")
    path = with_member(made(tmp_path / "a.epub"), "META-INF/encryption.xml", listed)
    assert "弹性" in load(path).text


@pytest.mark.parametrize("suffix", [".odt", ".epub"])
def test_a_document_that_unpacks_to_too_much_is_refused(tmp_path: Path, suffix: str) -> None:
    path = with_member(made(tmp_path / f"a{suffix}"), "zeros.bin", bytes(3_000_000))
    with pytest.raises(TooLargeError, match=rf"^a\{suffix}: it unpacks to more than the limit"):
        load(path, LoadOptions(Limits(unpacked_bytes=2_000_000)))


@pytest.mark.parametrize("suffix", [".odt", ".epub", ".rtf"])
@pytest.mark.parametrize("content", [b"no such document", b"PK\x03\x04" + bytes(50), b"{\\rtf1 cut {"])
def test_an_invalid_file_is_refused(tmp_path: Path, suffix: str, content: bytes) -> None:
    path = tmp_path / f"a{suffix}"
    path.write_bytes(content)
    with pytest.raises(UnreadableError, match=rf"^a\{suffix}: "):
        load(path)


def test_rtf_without_text_holds_none(tmp_path: Path) -> None:
    path = tmp_path / "a.rtf"
    path.write_bytes(rb"{\rtf1\ansi }")
    with pytest.raises(NoTextError, match=r"^a\.rtf: "):
        load(path)


def test_files_that_a_document_names_are_not_opened(tmp_path: Path) -> None:
    secret = tmp_path / "secret.txt"
    secret.write_text("secret words")
    link = f'<p>open words</p><img src="{secret}" alt="a"/><object data="{secret}"></object><iframe src="{secret}"/>'
    path = made(tmp_path / "a.epub", "# open\n\n```{=html}\n" + link + "\n```\n")
    document = load(path)
    assert "secret words" not in document.text
    assert document.blocks[0].kind is BlockKind.HEADING
