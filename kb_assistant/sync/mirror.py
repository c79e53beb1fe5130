"""Changes what documents a collection has: mirrors folders, takes uploads in, removes."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase
from pathlib import Path

from ingest import ChunkSettings, Limits, LoadOptions
from kb_assistant.errors import EmptiedFolderError, UsageError
from kb_assistant.settings import Settings
from kb_assistant.sync.indexer import Indexer, IngestReport, Progress, Waiting, ignore
from kb_assistant.sync.uploads import Upload, Uploads
from vectorstore import Store

__all__ = ["Mirroring", "chunk_settings"]


class Mirroring:
    """Changes one collection of a store, as the settings say; `Assistant`'s docstrings say more."""

    def __init__(self, store: Store, settings: Settings, collection: str, passwords: Sequence[str] = ()) -> None:
        """Take the store, the collection's name, and the passwords tried on encrypted files."""
        self._store = store
        self._settings = settings
        self._collection = collection
        self._passwords = tuple(passwords)

    def ingest(
        self,
        paths: Sequence[Path],
        *,
        dry_run: bool = False,
        keep_missing: bool = False,
        delete_missing: bool = False,
        progress: Progress = ignore,
        waiting: Waiting = ignore,
    ) -> IngestReport:
        """Mirror the folders and files at `paths`; without any, what is mirrored already."""
        if not paths:
            self._store.catalog.collection(self._collection)
        indexer = self._indexer()
        if dry_run:
            return indexer.dry_run(paths, keep_missing=keep_missing, delete_missing=delete_missing)
        return indexer.run(
            paths, keep_missing=keep_missing, delete_missing=delete_missing, progress=progress, waiting=waiting
        )

    def upload(
        self,
        files: Sequence[Upload],
        *,
        replacing: bool = False,
        progress: Progress = ignore,
        waiting: Waiting = ignore,
    ) -> IngestReport:
        """Take in files that were sent."""
        most = self._settings.max_uploads
        if len(files) > most:
            raise UsageError(f"{len(files):,} files at once, more than {most:,}; send fewer, or raise max_uploads")
        return self._indexer().take(files, replacing=replacing, progress=progress, waiting=waiting)

    def watch(
        self,
        folders: Sequence[Path],
        *,
        keep_missing: bool = False,
        progress: Progress = ignore,
        waiting: Waiting = ignore,
        stop: threading.Event | None = None,
    ) -> Iterator[IngestReport]:
        """Yield the report of a first run, and of another one after each change."""
        from kb_assistant.sync.watch import changes  # watchfiles, which only this needs

        indexer = self._indexer()
        begun = False
        for _ in changes(folders, self._store.folder, stop or threading.Event()):
            try:
                yield indexer.run(folders, keep_missing=keep_missing, progress=progress, waiting=waiting)
            except EmptiedFolderError as error:
                if not begun:
                    raise
                waiting(f"{error.folder} is {error.state} now; its {error.documents} documents stay as they are")
            begun = True

    def remove(self, names: Sequence[str], *, patterns: bool = True, waiting: Waiting = ignore) -> list[str]:
        """Remove documents by name or pattern, and return the names removed."""
        info = self._store.catalog.collection(self._collection)
        present = [source.name for source in self._store.catalog.sources(info.id)]
        chosen: dict[str, None] = {}
        for name in names:
            pattern = name.replace("[", "[[]")  # a character like others
            matching = (
                [one for one in present if patterns and fnmatchcase(one, pattern)] if name not in present else [name]
            )
            chosen.update(dict.fromkeys(matching or [name]))
        with Uploads(self._store).writing(waiting):
            self._store.remove(info, list(chosen))
        return list(chosen)

    def _indexer(self) -> Indexer:
        settings = self._settings
        limits = Limits(
            file_bytes=settings.max_file_mb * 1_000_000,
            unpacked_bytes=settings.max_unpacked_mb * 1_000_000,
            members=settings.max_members,
            pages=settings.max_pages,
            characters=settings.max_characters,
            cells=settings.max_cells,
            seconds=settings.max_seconds,
            memory_bytes=settings.max_memory_mb * 1_000_000,
        )
        options = LoadOptions(limits, self._passwords, settings.ocr)
        return Indexer(self._store, self._collection, chunk_settings(settings, self._store), options)


def chunk_settings(settings: Settings, store: Store) -> ChunkSettings:
    """Return how documents are cut for a store, so that its embedding model reads a whole chunk."""
    longest, embedder = settings.chunk_tokens, store.embedder
    if embedder.max_tokens is not None:  # a quarter is left for the context that is embedded with a chunk
        longest = min(longest, embedder.max_tokens * 3 // 4)
    return ChunkSettings(longest, tokenizer=embedder.tokenizer)
