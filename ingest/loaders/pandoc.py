"""RTF, ODT and EPUB: pandoc converts them to HTML, which is read like any other page.

pandoc runs in a process of its own and in its sandbox: it reads only the file it is given,
opens no address and embeds no picture.
"""

from __future__ import annotations

import re
import subprocess
import tempfile
import zipfile
import zlib
from pathlib import Path

from lxml import etree

from ingest.errors import NoTextError, PasswordRequiredError, TooLargeError, UnreadableError, UnsupportedError
from ingest.loaders.append import append_blocks
from ingest.loaders.html import parse_html
from ingest.loaders.rtf import rtf_in_utf8
from ingest.options import LoadOptions
from ingest.parsed import ParsedDocument, TextBuilder

__all__ = ["load_epub", "load_odt", "load_rtf"]

_TEMPLATE = "$if(title)$<title>$pagetitle$</title>\n$endif$$body$\n"
# Links from notes back to the text.
_BACK = re.compile(r'<a href="#[^"]*" class="footnote-back"[^>]*>.*?</a>', re.DOTALL)
_HEAP_EXHAUSTED = 251
_LEAST_HEAP_BYTES = 256_000_000
_PIECE_BYTES = 1 << 20
# Obfuscated fonts; the text of such books is readable.
_FONT_METHODS = ("http://www.idpf.org/2008/embedding", "http://ns.adobe.com/pdf/enc#RC")
_CONTENT = (".xhtml", ".html", ".htm", ".xml", ".opf", ".ncx", ".svg")
_BROKEN = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError)


def load_rtf(path: Path, options: LoadOptions) -> ParsedDocument:
    """Load an RTF file; it has no lines, each paragraph and table row counts as one.

    Raises:
        TooLargeError: it needs more memory or time than allowed.
        UnreadableError: it is not RTF, or broken.
        UnsupportedError: pandoc is not installed.
    """
    data = path.read_bytes()
    start = data[:64].removeprefix(b"\xef\xbb\xbf").lstrip()
    if not data.strip():
        raise NoTextError(f"{path.name}: it is empty")
    if not start.startswith(b"{\\rtf"):
        raise UnreadableError(f"{path.name}: not RTF; open it in a word processor and save it again")
    return _converted(path, "rtf", options, rtf_in_utf8(data))


def load_odt(path: Path, options: LoadOptions) -> ParsedDocument:
    """Load a text document of LibreOffice; it has no lines, each paragraph and table row counts as one.

    Raises:
        PasswordRequiredError: it is encrypted.
        TooLargeError: it unpacks to too much, or needs more memory or time than it may have.
        UnreadableError: it is not an ODT, or broken.
        UnsupportedError: pandoc is not installed.
    """
    members = _members(path, options, "META-INF/manifest.xml", "meta.xml")
    if b"encryption-data" in members.get("META-INF/manifest.xml", b""):
        raise PasswordRequiredError(f"{path.name}: it is encrypted; save a copy without the password")
    return _converted(path, "odt", options, title=_title(members.get("meta.xml", b"")))


def load_epub(path: Path, options: LoadOptions) -> ParsedDocument:
    """Load an e-book; it has no lines, each paragraph and table row counts as one.

    Raises:
        TooLargeError: it unpacks to too much, or needs more memory or time than it may have.
        UnreadableError: it is protected, not an EPUB, or broken.
        UnsupportedError: pandoc is not installed.
    """
    if _is_protected(_members(path, options, "META-INF/encryption.xml").get("META-INF/encryption.xml", b"")):
        raise UnreadableError(f"{path.name}: it is protected against copying (DRM); use a copy that is not")
    return _converted(path, "epub", options)


def _converted(
    path: Path, form: str, options: LoadOptions, data: bytes | None = None, title: str | None = None
) -> ParsedDocument:
    """Convert a file, or `data` in its place, and read the HTML."""
    page = parse_html(_BACK.sub("", _html(path, form, options, data)))
    builder = TextBuilder()
    append_blocks(builder, page, shift=None)
    first = next((page.text[block.start : block.end] for block in page.blocks if block.level == 1), None)
    return builder.build(title=title or page.title or first, notes=page.notes)


def _html(path: Path, form: str, options: LoadOptions, data: bytes | None) -> str:
    """Run pandoc.

    Raises:
        TooLargeError: it needs more memory or time than allowed, or produces too much text.
        UnreadableError: it cannot read the file.
    """
    limits = options.limits
    heap_mb = max(_LEAST_HEAP_BYTES, limits.memory_bytes // 2) // 1_000_000
    with tempfile.TemporaryDirectory() as folder:
        template, out, given = (Path(folder) / name for name in ("template.html", "out.html", f"in.{form}"))
        template.write_text(_TEMPLATE, encoding="utf-8")
        if data is not None:
            given.write_bytes(data)
        command = [_program(path), "+RTS", f"-M{heap_mb}m", "-RTS", "--sandbox", "--from", form, "--to", "html5"]
        command += ["--wrap=none", "--standalone", f"--template={template}", f"--output={out}"]
        command += [str(path.resolve() if data is None else given)]
        try:
            done = subprocess.run(  # noqa: S603 -- no shell, and the one path is absolute
                command, cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, timeout=limits.seconds, check=False
            )
        except subprocess.TimeoutExpired as error:
            raise TooLargeError(f"{path.name}: it takes more than {limits.seconds:.0f} s to read; split it") from error
        if done.returncode == _HEAP_EXHAUSTED:
            raise TooLargeError(f"{path.name}: it needs more memory than allowed; split it")
        if done.returncode:
            lines = done.stderr.decode("utf-8", "replace").strip().split("\n")
            raise UnreadableError(
                f"{path.name}: broken ({lines[-1][:200]}); open it in the program it was made with and save it again"
            )
        if out.stat().st_size > limits.unpacked_bytes:
            raise TooLargeError(f"{path.name}: it holds more text than allowed; split it")
        return out.read_text(encoding="utf-8", errors="replace")


def _program(path: Path) -> str:
    try:
        import pypandoc

        return str(pypandoc.get_pandoc_path())
    except (ImportError, OSError) as error:
        raise UnsupportedError(f"{path.name}: it is read by pandoc; pip install pypandoc-binary") from error


def _members(path: Path, options: LoadOptions, *wanted: str) -> dict[str, bytes]:
    """Return the wanted members of a zipped document, after checking the unpacked size of all members.

    Raises:
        TooLargeError: it unpacks to more than the limit.
        UnreadableError: it is not such a document, or broken.
    """
    limits, total = options.limits, 0
    found: dict[str, bytes] = {}
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
            if len(entries) > limits.members or sum(entry.file_size for entry in entries) > limits.unpacked_bytes:
                raise TooLargeError(f"{path.name}: it unpacks to more than the limit; split it, or remove its pictures")
            for entry in entries:
                with archive.open(entry) as stream:
                    if entry.filename in wanted:
                        found[entry.filename] = stream.read(_PIECE_BYTES)
                        total += len(found[entry.filename])
                    while piece := stream.read(_PIECE_BYTES):
                        total += len(piece)
                if total > limits.unpacked_bytes:
                    raise TooLargeError(f"{path.name}: it unpacks to more than the limit; split it")
    except _BROKEN as error:
        raise UnreadableError(f"{path.name}: not a valid document, or cut short ({error}); save it again") from error
    return found


def _parsed(xml: bytes) -> etree._Element | None:
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, recover=True)
    return etree.fromstring(xml, parser) if xml.strip() else None


def _title(meta: bytes) -> str | None:
    """Return the title in a document's metadata, if there is one."""
    root = _parsed(meta)
    return " ".join((root.findtext(".//{*}title") or "").split()) or None if root is not None else None


def _is_protected(encryption: bytes) -> bool:
    """Return whether more than the fonts of a book is encrypted."""
    if not encryption:
        return False
    root = _parsed(encryption)
    if root is None:
        return True
    for item in root.iter("{*}EncryptedData"):
        method = item.find(".//{*}EncryptionMethod")
        if method is not None and method.get("Algorithm") in _FONT_METHODS:
            continue
        if any(part.get("URI", "").lower().endswith(_CONTENT) for part in item.iter("{*}CipherReference")):
            return True
    return False
