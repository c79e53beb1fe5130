"""Pictures (PNG, JPEG, TIFF, BMP, WebP), read by OCR; each frame of a TIFF is a page."""

from __future__ import annotations

import warnings
from pathlib import Path

from PIL import Image, ImageOps, ImageSequence, UnidentifiedImageError

from ingest.errors import NoTextError, OcrRequiredError, TooLargeError, UnreadableError
from ingest.loaders.pages.blocks import Style, drafts_of
from ingest.loaders.pages.layout import layout_of
from ingest.loaders.pages.scan import lines_of
from ingest.ocr import INSTALL_HINT, ocr_available, read_picture
from ingest.options import LoadOptions
from ingest.parsed import BlockKind, ParsedDocument, TextBuilder

__all__ = ["load_image"]

_MOST_PIXELS = 120_000_000
"""Per frame: a poster at 300 dpi, about 360 MB decoded."""


def load_image(path: Path, options: LoadOptions) -> ParsedDocument:
    """Load a picture of text; a frame is a page, a line is a row of text.

    Raises:
        OcrRequiredError: OCR is not installed or switched off.
        TooLargeError: it has too many pixels, frames or characters.
        NoTextError: it has no legible text.
        UnreadableError: it is not a picture, or broken.
    """
    broken = f"{path.name}: not a picture, or broken; open it and save it as PNG"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about odd metadata; sizes are checked here
            with Image.open(path) as picture:
                _check_size(picture, path)
                if not options.ocr:
                    raise OcrRequiredError(f"{path.name}: a picture, and OCR is switched off; set ocr = true")
                if not ocr_available():
                    raise OcrRequiredError(f"{path.name}: a picture; to read it, install OCR: {INSTALL_HINT}")
                return _read(picture, path, options)
    except Image.DecompressionBombError as error:
        raise _too_large(path) from error
    except (UnidentifiedImageError, SyntaxError, ValueError, EOFError, OSError) as error:
        raise UnreadableError(broken) from error


def _check_size(picture: Image.Image, path: Path) -> None:
    if picture.width * picture.height > _MOST_PIXELS:
        raise _too_large(path)


def _too_large(path: Path) -> TooLargeError:
    return TooLargeError(
        f"{path.name}: more than {_MOST_PIXELS // 1_000_000} million pixels; scale it down, or cut it into pieces"
    )


def _read(picture: Image.Image, path: Path, options: LoadOptions) -> ParsedDocument:
    builder = TextBuilder()
    pages = 0
    for frame in ImageSequence.Iterator(picture):
        pages += 1
        if pages > 1 and picture.format != "TIFF":  # frames of an animation repeat themselves
            pages = 1
            break
        if pages > options.limits.pages:
            raise TooLargeError(
                f"{path.name}: it has more than {options.limits.pages:,} frames; split it, or raise max_pages"
            )
        _check_size(frame, path)
        _add_frame(builder, frame, pages)
        if len(builder) > options.limits.characters:
            raise TooLargeError(f"{path.name}: more than {options.limits.characters:,} characters; split it")
        options.page_done()
    document = builder.build(pages=pages if pages > 1 else 1, notes=["read by OCR"])
    if not document.blocks:
        raise NoTextError(f"{path.name}: no legible text in the picture")
    return document


def _add_frame(builder: TextBuilder, frame: Image.Image, page: int) -> None:
    upright = ImageOps.exif_transpose(frame)
    lines = lines_of(read_picture(upright), 1.0)
    layout = layout_of(lines, upright.width, upright.height)
    for draft in drafts_of(layout, Style.of([layout])):
        # Box heights are too inexact to tell headings.
        kind = BlockKind.PARAGRAPH if draft.kind is BlockKind.HEADING else draft.kind
        builder.add(
            kind,
            draft.lines,
            numbers=draft.numbers,
            page=page,
            joined=kind is not BlockKind.TABLE,
            header_rows=2 if kind is BlockKind.TABLE else 0,
        )
