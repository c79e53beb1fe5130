"""Finds the loader for a file by its suffix and checks what comes out of it."""

from __future__ import annotations

from dataclasses import replace
from importlib import import_module
from pathlib import Path

from ingest.encoding import encodable
from ingest.errors import IngestError, NoTextError, TooLargeError, UnreadableError, UnsupportedError
from ingest.options import LoadOptions
from ingest.parsed import ParsedDocument

__all__ = ["LOADERS", "PARSER_VERSION", "load"]

PARSER_VERSION = 4
"""Raise it whenever a loader's output changes: stores then read their documents again."""

LOADERS = {
    ".md": "markdown:load_markdown",
    ".markdown": "markdown:load_markdown",
    ".txt": "plain_text:load_text",
    ".html": "html:load_html",
    ".htm": "html:load_html",
    ".ipynb": "notebook:load_notebook",
    ".srt": "subtitles:load_subtitles",
    ".vtt": "subtitles:load_subtitles",
    ".rst": "community:load_markup",
    ".org": "community:load_markup",
    ".pdf": "pages.pdf:load_pdf",
    ".docx": "office.docx:load_docx",
    ".pptx": "office.slides:load_pptx",
    ".xlsx": "office.sheets:load_xlsx",
    ".xlsm": "office.sheets:load_xlsx",
    ".xls": "office.sheets:load_xls",
    ".csv": "office.separated:load_csv",
    ".tsv": "office.separated:load_csv",
    ".doc": "office.legacy:load_doc",
    ".ppt": "office.legacy:load_ppt",
    ".rtf": "pandoc:load_rtf",
    ".odt": "pandoc:load_odt",
    ".epub": "pandoc:load_epub",
    ".eml": "mail:load_eml",
    ".msg": "outlook:load_msg",
    ".json": "json_records:load_json",
    ".jsonl": "json_records:load_jsonl",
    ".xml": "xml:load_xml",
    ".zip": "archive:load_zip",
    **dict.fromkeys((".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".webp"), "pages.image:load_image"),
}


_DEFAULTS = LoadOptions()


def load(path: Path, options: LoadOptions = _DEFAULTS) -> ParsedDocument:
    """Load a file with the loader for its suffix.

    Raises:
        UnsupportedError: no loader for the suffix.
        NoTextError: the file holds no text.
        IngestError: it cannot be read; the subclass says why.
    """
    target = LOADERS.get(path.suffix.lower())
    if target is None:
        known = " ".join(sorted(LOADERS))
        raise UnsupportedError(f"{path.name}: no loader for {path.suffix or 'such a file'}; known: {known}")
    if not path.is_file():
        raise UnreadableError(f"{path.name}: not a file, or no longer there; check the path")
    module, function = target.split(":")
    loader = getattr(import_module(f"ingest.loaders.{module}"), function)
    try:
        _check_size(path, path.stat().st_size, options.limits.file_bytes)
        parsed: ParsedDocument = loader(path, options)
    except IngestError:
        raise
    except MemoryError as error:
        raise TooLargeError(f"{path.name}: it needs more memory than allowed; split it") from error
    except OSError as error:
        raise UnreadableError(f"{path.name}: {error.strerror or error}; check the file's permissions") from error
    except Exception as error:
        raise UnreadableError(f"{path.name}: its loader failed ({type(error).__name__}: {error})") from error
    if not parsed.blocks:
        raise NoTextError(f"{path.name}: it holds no text")
    if len(parsed.text) > options.limits.characters:
        raise TooLargeError(
            f"{path.name}: it holds {len(parsed.text):,} characters, more than {options.limits.characters:,}; "
            "split it, or raise max_characters"
        )
    return _encodable(parsed)


def _encodable(parsed: ParsedDocument) -> ParsedDocument:
    """Replace unpaired surrogates, which come from escapes and broken files."""
    return replace(
        parsed,
        text=encodable(parsed.text),
        blocks=tuple(replace(block, link=encodable(block.link)) if block.link else block for block in parsed.blocks),
        title=encodable(parsed.title) if parsed.title else parsed.title,
        notes=tuple(encodable(note) for note in parsed.notes),
    )


def _check_size(path: Path, size_bytes: int, limit: int) -> None:
    if size_bytes > limit:
        raise TooLargeError(
            f"{path.name}: {size_bytes / 1e6:,.0f} MB, more than {limit / 1e6:,.0f} MB; split it, or raise max_file_mb"
        )
