"""One file to chunks, whatever happens on the way; what a reader process does with each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from ingest.chunking import Chunk, Chunker, blank_tokens, estimate_tokens
from ingest.errors import GarbledError, IngestError, OcrRequiredError
from ingest.loaders import load
from ingest.options import LoadOptions

__all__ = ["ChunkSettings", "Reading", "read_file"]


@dataclass(frozen=True, slots=True)
class ChunkSettings:
    """How to cut documents: the same in every process.

    Attributes:
        max_tokens: longest chunk.
        overlap_tokens: how much of a long block's piece the next one repeats.
        tokenizer: a Hugging Face tokenizer as JSON text, which counts the tokens; none means an estimate.
    """

    max_tokens: int = 256
    overlap_tokens: int = 32
    tokenizer: str | None = None

    def chunker(self) -> Chunker:
        """Return what cuts documents this way."""
        return Chunker(self.max_tokens, self.overlap_tokens, self._counter())

    def _counter(self) -> Callable[[str], int]:
        if self.tokenizer is None:
            return estimate_tokens
        from tokenizers import Tokenizer

        tokenizer = Tokenizer.from_str(self.tokenizer)
        tokenizer.no_truncation()
        tokenizer.no_padding()
        return lambda text: len(tokenizer.encode(text, add_special_tokens=False).ids) + blank_tokens(text)


@dataclass(frozen=True, slots=True)
class Reading:
    """What came of reading a file.

    Attributes:
        status: ready, partial, garbled (then with chunks of what is not), or the status of the error (see `errors`).
        title: the document's own title, where it has one.
        pages: how many pages, slides or sheets it has, where it has them.
        notes: what a user should know; an error's message, without the file's name, which may change.
        chunks: its text, cut; empty where it could not be read.
        lacks_ocr: whether something was left out for want of OCR.
    """

    status: str
    title: str | None = None
    pages: int | None = None
    notes: tuple[str, ...] = ()
    chunks: tuple[Chunk, ...] = ()
    lacks_ocr: bool = False

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Self:
        """Return the reading that `as_json` gave."""
        chunks = tuple(
            Chunk(
                **{
                    **chunk,
                    "heading": tuple(chunk["heading"]),
                    "lines": tuple((offset, line) for offset, line in chunk["lines"]),
                }
            )
            for chunk in values["chunks"]
        )
        return cls(**{**values, "notes": tuple(values["notes"]), "chunks": chunks})

    def as_json(self) -> dict[str, Any]:
        """Return plain values that JSON can hold."""
        # Not `asdict`, which copies every value and takes longer than reading a file.
        values = {name: getattr(self, name) for name in Reading.__dataclass_fields__}
        chunks = [{name: getattr(chunk, name) for name in Chunk.__dataclass_fields__} for chunk in self.chunks]
        return {**values, "chunks": chunks}


def read_file(path: Path, chunker: Chunker, options: LoadOptions) -> Reading:
    """Load and cut one file; what is wrong with it is in the result, never raised."""
    try:
        document = load(path, options)
        chunks = tuple(chunker.chunk(document))
    except IngestError as error:
        note = str(error).removeprefix(f"{path.name}: ")
        return Reading(error.status, notes=(note,), lacks_ocr=isinstance(error, (OcrRequiredError, GarbledError)))
    return Reading(
        "garbled" if document.garbled else "partial" if document.incomplete else "ready",
        document.title,
        document.pages,
        document.notes,
        chunks,
        document.lacks_ocr,
    )
