from __future__ import annotations

import io
import struct
import zipfile
import zlib
from pathlib import Path

import pytest
from contract import check_document

from ingest import BlockKind, ParsedDocument, load
from ingest.errors import (
    NoTextError,
    PasswordRequiredError,
    TooLargeError,
    UnreadableError,
    UnsupportedError,
)
from ingest.options import Limits, LoadOptions


def packed(path: Path, files: dict[str, bytes | str], *, method: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def packed_bytes(files: dict[str, bytes | str]) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return stream.getvalue()


def raw_zip(
    name: bytes, content: bytes, *, extra: bytes = b"", flags: int = 0, method: int = 0, size: int = -1
) -> bytes:
    """Return an archive of one stored file, with what zipfile would not write."""
    size = len(content) if size < 0 else size
    head = struct.pack(
        "<HHHHHIIIHH", 20, flags, method, 0, 0x21, zlib.crc32(content), len(content), size, len(name), len(extra)
    )
    local = b"PK\x03\x04" + head + name + extra + content
    central = b"PK\x01\x02\x14\x00" + head + struct.pack("<HHHII", 0, 0, 0, 0, 0) + name + extra
    return local + central + struct.pack("<4sHHHHIIH", b"PK\x05\x06", 0, 0, 1, 1, len(central), len(local), 0)


def zip_crypto(content: bytes, password: bytes) -> bytes:
    """Return content encrypted as ZIP has done it from the beginning."""
    keys = [0x12345678, 0x23456789, 0x34567890]
    table = []
    for i in range(256):
        value = i
        for _ in range(8):
            value = (value >> 1) ^ 0xEDB88320 if value & 1 else value >> 1
        table.append(value)

    def update(byte: int) -> None:
        keys[0] = (keys[0] >> 8) ^ table[(keys[0] ^ byte) & 0xFF]
        keys[1] = ((keys[1] + (keys[0] & 0xFF)) * 134775813 + 1) & 0xFFFFFFFF
        keys[2] = (keys[2] >> 8) ^ table[(keys[2] ^ (keys[1] >> 24)) & 0xFF]

    for byte in password:
        update(byte)
    out = bytearray()
    for byte in bytes(11) + bytes([zlib.crc32(content) >> 24]) + content:
        key = keys[2] | 2
        out.append(byte ^ ((key * (key ^ 1)) >> 8) & 0xFF)
        update(byte)
    return bytes(out)


def encrypted_zip(content: bytes, password: bytes) -> bytes:
    data = bytearray(raw_zip(b"secret.txt", zip_crypto(content, password), flags=1, size=len(content)))
    for at in (14, data.index(b"PK\x01\x02") + 16):  # the checksum is that of the plain content
        data[at : at + 4] = struct.pack("<I", zlib.crc32(content))
    return bytes(data)


def headings(document: ParsedDocument) -> list[tuple[int, str]]:
    return [(b.level, document.text[b.start : b.end]) for b in document.blocks if b.kind is BlockKind.HEADING]


def test_each_file_stands_under_its_name_with_lines_of_its_own(tmp_path: Path) -> None:
    path = packed(tmp_path / "a.zip", {"合同/2023.md": "# 甲方\n\n乙方付款。\n", "b.txt": "第一行\n\n第三行"})
    document = load(path)
    check_document(document)
    assert headings(document) == [(1, "合同/2023.md"), (2, "甲方"), (1, "b.txt")]
    last = document.blocks[-1]
    assert document.text[last.start : last.end] == "第三行"
    assert document.lines_of(last.start, last.end)[0][1] == 3


@pytest.mark.parametrize("encoding", ["gb18030", "big5", "utf-8"])
def test_names_without_the_unicode_flag_come_out_right(tmp_path: Path, encoding: str) -> None:
    name = "會議記錄/第一次會議.txt" if encoding == "big5" else "会议记录/第一次会议.txt"
    path = tmp_path / "names.zip"
    path.write_bytes(raw_zip(name.encode(encoding), "内容".encode()))
    assert headings(load(path)) == [(1, name)]


def test_the_unicode_path_field_is_preferred_to_the_name(tmp_path: Path) -> None:
    raw = b"???.txt"
    field = b"\x01" + struct.pack("<I", zlib.crc32(raw)) + "年报.txt".encode()
    path = tmp_path / "extra.zip"
    path.write_bytes(raw_zip(raw, b"text", extra=struct.pack("<HH", 0x7075, len(field)) + field))
    assert headings(load(path)) == [(1, "年报.txt")]


def test_files_of_systems_and_tools_are_skipped(tmp_path: Path) -> None:
    names = ["__MACOSX/._a.txt", ".hidden.txt", "x/.git/config.txt", "node_modules/r.md", "~$a.txt", "a.txt"]
    document = load(packed(tmp_path / "a.zip", dict.fromkeys(names, "text")))
    assert headings(document) == [(1, "a.txt")]
    assert document.notes == ()


def test_paths_that_lead_elsewhere_are_only_names(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    names = ["../../evil.txt", "/etc/abs.txt", "C:\\win\\w.txt", "a/../b.txt"]
    document = load(packed(folder / "a.zip", dict.fromkeys(names, "text")))
    check_document(document)
    assert [name for _, name in headings(document)] == ["evil.txt", "etc/abs.txt", "win/w.txt", "a/b.txt"]
    assert [one.name for one in tmp_path.rglob("*.txt")] == []


def test_links_are_not_followed(tmp_path: Path) -> None:
    (tmp_path / "secret.txt").write_text("secret words")
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        link = zipfile.ZipInfo("link.txt")
        link.external_attr = 0o120777 << 16
        archive.writestr(link, str(tmp_path / "secret.txt"))
        archive.writestr("a.txt", "open words")
    document = load(path)
    assert "secret" not in document.text
    assert headings(document) == [(1, "a.txt")]


def test_unreadable_files_are_noted_and_the_rest_is_read(tmp_path: Path) -> None:
    files: dict[str, bytes | str] = {
        "ok.txt": "好",
        "broken.json": "{",
        "film.mp4": b"x",
        "empty.txt": "",
        "gbk.txt": "请假须提前三天申请，由主管批准。".encode("gb18030"),
    }
    document = load(packed(tmp_path / "a.zip", files))
    assert headings(document) == [(1, "ok.txt"), (1, "gbk.txt")]
    assert document.incomplete
    failed, others, empty, encoding = document.notes
    assert failed.startswith("1 of its files could not be read: broken.json (not JSON (line 1")
    assert (others, empty) == ("1 of its files skipped, format not supported", "1 of its files without text: empty.txt")
    assert encoding == "gbk.txt: read as gb18030"


def test_files_without_a_loader_alone_do_not_make_it_incomplete(tmp_path: Path) -> None:
    document = load(packed(tmp_path / "a.zip", {"a.txt": "text", "film.mp4": b"x"}))
    assert not document.incomplete


def test_if_nothing_can_be_read_the_most_specific_error_is_raised(tmp_path: Path) -> None:
    with pytest.raises(UnsupportedError, match=r"^a\.zip: none of its files has a supported format: a\.mp4"):
        load(packed(tmp_path / "a.zip", {"a.mp4": b"x"}))
    with pytest.raises(UnreadableError, match=r"^c\.zip: none of its files could be read: x\.json: not JSON"):
        load(packed(tmp_path / "c.zip", {"x.json": "{"}))
    with pytest.raises(NoTextError, match=r"^d\.zip: it holds no files"):
        load(packed(tmp_path / "d.zip", {"folder/": ""}))


def test_names_of_empty_files_are_kept(tmp_path: Path) -> None:
    document = load(packed(tmp_path / "a.zip", {"年报/2023.txt": "", "b.doc": ""}))
    check_document(document)
    assert document.text == "年报/2023.txt\n\nb.doc"
    assert document.notes == ("2 of its files without text: 年报/2023.txt, b.doc",)


def test_an_archive_in_an_archive_is_read_too(tmp_path: Path) -> None:
    inner = packed_bytes({"深处.txt": "里面的话", "bad.json": "{"})
    document = load(packed(tmp_path / "a.zip", {"inner.zip": inner}))
    check_document(document)
    assert headings(document) == [(1, "inner.zip"), (2, "深处.txt")]
    assert "里面的话" in document.text
    assert document.incomplete


def test_nesting_of_archives_is_limited(tmp_path: Path) -> None:
    data = packed_bytes({"x.txt": "deep words"})
    for _ in range(6):
        data = packed_bytes({"n.zip": data})
    path = tmp_path / "a.zip"
    path.write_bytes(data)
    with pytest.raises(UnreadableError, match="nested more than 4 deep"):
        load(path)


# Bombs


def test_an_archive_that_declares_too_much_is_refused(tmp_path: Path) -> None:
    path = packed(tmp_path / "a.zip", {"zeros.txt": bytes(3_000_000)})
    with pytest.raises(TooLargeError, match=r"^a\.zip: it unpacks to more than 2 MB"):
        load(path, LoadOptions(Limits(unpacked_bytes=2_000_000)))


def test_all_files_of_all_archives_inside_count_together(tmp_path: Path) -> None:
    inner = packed_bytes({"zeros.txt": b"a b " * 200_000})
    path = packed(tmp_path / "a.zip", {f"{i}.zip": inner for i in range(5)})
    document = load(path, LoadOptions(Limits(unpacked_bytes=2_000_000)))
    assert [name for level, name in headings(document) if level == 1] == ["0.zip", "1.zip"]
    assert document.notes[0].startswith("3 of its files could not be read: 2.zip (it unpacks to more than")


def test_a_directory_that_lies_about_sizes_gains_nothing(tmp_path: Path) -> None:
    path = packed(tmp_path / "a.zip", {"zeros.txt": bytes(3_000_000)})
    data = bytearray(path.read_bytes())
    at = data.index(b"PK\x01\x02")
    data[at + 24 : at + 28] = struct.pack("<I", 10)
    path.write_bytes(data)
    with pytest.raises(UnreadableError, match=r"^a\.zip: "):
        load(path, LoadOptions(Limits(unpacked_bytes=2_000_000)))


def test_entries_that_share_their_bytes_count_each(tmp_path: Path) -> None:
    path = packed(tmp_path / "a.zip", {"a.txt": b"text " * 100_000})
    data = path.read_bytes()
    start = data.index(b"PK\x01\x02")
    end = data.index(b"PK\x05\x06")
    entries = b"".join(data[start:end].replace(b"a.txt", b"%c.txt" % (97 + i)) for i in range(20))
    tail = struct.pack("<4sHHHHIIH", b"PK\x05\x06", 0, 0, 20, 20, len(entries), start, 0)
    path.write_bytes(data[:start] + entries + tail)
    with pytest.raises((TooLargeError, UnreadableError), match=r"^a\.zip: "):
        load(path, LoadOptions(Limits(unpacked_bytes=2_000_000)))


def test_too_many_files_are_refused(tmp_path: Path) -> None:
    path = packed(tmp_path / "a.zip", {f"{i}.txt": "x" for i in range(12)})
    with pytest.raises(TooLargeError, match=r"^a\.zip: it holds 12 files, more than 10"):
        load(path, LoadOptions(Limits(members=10)))


def test_a_directory_of_very_many_files_is_refused_before_it_is_read(tmp_path: Path) -> None:
    path = packed(tmp_path / "a.zip", {f"{i:0200}.txt": "" for i in range(1000)})
    with pytest.raises(TooLargeError, match=r"^a\.zip: it holds more than 10 files"):
        load(path, LoadOptions(Limits(members=10)))


def test_characters_are_counted_over_all_files(tmp_path: Path) -> None:
    path = packed(tmp_path / "a.zip", {f"{i}.txt": "字" * 400 for i in range(5)})
    document = load(path, LoadOptions(Limits(characters=1000)))
    assert len(document.text) <= 1000
    assert document.incomplete
    assert document.notes[0].startswith("3 of its files could not be read: 2.txt (it holds 400 characters")


# Encrypted, and packed otherwise


def test_an_encrypted_file_needs_its_password(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    path.write_bytes(encrypted_zip("机密内容".encode(), "密码".encode("gb18030")))
    with pytest.raises(PasswordRequiredError, match=r"^a\.zip: .*secret\.txt: it is encrypted"):
        load(path, LoadOptions(passwords=("wrong", "other")))
    assert "机密内容" in load(path, LoadOptions(passwords=("wrong", "密码"))).text


def test_aes_is_named(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    path.write_bytes(raw_zip(b"a.txt", b"x" * 30, flags=1, method=99))
    with pytest.raises(PasswordRequiredError, match="encrypted with AES, which is not supported"):
        load(path, LoadOptions(passwords=("any",)))


def test_an_unsupported_compression_is_named(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    path.write_bytes(raw_zip(b"a.txt", b"x" * 30, method=9))
    with pytest.raises(UnsupportedError, match=r"a\.txt: it is compressed with Deflate64"):
        load(path)


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_other_compressions_are_read(tmp_path: Path, method: int) -> None:
    assert "内容" in load(packed(tmp_path / "a.zip", {"a.txt": "内容"}, method=method)).text


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"no archive at all" * 20])
def test_an_invalid_archive_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.zip"
    path.write_bytes(content)
    with pytest.raises(UnreadableError, match=r"^a\.zip: not a ZIP archive"):
        load(path)


def test_a_file_broken_in_the_archive_is_noted(tmp_path: Path) -> None:
    path = packed(tmp_path / "a.zip", {"a.txt": "good", "b.txt": "words " * 1000}, method=zipfile.ZIP_STORED)
    data = bytearray(path.read_bytes())
    data[data.index(b"words words") + 3] ^= 0xFF
    path.write_bytes(data)
    document = load(path)
    assert headings(document) == [(1, "a.txt")]
    assert document.notes[0].startswith(
        "1 of its files could not be read: b.txt (it is broken in the archive (Bad CRC-32)"
    )
