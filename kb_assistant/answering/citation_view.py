"""Opens a citation: the quoted passage with its neighbours, and its page as a picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ingest.errors import IngestError
from ingest.page_image import PageImage, render_page
from kb_assistant.errors import PageImageError, UsageError

if TYPE_CHECKING:
    from vectorstore import Passage, Store

__all__ = ["OpenedPassage", "open_passage", "page_image"]

_NEIGHBOURS = 1


@dataclass(frozen=True, slots=True)
class OpenedPassage:
    """The passage that holds a quotation, with its neighbours.

    Attributes:
        before: the texts of the neighbours before it in its section.
        mark: the span of the quotation in `text`.
        after: the texts of the neighbours after it.
        found: whether the document still contains the quotation; if not, `text` is the quotation alone.
        drawn: whether its page can be drawn as a picture.
    """

    source: str
    page: int | None
    line: int
    heading: tuple[str, ...]
    before: tuple[str, ...]
    text: str
    mark: tuple[int, int]
    after: tuple[str, ...]
    found: bool
    drawn: bool


def open_passage(store: Store, collection: str, source: str, words: str, page: int | None, line: int) -> OpenedPassage:
    """Return the passage of a document that contains a quotation, the nearest to `line` if there are several.

    Raises:
        UsageError: the quotation is empty.
        StoreError: there is no such collection.
    """
    if not words.strip():
        raise UsageError("the citation quotes nothing; open another citation")
    chunk_id = store.quoted(collection, source, words, page, line)
    section = store.section(collection, chunk_id, _NEIGHBOURS) if chunk_id is not None else []
    if not section:
        return OpenedPassage(source, page, line, (), (), words, (0, len(words)), (), found=False, drawn=False)
    at = next(place for place, passage in enumerate(section) if passage.id == chunk_id)
    passage = section[at]
    start = passage.text.find(words)
    return OpenedPassage(
        source=source,
        page=page,
        line=line,
        heading=passage.heading,
        before=_texts(section[:at]),
        text=passage.text,
        mark=(start, start + len(words)),
        after=_texts(section[at + 1 :]),
        found=True,
        drawn=page is not None and source.lower().endswith(".pdf"),
    )


def page_image(store: Store, collection: str, source: str, words: Sequence[str], page: int) -> PageImage:
    """Return a page of a PDF as a picture, with the places of the quoted words on it.

    Raises:
        UsageError: the collection has no such PDF.
        PageImageError: the page cannot be drawn; the file may be gone.
        StoreError: there is no such collection.
    """
    info = store.catalog.collection(collection)
    path = next((stored.path for stored in store.catalog.sources(info.id) if stored.name == source), "")
    if not path.lower().endswith(".pdf"):
        raise UsageError(f"no PDF {source!r} in the collection; only pages of PDFs can be drawn")
    try:
        return render_page(store.folder / path, page, words)  # an uploaded file's path is relative to the home
    except IngestError as error:
        raise PageImageError(str(error)) from error


def _texts(passages: Sequence[Passage]) -> tuple[str, ...]:
    return tuple(passage.text for passage in passages)
