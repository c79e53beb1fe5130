"""Reads the pages of a PDF: their text layer, or by OCR where that is useless."""

from __future__ import annotations

from dataclasses import dataclass, field

import pypdfium2 as pdfium
import pypdfium2.raw as raw

from ingest.loaders.pages.garbled import is_garbled, may_be_garbled
from ingest.loaders.pages.layout import PageLayout, read_layout
from ingest.loaders.pages.scan import is_blank, ocr_knows_script, picture_share, scan
from ingest.loaders.pages.tables import Table
from ingest.loaders.pages.words import Line
from ingest.ocr import ocr_available
from ingest.options import LoadOptions

__all__ = ["PageReader"]

_NEXT_TO_NONE = 40
"""Characters; a page with fewer that is mostly a picture counts as a scan."""
_MUCH_OF_A_PAGE = 0.4
_ANY_PICTURE = 0.02
"""On a page with hardly any text, any picture larger than an icon is worth OCR."""
_MOST_GARBLED = 0.15


@dataclass(slots=True)
class PageReader:
    """Reads pages, and records the numbers of those with problems.

    Attributes:
        document: an open PDF.
        options: how to read it.
        scanned: pages read by OCR.
        without_text: pages with content but no text layer.
        pictures: pages that are mostly a picture, of which only the little text was read.
        garbled: pages with gibberish in their text layer, which was dropped.
        broken: pages that pdfium cannot load.
        lost: characters of gibberish dropped.
    """

    document: pdfium.PdfDocument
    options: LoadOptions
    scanned: list[int] = field(default_factory=list)
    without_text: list[int] = field(default_factory=list)
    pictures: list[int] = field(default_factory=list)
    garbled: list[int] = field(default_factory=list)
    broken: list[int] = field(default_factory=list)
    lost: int = 0
    _ocr: bool = field(init=False)
    _forms: bool = field(init=False)

    def __post_init__(self) -> None:
        self._ocr = self.options.ocr and ocr_available()
        self._forms = self.document.get_formtype() != raw.FORMTYPE_NONE

    def read(self, number: int) -> PageLayout:
        """Return the layout of a page; pages count from 1."""
        try:
            page = self._page(number - 1)
        except pdfium.PdfiumError:
            self.broken.append(number)
            return PageLayout()
        try:
            return self._read_best_layer(page, number)
        except pdfium.PdfiumError:
            self.broken.append(number)
            return PageLayout()
        finally:
            page.close()
            self.options.page_done()

    def _page(self, index: int) -> pdfium.PdfPage:
        page = self.document[index]
        if self._forms and raw.FPDFPage_GetAnnotCount(page) > 0:
            # Text filled into a form is not part of the page's text until it is flattened.
            flattened = raw.FPDFPage_Flatten(page, raw.FLAT_NORMALDISPLAY) == raw.FLATTEN_SUCCESS
            if flattened:
                page.close()
                page = self.document[index]
        return page

    def _read_best_layer(self, page: pdfium.PdfPage, number: int) -> PageLayout:
        textpage = page.get_textpage()
        try:
            layout = read_layout(page, textpage)
        finally:
            textpage.close()
        letters = len("".join(_text(layout).split()))
        if letters and _is_garbled(layout):
            return self._drop_gibberish(page, number, layout)
        least = _ANY_PICTURE if self._ocr else _MUCH_OF_A_PAGE
        if letters >= _NEXT_TO_NONE or (letters and picture_share(page) < least):
            return layout
        if not letters and is_blank(page):
            return layout
        if self._ocr:
            self.scanned.append(number)
            return _add_text_layer(scan(page), layout)
        (self.pictures if letters else self.without_text).append(number)
        return layout

    def _drop_gibberish(self, page: pdfium.PdfPage, number: int, layout: PageLayout) -> PageLayout:
        before = len(_text(layout))
        for place, flow in enumerate(layout.flows):
            layout.flows[place] = [item for item in flow if not is_garbled(_item_text(item))]
        layout.flows = [flow for flow in layout.flows if flow]
        if is_garbled(_text(layout)):  # each line is too short to judge, but all together are not
            layout.flows = []
        if self._ocr and ocr_knows_script(_text(layout)):
            scanned = scan(page)
            if len(_text(scanned)) >= 0.5 * len(_text(layout)):
                self.scanned.append(number)
                return scanned
        self.garbled.append(number)
        self.lost += before - len(_text(layout))
        return layout


def _item_text(item: Line | Table) -> str:
    return item.text if isinstance(item, Line) else " ".join(cell for row in item.rows for cell in row)


def _text(layout: PageLayout) -> str:
    return "\n".join(_item_text(item) for flow in layout.flows for item in flow)


def _is_garbled(layout: PageLayout) -> bool:
    if is_garbled(layout.raw_text):
        return True
    if not may_be_garbled(layout.raw_text):
        return False
    items = [_item_text(item) for flow in layout.flows for item in flow]
    return sum(len(text) for text in items if is_garbled(text)) > _MOST_GARBLED * sum(map(len, items))


def _add_text_layer(scanned: PageLayout, layer: PageLayout) -> PageLayout:
    """Put text that only the text layer has before the page as OCR read it."""
    seen = "".join(_text(scanned).split())
    if all("".join(_item_text(item).split()) in seen for flow in layer.flows for item in flow):
        return scanned
    scanned.flows = [*layer.flows, *scanned.flows]
    for number, item in enumerate((item for flow in scanned.flows for item in flow), start=1):
        item.number = number
    return scanned
