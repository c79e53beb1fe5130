"""Office 97 to 2003 documents (.doc, .ppt), converted by LibreOffice, and other files under these suffixes."""

from __future__ import annotations

import email
import email.policy
import os
import shutil
import subprocess  # LibreOffice is a program, not a library
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from email.message import EmailMessage
from importlib import import_module
from pathlib import Path

from ingest.errors import UnreadableError, UnsupportedError
from ingest.loaders.dispatch import LOADERS
from ingest.loaders.office.decryption import decrypted
from ingest.loaders.office.file_kind import Kind, kind_of
from ingest.options import LoadOptions
from ingest.parsed import ParsedDocument

__all__ = ["load_as_it_is", "load_doc", "load_ppt"]

_NAMES = {"docx": "Word", "pptx": "PowerPoint", "xlsx": "Excel"}
_LOADERS = {"docx": "office.docx:load_docx", "pptx": "office.slides:load_pptx", "xlsx": "office.sheets:load_xlsx"}
_TEXT_LOADERS = {"docx": "plain_text:load_text", "pptx": "plain_text:load_text", "xlsx": "office.separated:load_csv"}
_COMPOUND_LOADERS = {
    Kind.WORD: "office.legacy:load_doc",
    Kind.POWERPOINT: "office.legacy:load_ppt",
    Kind.EXCEL: "office.sheets:load_xls",
}
# Macros off, links not updated; anything fetched all the same meets a proxy that does not exist.
_SETTINGS = (
    ("org.openoffice.Office.Common/Security/Scripting", "DisableMacrosExecution", "true"),
    ("org.openoffice.Office.Common/Security/Scripting", "MacroSecurityLevel", "3"),
    ("org.openoffice.Office.Common/Security/Scripting", "BlockUntrustedRefererLinks", "true"),
    ("org.openoffice.Office.Common/Security/Scripting", "DisableActiveContent", "true"),
    ("org.openoffice.Office.Writer/Content/Update", "Link", "0"),
    ("org.openoffice.Office.Calc/Content/Update", "Link", "2"),
    ("org.openoffice.Inet/Settings", "ooInetProxyType", "2"),
    ("org.openoffice.Inet/Settings", "ooInetHTTPProxyName", "127.0.0.1"),
    ("org.openoffice.Inet/Settings", "ooInetHTTPProxyPort", "9"),
    ("org.openoffice.Inet/Settings", "ooInetHTTPSProxyName", "127.0.0.1"),
    ("org.openoffice.Inet/Settings", "ooInetHTTPSProxyPort", "9"),
)


def load_doc(path: Path, options: LoadOptions) -> ParsedDocument:
    """Load a Word 97 to 2003 document, or RTF, HTML, text or DOCX under its suffix.

    Raises:
        UnsupportedError: LibreOffice is not installed.
        PasswordRequiredError: the document is encrypted, and no password fits.
        UnreadableError: it is none of these, or broken.
    """
    kind = kind_of(path)
    return _converted(path, "docx", options) if kind is Kind.WORD else load_as_it_is(path, kind, options, "docx")


def load_ppt(path: Path, options: LoadOptions) -> ParsedDocument:
    """Load a PowerPoint 97 to 2003 presentation, or another format under its suffix; pages are slides.

    Raises:
        UnsupportedError: LibreOffice is not installed.
        PasswordRequiredError: the presentation is encrypted, and no password fits.
        UnreadableError: it is none of these, or broken.
    """
    kind = kind_of(path)
    return _converted(path, "pptx", options) if kind is Kind.POWERPOINT else load_as_it_is(path, kind, options, "pptx")


def load_as_it_is(path: Path, kind: Kind, options: LoadOptions, target: str) -> ParsedDocument:
    """Load a file whose format differs from its suffix with the loader for its real format.

    Args:
        path: the file.
        kind: what it is.
        options: how to read it.
        target: the suffix of today's format for such files, without the dot.

    Raises:
        UnsupportedError: it needs LibreOffice, which is not installed.
        UnreadableError: it is nothing that a loader knows, or broken.
    """
    if kind in _COMPOUND_LOADERS:
        return _load_with(_COMPOUND_LOADERS[kind], path, options)
    if kind in (Kind.ZIP, Kind.ENCRYPTED):
        return _load_with(_LOADERS[target], path, options)
    if kind is Kind.RTF:
        return _load_with(LOADERS[".rtf"], path, options)
    if kind is Kind.HTML:
        return _load_with("html:load_html", path, options)
    if kind is Kind.MHTML:
        return _load_web_archive(path, options)
    if kind is Kind.XML:
        return _converted(path, target, options)
    if kind is Kind.TEXT:
        return _load_with(_TEXT_LOADERS[target], path, options)
    raise UnreadableError(f"{path.name}: not a {_NAMES[target]} document, or cut short; save it again as .{target}")


def _load_with(loader: str, path: Path, options: LoadOptions) -> ParsedDocument:
    module, function = loader.split(":")
    parsed: ParsedDocument = getattr(import_module(f"ingest.loaders.{module}"), function)(path, options)
    return parsed


def _load_web_archive(path: Path, options: LoadOptions) -> ParsedDocument:
    """Load the page in a web archive; wikis export these as Word documents."""
    message = email.message_from_bytes(path.read_bytes(), EmailMessage, policy=email.policy.default)
    page = next((part for part in message.walk() if part.get_content_type() == "text/html"), None)
    payload = page.get_payload(decode=True) if page is not None else None
    if not isinstance(payload, bytes):
        raise UnreadableError(f"{path.name}: a web archive without a page; save it as .docx or .html")
    with tempfile.TemporaryDirectory() as folder:
        content = Path(folder) / path.name
        content.write_bytes(payload)
        return _load_with("html:load_html", content, options)


def _converted(path: Path, target: str, options: LoadOptions) -> ParsedDocument:
    """Convert a file to the current format with LibreOffice, and load that."""
    program = shutil.which("soffice") or shutil.which("libreoffice")
    if program is None:
        raise UnsupportedError(
            f"{path.name}: {_NAMES[target]} 97-2003 documents need LibreOffice; "
            f"install it, or save the file as .{target}"
        )
    with _workplace() as folder:
        source = folder / f"source{path.suffix.lower()}"
        plain = decrypted(path, options) if kind_of(path) is not Kind.XML else None
        if plain is not None:
            source.write_bytes(plain.read())
        else:
            shutil.copyfile(path, source)
        made = _run(program, source, target)
        if made is None:
            raise UnreadableError(
                f"{path.name}: LibreOffice cannot read this document of Office 97 to 2003; "
                f"save it as .{target} from {_NAMES[target]}"
            )
        # Messages name the original file.
        made = made.rename(made.with_name(path.name))
        return _load_with(_LOADERS[target], made, options)


@contextmanager
def _workplace() -> Iterator[Path]:
    """Yield a temporary folder with its own LibreOffice profile."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        user = folder / "profile" / "user"
        user.mkdir(parents=True)
        items = "".join(
            f'<item oor:path="/{node}"><prop oor:name="{setting}" oor:op="fuse"><value>{value}</value></prop></item>'
            for node, setting, value in _SETTINGS
        )
        (user / "registrymodifications.xcu").write_text(
            '<?xml version="1.0" encoding="UTF-8"?>\n'
            f'<oor:items xmlns:oor="http://openoffice.org/2001/registry">{items}</oor:items>',
            encoding="utf-8",
        )
        yield folder


def _run(program: str, source: Path, target: str) -> Path | None:
    """Convert a file; return the result, or `None` if LibreOffice cannot read it."""
    folder = source.parent
    out = folder / "out"
    environment = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
    # No new session: on timeout the process group is killed, LibreOffice included.
    subprocess.run(  # noqa: S603 - LibreOffice itself, and no argument is from the document
        [
            program,
            f"-env:UserInstallation={(folder / 'profile').as_uri()}",
            *("--headless", "--norestore", "--nologo", "--nodefault", "--nolockcheck"),
            *("--convert-to", target, "--outdir", str(out), str(source)),
        ],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=environment | {"HOME": str(folder)},
        check=False,
    )
    made = out / f"{source.stem}.{target}"
    return made if made.is_file() else None
