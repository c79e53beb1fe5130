"""OOXML packages (DOCX, PPTX, XLSX), unpacked within the limits.

zipfile trusts the declared size only after `read()` has inflated a whole member. Members are
therefore read in pieces, and libraries get only archives that were checked this way.
"""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, BinaryIO

from ingest.errors import TooLargeError, UnreadableError
from ingest.loaders.office.decryption import decrypted
from ingest.loaders.office.file_kind import Kind, kind_of
from ingest.options import Limits, LoadOptions

if TYPE_CHECKING:
    from lxml.etree import _Element

__all__ = ["Package", "open_package", "take_alternatives"]

_PIECE_BYTES = 1 << 16
_XML = (".xml", ".rels")
# Far longer than any real name; a directory is held in memory whole.
_DIRECTORY_BYTES_A_MEMBER = 1_000
_DOCTYPES = tuple("<!DOCTYPE".encode(encoding) for encoding in ("utf-8", "utf-16-le", "utf-16-be"))
# Namespaces of ISO strict files, which the libraries do not know.
_STRICT = (
    (
        b"http://purl.oclc.org/ooxml/wordprocessingml/main",
        b"http://schemas.openxmlformats.org/wordprocessingml/2006/main",
    ),
    (b"http://purl.oclc.org/ooxml/presentationml/main", b"http://schemas.openxmlformats.org/presentationml/2006/main"),
    (b"http://purl.oclc.org/ooxml/spreadsheetml/main", b"http://schemas.openxmlformats.org/spreadsheetml/2006/main"),
    (b"http://purl.oclc.org/ooxml/drawingml/", b"http://schemas.openxmlformats.org/drawingml/2006/"),
    (b"http://purl.oclc.org/ooxml/officeDocument/", b"http://schemas.openxmlformats.org/officeDocument/2006/"),
)


def open_package(path: Path, options: LoadOptions, application: str) -> Package:
    """Open a DOCX, PPTX or XLSX as a ZIP file, decrypted if necessary.

    Args:
        path: the file.
        options: limits and passwords.
        application: the program that messages tell the user to open it with.

    Raises:
        PasswordRequiredError: it is encrypted, and no password fits.
        TooLargeError: it declares more than the limits allow.
        UnreadableError: it is not such a document, or broken.
    """
    kind = kind_of(path)
    stream: BinaryIO
    if kind is Kind.ENCRYPTED:
        plain = decrypted(path, options)
        assert plain is not None
        stream = plain
    elif kind in (Kind.WORD, Kind.EXCEL, Kind.POWERPOINT):
        raise UnreadableError(
            f"{path.name}: a document of Office 97 to 2003; save it as {path.suffix.lower()} from {application}"
        )
    else:
        stream = path.open("rb")
    try:
        return Package(path.name, _checked(stream, path.name, options.limits), options.limits)
    except zipfile.BadZipFile as error:
        stream.close()
        raise UnreadableError(
            f"{path.name}: not a document of {application}, or cut short; save it again from {application}"
        ) from error
    except Exception:
        stream.close()
        raise


def _checked(stream: BinaryIO, name: str, limits: Limits) -> zipfile.ZipFile:
    if _directory_bytes(stream) > limits.members * _DIRECTORY_BYTES_A_MEMBER:
        raise TooLargeError(f"{name}: it holds more than {limits.members:,} files; it is not an ordinary document")
    archive = zipfile.ZipFile(stream)
    members = archive.infolist()
    if len(members) > limits.members:
        raise TooLargeError(
            f"{name}: it holds {len(members):,} files, more than {limits.members:,}; it is not an ordinary document"
        )
    size_bytes = sum(member.file_size for member in members)
    if size_bytes > limits.unpacked_bytes:
        raise TooLargeError(
            f"{name}: it unpacks to {-(-size_bytes // 1_000_000):,} MB, more than "
            f"{limits.unpacked_bytes // 1_000_000:,} MB; split it, or take out its large pictures"
        )
    return archive


def _directory_bytes(stream: BinaryIO) -> int:
    """Return the declared size of a ZIP directory, which zipfile would read whole."""
    end = stream.seek(0, io.SEEK_END)
    stream.seek(max(0, end - 66_000))
    tail = stream.read()
    at = tail.rfind(b"PK\x05\x06")
    if at < 0 or len(tail) < at + 22:
        raise zipfile.BadZipFile("no directory")
    size: int = struct.unpack_from("<L", tail, at + 12)[0]
    return size


class Package:
    """The parts of an Office document, each read within the limits."""

    def __init__(self, name: str, archive: zipfile.ZipFile, limits: Limits) -> None:
        self.name = name
        self._archive = archive
        self._left_bytes = limits.unpacked_bytes
        self.part_names = frozenset(archive.namelist())

    def __enter__(self) -> Package:
        return self

    def __exit__(self, *_: object) -> None:
        stream = self._archive.fp
        self._archive.close()
        if stream is not None:
            stream.close()

    @property
    def stream(self) -> BinaryIO:
        """The archive itself; pass it to a library only after `check_parts`."""
        assert self._archive.fp is not None
        return self._archive.fp  # type: ignore[return-value]  # typeshed has IO[bytes]

    def size_bytes(self, part: str) -> int:
        """Return the declared unpacked size of a part; 0 if it is missing."""
        return self._archive.getinfo(part).file_size if part in self.part_names else 0

    def check_parts(self) -> None:
        """Read all XML parts once to make sure that none exceeds its declared size or declares entities.

        Raises:
            UnreadableError: a part does, or is broken.
        """
        for part in self.part_names:
            if part.endswith(_XML):
                for _ in self._pieces(part):
                    pass

    def read(self, part: str) -> bytes:
        """Return a part's bytes.

        Raises:
            UnreadableError: it is missing or broken.
        """
        return b"".join(self._pieces(part))

    def tree(self, part: str) -> _Element:
        """Return a part's XML tree; of malformed XML, as much as can be read.

        Raises:
            UnreadableError: it is missing, or not XML.
        """
        from lxml import etree

        data = self.read(part)
        for strict, transitional in _STRICT:
            data = data.replace(strict, transitional) if b"purl.oclc.org" in data[:4096] else data
        options = {"resolve_entities": False, "no_network": True, "load_dtd": False, "huge_tree": True}
        try:
            return etree.fromstring(data, etree.XMLParser(**options))
        except etree.XMLSyntaxError as error:
            root = etree.fromstring(data, etree.XMLParser(recover=True, **options))
            if root is None:
                raise UnreadableError(f"{self.name}: broken, {part} is not XML; save it again") from error
            return root

    def related(self, part: str = "") -> dict[str, tuple[str, str]]:
        """Return the internal relationships of a part, or of the document: type and part name by id."""
        folder = PurePosixPath(part).parent
        rels = str(folder / "_rels" / f"{PurePosixPath(part).name}.rels") if part else "_rels/.rels"
        if rels not in self.part_names:
            return {}
        found = {}
        for relation in self.tree(rels).iter("{*}Relationship"):
            if relation.get("TargetMode") != "External":
                target = _resolved(folder, relation.get("Target", ""))
                kind = relation.get("Type", "").rpartition("/")[2]
                found[relation.get("Id", "")] = (kind, target)
        return found

    def without_media(self, most_bytes: int) -> io.BytesIO:
        """Return the document with all parts but XML emptied, which bounds its memory.

        Raises:
            TooLargeError: the XML exceeds `most_bytes`.
            UnreadableError: a part is broken.
        """
        from lxml import etree

        if (size_bytes := sum(self.size_bytes(part) for part in self.part_names if part.endswith(_XML))) > most_bytes:
            raise TooLargeError(
                f"{self.name}: its text and layout take {size_bytes / 1e6:,.0f} MB, more than "
                f"{most_bytes / 1e6:,.0f} MB; split it"
            )
        lean = io.BytesIO()
        with zipfile.ZipFile(lean, "w", zipfile.ZIP_STORED) as archive:
            for part in sorted(self.part_names):
                if part.endswith(_XML):
                    tree = self.tree(part)
                    take_alternatives(tree)
                    archive.writestr(part, etree.tostring(tree, xml_declaration=True, encoding="UTF-8"))
                elif not part.endswith("/"):
                    archive.writestr(part, b"")
        lean.seek(0)
        return lean

    def _pieces(self, part: str) -> Iterator[bytes]:
        tail = b""
        try:
            with self._archive.open(part) as stream:
                while piece := stream.read(_PIECE_BYTES):
                    self._left_bytes -= len(piece)
                    if self._left_bytes < 0:
                        raise TooLargeError(f"{self.name}: it unpacks to more than the limit; split it")
                    seen = tail + piece
                    if any(doctype in seen for doctype in _DOCTYPES):
                        raise UnreadableError(
                            f"{self.name}: {part} declares XML entities, which Office never does; save it again"
                        )
                    tail = piece[-20:]
                    yield piece
        except (KeyError, RuntimeError, NotImplementedError, EOFError, zipfile.BadZipFile, zlib.error) as error:
            why = "is missing" if isinstance(error, KeyError) else f"cannot be read ({error})"
            raise UnreadableError(f"{self.name}: broken, {part} {why}; open it and save it again") from error


def _resolved(folder: PurePosixPath, target: str) -> str:
    parts: list[str] = []
    for step in (PurePosixPath("/") / folder / target).parts[1:]:
        if step == "..":
            del parts[-1:]
        else:
            parts.append(step)
    return "/".join(parts)


def take_alternatives(root: _Element) -> None:
    """Where content is given twice, for newer and older programs, keep the variant that has text."""
    from lxml import etree

    namespace = "{http://schemas.openxmlformats.org/markup-compatibility/2006}"
    for both in root.iter(f"{namespace}AlternateContent"):
        variants = [variant for variant in both if isinstance(variant.tag, str)]
        taken = next((variant for variant in variants if any(text.text for text in variant.iter("{*}t"))), None)
        for variant in variants if taken is not None else variants[:-1]:
            if variant is not taken:
                etree.strip_elements(variant, "*", with_tail=False)
                both.remove(variant)
    etree.strip_tags(root, *(f"{namespace}{name}" for name in ("AlternateContent", "Choice", "Fallback")))
