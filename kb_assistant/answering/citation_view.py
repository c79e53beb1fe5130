"""Opens a citation: the passage that it quotes, what stands before and after it, and its page as a picture."""

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
    """A passage of a document, with those of its section next to it.

    Attributes:
        found: whether the document still holds the words; else `text` is the words alone.
        mark: where in `text` the words are, as a span of characters.
        drawn: whether its page can be had as a picture.
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
    """Return the passage of a document that holds words, the nearest to a line where several do.

    Raises:
        UsageError: there are no words.
        StoreError: there is no such collection.
    """
    if not words.strip():
        raise UsageError("no words are quoted; open another citation")
    chunk_id = store.quoted(collection, source, words, page, line)
    section = store.section(collection, chunk_id, _NEIGHBOURS) if chunk_id is not None else []
    if not section:
        return OpenedPassage(source, page, line, (), (), words, (0, len(words)), (), found=False, drawn=False)
    at = next(place for place, one in enumerate(section) if one.id == chunk_id)
    own = section[at]
    start = own.text.find(words)
    return OpenedPassage(
        source=source,
        page=page,
        line=line,
        heading=own.heading,
        before=_texts(section[:at]),
        text=own.text,
        mark=(start, start + len(words)),
        after=_texts(section[at + 1 :]),
        found=True,
        drawn=page is not None and source.lower().endswith(".pdf"),
    )


def page_image(store: Store, collection: str, source: str, words: Sequence[str], page: int) -> PageImage:
    """Return a page of a PDF of the collection as a picture, with the places of the words on it.

    Raises:
        UsageError: the collection has no such PDF.
        PageImageError: it cannot be drawn; the file may be gone.
        StoreError: there is no such collection.
    """
    info = store.catalog.collection(collection)
    path = next((one.path for one in store.catalog.sources(info.id) if one.name == source), "")
    if not path.lower().endswith(".pdf"):
        raise UsageError(f"no PDF {source!r} in the collection; only a PDF's pages can be drawn")
    try:
        return render_page(store.folder / path, page, words)  # an uploaded file's path is relative to the home
    except IngestError as error:
        raise PageImageError(str(error)) from error


def _texts(passages: Sequence[Passage]) -> tuple[str, ...]:
    return tuple(passage.text for passage in passages)
