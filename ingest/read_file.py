"""Reads one file into chunks, and reports what is wrong with it; workers do this with each file."""

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
    """How to cut documents, in a form that can be sent to workers.

    Attributes:
        max_tokens: the size of the longest chunk.
        overlap_tokens: how much of a piece of a long block the next piece repeats.
        tokenizer: a Hugging Face tokenizer as JSON text, which counts tokens; None for an estimate.
    """

    max_tokens: int = 256
    overlap_tokens: int = 32
    tokenizer: str | None = None

    def chunker(self) -> Chunker:
        """Return a chunker with these settings."""
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
    """The result of reading a file.

    Attributes:
        status: ready, partial, garbled (with the chunks that are not), or the status of an error (see `errors`).
        title: the document's own title, where it has one.
        pages: how many pages, slides or sheets it has, where it has them.
        notes: what a user should know, such as an error's message without the file's name.
        chunks: its text in chunks; empty if it could not be read.
        lacks_ocr: whether something was left out because there is no OCR.
    """

    status: str
    title: str | None = None
    pages: int | None = None
    notes: tuple[str, ...] = ()
    chunks: tuple[Chunk, ...] = ()
    lacks_ocr: bool = False

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Self:
        """Return the result that `as_json` described."""
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
        """Return values that JSON can hold."""
        # `asdict` copies every value, and takes longer than reading the file.
        values = {name: getattr(self, name) for name in Reading.__dataclass_fields__}
        chunks = [{name: getattr(chunk, name) for name in Chunk.__dataclass_fields__} for chunk in self.chunks]
        return {**values, "chunks": chunks}


def read_file(path: Path, chunker: Chunker, options: LoadOptions) -> Reading:
    """Load and cut one file; its faults are in the result, never raised."""
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
