"""Files to cleaned, located chunks.

`find_files` finds them; a `Reader` reads them in processes of its own and gives the chunks
of each. Within such a process `load` makes a `ParsedDocument` of a file, and a `Chunker`
cuts that. Knows nothing of stores, models or settings.
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
from ingest.worker_pool import Reader

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
    "Reader",
    "Reading",
    "TooLargeError",
    "UnreadableError",
    "UnsupportedError",
    "content_hash",
    "find_files",
    "load",
    "sentence_spans",
]
