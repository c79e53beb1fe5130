"""Turns files into clean chunks whose places in the file are known.

`find_files` finds files; a `WorkerPool` reads them in processes of its own. In those, `load`
parses a file into a `ParsedDocument`, and a `Chunker` cuts that into chunks. This package knows
nothing of stores, models or settings.
"""

from ingest.chunking import CHUNKER_VERSION, Chunk, Chunker
from ingest.discovery import FoundFile, content_hash, find_files
from ingest.errors import (
    GarbledError,
    IngestError,
    NoTextError,
    OcrRequiredError,
    PasswordRequiredError,
    TooLargeError,
    UnreadableError,
    UnsupportedError,
)
from ingest.loaders import LOADERS, PARSER_VERSION, load
from ingest.options import Limits, LoadOptions
from ingest.parsed import Block, BlockKind, ParsedDocument
from ingest.read_file import ChunkSettings, Reading
from ingest.sentences import sentence_spans
from ingest.worker_pool import WorkerPool

__all__ = [
    "CHUNKER_VERSION",
    "LOADERS",
    "PARSER_VERSION",
    "Block",
    "BlockKind",
    "Chunk",
    "ChunkSettings",
    "Chunker",
    "FoundFile",
    "GarbledError",
    "IngestError",
    "Limits",
    "LoadOptions",
    "NoTextError",
    "OcrRequiredError",
    "ParsedDocument",
    "PasswordRequiredError",
    "Reading",
    "TooLargeError",
    "UnreadableError",
    "UnsupportedError",
    "WorkerPool",
    "content_hash",
    "find_files",
    "load",
    "sentence_spans",
]
