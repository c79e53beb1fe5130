"""ZIP archives: each file is read by its own loader and placed under its name.

Names and paths in the archive are never used on disk, links are not followed, and bytes
are counted as they are unpacked, whatever the directory declares.
"""

from __future__ import annotations

import lzma
import re
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path

from ingest.encoding import decode
from ingest.errors import IngestError, PasswordRequiredError, TooLargeError, UnreadableError, UnsupportedError
from ingest.loaders.containers import Members, has_loader
from ingest.options import LoadOptions
from ingest.parsed import ParsedDocument, TextBuilder

__all__ = ["load_zip"]

_ENCRYPTED, _UTF8 = 0x01, 0x800
_AES = 99
_METHODS = {8: "deflate", 9: "Deflate64", 93: "Zstandard", 95: "XZ", 97: "WavPack", 98: "PPMd"}
_READABLE = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA)
_UNICODE_PATH = 0x7075
# Files of operating systems and tools, like everything that begins with a dot.
_NOT_CONTENT = {"__MACOSX", "__pycache__", "node_modules", "Thumbs.db", "desktop.ini"}
# A piece of bzip2 or LZMA unpacks at once to some thousand times its size.
_PIECE_BYTES, _DENSE_PIECE_BYTES = 1 << 20, 4096
_BROKEN = (
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    struct.error,
    EOFError,
    NotImplementedError,
    OSError,
    ValueError,
)
_END, _END_64 = b"PK\x05\x06", b"PK\x06\x06"
_ENTRY_BYTES = 1000


def load_zip(path: Path, options: LoadOptions) -> ParsedDocument:
    """Load the files of a ZIP archive, each under a heading that is its name in it; lines are those of each file.

    Raises:
        TooLargeError: it unpacks to too much, or holds too many files.
        PasswordRequiredError: all files are encrypted, and no password opens them.
        OcrRequiredError: all files are pictures, and OCR is unavailable.
        UnsupportedError: no file has a supported format.
        NoTextError: no file has text.
        UnreadableError: it is broken.
    """
    builder = TextBuilder()
    members = Members(path.name, options, builder, "file")
    _check_directory(path, options)
    with members.opened():
        try:
            with zipfile.ZipFile(path) as archive:
                _read(archive, members, options)
        except _BROKEN as error:
            raise UnreadableError(f"{path.name}: not a ZIP archive, or broken ({error}); pack it again") from error
    members.check_read()
    return builder.build(notes=members.notes(), incomplete=members.incomplete, lacks_ocr=members.lacks_ocr)


def _read(archive: zipfile.ZipFile, members: Members, options: LoadOptions) -> None:
    entries = archive.infolist()
    named = [(name, entry) for name, entry in zip(_names(entries), entries, strict=True) if _is_content(name, entry)]
    members.announce(len(named), sum(entry.file_size for name, entry in named if has_loader(name)))
    for name, entry in named:
        if not has_loader(name):
            members.add(name, ())
            continue
        try:
            password = _password(archive, entry, name, options)
        except IngestError as error:
            members.fail(name, error)
            continue
        members.add(name, _pieces(archive, entry, password))


def _check_directory(path: Path, options: LoadOptions) -> None:
    """Refuse a directory so large that reading it would exhaust memory.

    Raises:
        TooLargeError: it is larger than the directory of the most files allowed.
    """
    with path.open("rb") as stream:
        stream.seek(max(0, path.stat().st_size - (1 << 16) - 100))
        tail = stream.read()
    end, end_64 = tail.rfind(_END), tail.rfind(_END_64)
    size_bytes = int.from_bytes(tail[end + 12 : end + 16], "little") if end >= 0 else 0
    if size_bytes == 0xFFFFFFFF and end_64 >= 0:
        size_bytes = int.from_bytes(tail[end_64 + 40 : end_64 + 48], "little")
    if size_bytes > _ENTRY_BYTES * (options.limits.members + 100):
        raise TooLargeError(f"{path.name}: it holds more than {options.limits.members:,} files; split it")


def _is_content(name: str, entry: zipfile.ZipInfo) -> bool:
    """Return whether an entry is an ordinary file that a person put there."""
    mode = entry.external_attr >> 16
    if entry.is_dir() or stat.S_IFMT(mode) not in (0, stat.S_IFREG):
        return False
    parts = [part for part in name.split("/") if part not in ("", ".", "..")]
    return bool(parts) and not any(part.startswith((".", "~$")) or part in _NOT_CONTENT for part in parts)


def _names(entries: list[zipfile.ZipInfo]) -> list[str]:
    """Return the entries' names: in UTF-8 where the archive says so, else in the encoding that fits them."""
    raw = [None if entry.flag_bits & _UTF8 else entry.orig_filename.encode("cp437", "replace") for entry in entries]
    unmarked = [name for name in raw if name is not None]
    try:  # together: a single name is too short to tell its encoding
        decoded = decode(b"\n".join(unmarked), declared="gb18030").text.split("\n")
    except UnicodeDecodeError:
        decoded = []
    if len(decoded) != len(unmarked):
        decoded = [name.decode("gb18030", "replace") for name in unmarked]
    found = iter(decoded)
    names = [entry.orig_filename if name is None else next(found) for name, entry in zip(raw, entries, strict=True)]
    return [(_unicode_path(entry) or name).replace("\\", "/") for name, entry in zip(names, entries, strict=True)]


def _unicode_path(entry: zipfile.ZipInfo) -> str | None:
    """Return the name in Info-ZIP's extra field, if it matches the entry."""
    extra = entry.extra
    while len(extra) >= 4:
        kind, size = struct.unpack("<HH", extra[:4])
        content, extra = extra[4 : 4 + size], extra[4 + size :]
        if kind == _UNICODE_PATH and len(content) > 5 and not entry.flag_bits & _UTF8:
            of_name = struct.unpack("<I", content[1:5])[0]
            if of_name == zlib.crc32(entry.orig_filename.encode("cp437", "replace")):
                return content[5:].decode("utf-8", "replace")
    return None


def _password(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, name: str, options: LoadOptions) -> bytes | None:
    """Return the password that opens an entry; `None` if it needs none.

    Raises:
        PasswordRequiredError: no password given opens it.
        UnsupportedError: its compression method is not supported.
    """
    method = entry.compress_type
    if method == _AES or entry.flag_bits & 0x40:
        raise PasswordRequiredError(
            f"{name}: it is encrypted with AES, which is not supported; unpack it with its password and add the files"
        )
    if method not in _READABLE:
        raise UnsupportedError(
            f"{name}: it is compressed with {_METHODS.get(method, f'method {method}')}, which is not supported; "
            "pack it again as an ordinary ZIP"
        )
    if not entry.flag_bits & _ENCRYPTED:
        return None
    for password in options.passwords:
        for encoding in ("utf-8", "gb18030"):
            candidate = password.encode(encoding)
            if _opens(archive, entry, candidate, options.limits.unpacked_bytes):
                return candidate
    raise PasswordRequiredError(f"{name}: it is encrypted; pass its password, or unpack it and add the files")


def _opens(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, password: bytes, most: int) -> bool:
    """Return whether a password fits: a check byte rejects 255 of 256 wrong passwords, the checksum the rest."""
    try:
        with archive.open(entry, pwd=password) as stream:
            unread = most
            while unread > 0 and (piece := stream.read(_DENSE_PIECE_BYTES)):
                unread -= len(piece)
    except (RuntimeError, *_BROKEN):
        return False
    return True


def _pieces(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, password: bytes | None) -> Iterator[bytes]:
    dense = entry.compress_type in (zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA)
    size = _DENSE_PIECE_BYTES if dense else _PIECE_BYTES
    try:
        with archive.open(entry, pwd=password) as stream:
            while piece := stream.read(size):
                yield piece
    except _BROKEN as error:
        reason = re.sub(r"\s+for file .*", "", str(error)) or type(error).__name__
        raise UnreadableError(f"it is broken in the archive ({reason}); pack it again") from error
