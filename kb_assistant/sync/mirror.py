"""Changes what documents a collection has: mirrors folders, takes uploads in, removes; renames and removes it."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Unpack

from ingest import ChunkSettings, Limits, LoadOptions
from kb_assistant.errors import EmptiedFolderError, UsageError
from kb_assistant.serialization import display_name
from kb_assistant.settings import Settings
from kb_assistant.sync.indexer import Indexer
from kb_assistant.sync.naming import root_of
from kb_assistant.sync.options import IngestOptions, Notify, Progress, UploadOptions, ignore
from kb_assistant.sync.report import IngestReport
from kb_assistant.sync.scope import files_of_kb
from kb_assistant.sync.uploads import Upload, Uploads, is_uploaded
from vectorstore import Folders, SourceInfo, Store

__all__ = ["Mirror", "chunk_settings"]

_LONGEST_NAME = 200


class Mirror:
    """Changes one collection of a store, as the settings say; `Assistant`'s docstrings say more."""

    def __init__(self, store: Store, settings: Settings, collection: str, passwords: Sequence[str] = ()) -> None:
        """Take the store, the collection's name, and the passwords tried on encrypted files."""
        self._store = store
        self._settings = settings
        self._collection = collection
        self._passwords = tuple(passwords)

    def ingest(self, paths: Sequence[Path], **options: Unpack[IngestOptions]) -> IngestReport:
        """Mirror the folders and files at `paths`; without any, all that is mirrored already."""
        if not paths:
            self._store.catalog.collection(self._collection)
        return self._indexer().run(paths, **options)

    def upload(self, files: Sequence[Upload], **options: Unpack[UploadOptions]) -> IngestReport:
        """Take in files that were sent."""
        most = self._settings.max_uploads
        if len(files) > most:
            raise UsageError(f"{len(files):,} files at once, more than {most:,}; send fewer, or raise max_uploads")
        return self._indexer().take(files, **options)

    def watch(
        self,
        folders: Sequence[Path],
        *,
        keep_missing: bool = False,
        progress: Progress = ignore,
        notify: Notify = ignore,
        stop: threading.Event | None = None,
    ) -> Iterator[IngestReport]:
        """Yield the report of a first run, then of another after each change; without `folders`, of all mirrored."""
        from kb_assistant.sync.watch import changes  # watchfiles, which only this needs

        watched = [folder.expanduser().absolute() for folder in folders] or self.folders()
        if not watched:
            raise UsageError(f"collection {self._collection!r} mirrors no folder; name one: kb ingest FOLDER --watch")
        own = [path for folder in watched for path in files_of_kb(self._store.folder, folder.resolve())]
        indexer = self._indexer()
        begun = False
        for _ in changes(watched, own, stop or threading.Event()):
            try:
                yield indexer.run(folders, keep_missing=keep_missing, progress=progress, notify=notify)
            except EmptiedFolderError as error:
                if not begun:
                    raise
                notify(f"{error.folder} is {error.state} now; its {error.documents} documents stay as they are")
            begun = True

    def remove(self, names: Sequence[str], *, patterns: bool = True, notify: Notify = ignore) -> list[str]:
        """Remove documents by name or pattern, and return the names removed; their files are kept out from then on."""
        info = self._store.catalog.collection(self._collection)
        with Uploads(self._store).writing(notify):
            present = {source.name: source for source in self._store.catalog.sources(info.id)}
            chosen = dict.fromkeys(found for name in names for found in _matching(name, list(present), patterns))
            folders = Folders(self._store.catalog, info.id)
            mirrored = [present[name] for name in chosen if name in present and not is_uploaded(present[name])]
            if mirrored and len(chosen.keys() & present.keys()) == len(chosen):
                folders.update(folders.roots(), folders.removed() | {one.path: one.content_hash for one in mirrored})
            self._store.remove(info, list(chosen))
        return list(chosen)

    def folders(self) -> list[Path]:
        """Return the folders and files that the collection mirrors."""
        return Folders(self._store.catalog, self._store.catalog.collection(self._collection).id).roots()

    def documents_under(self, folder: Path) -> list[SourceInfo]:
        """Return the documents that come from a folder which the collection mirrors.

        Raises:
            UsageError: it mirrors no such folder.
        """
        root = self.mirrored_folder(folder)
        stored = self._store.catalog.sources(self._store.catalog.collection(self._collection).id)
        return [source for source in stored if Path(source.path).is_relative_to(root)]

    def stop_mirroring(self, folder: Path, *, notify: Notify = ignore) -> list[str]:
        """Stop mirroring a folder, remove its documents, and return their names."""
        info = self._store.catalog.collection(self._collection)
        with Uploads(self._store).writing(notify):
            folders = Folders(self._store.catalog, info.id)
            root = self.mirrored_folder(folder)
            names = [source.name for source in self.documents_under(root)]
            removed = folders.removed().items()
            self._store.remove(info, names)
            folders.update(
                [path for path in folders.roots() if path != root],
                {path: digest for path, digest in removed if not Path(path).is_relative_to(root)},
            )
        return names

    def mirrored_folder(self, folder: Path) -> Path:
        """Return the folder that the collection mirrors at a path.

        Raises:
            UsageError: it mirrors none there.
        """
        roots = self.folders()
        full = folder.expanduser().absolute()
        for path in (full, full.resolve()):
            if path in roots:
                return path
        if around := root_of(full.resolve(), roots):
            raise UsageError(
                f"{folder} lies in {around}, which is mirrored whole; to leave it out, name it in a .kbignore there"
            )
        raise UsageError(f"collection {self._collection!r} does not mirror {folder}; kb folders lists what it mirrors")

    def rename(self, name: str, *, notify: Notify = ignore) -> None:
        """Rename the collection.

        Raises:
            UsageError: the name is taken, or is no name.
        """
        shown = " ".join(name.split())
        if not name or display_name(name) != name or len(name) > _LONGEST_NAME:
            raise UsageError(f"{shown!r} cannot be a collection's name; take up to {_LONGEST_NAME} visible characters")
        with self._store.writing(notify):
            info = self._store.catalog.collection(self._collection)
            if any(other.name == name for other in self._store.catalog.collections()):
                raise UsageError(
                    f"there is a collection {name!r} already; choose another name, or remove that one first"
                )
            self._store.catalog.rename_collection(info.id, name)

    def remove_collection(self, *, notify: Notify = ignore) -> None:
        """Remove the collection with all its documents; the files of its folders stay."""
        with Uploads(self._store).writing(notify):
            self._store.remove_collection(self._store.catalog.collection(self._collection))

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


def _matching(name: str, present: Sequence[str], patterns: bool) -> list[str]:
    """Return the documents that a name means: of that name, or shown by it, or matching it as a pattern."""
    if name in present or not patterns:
        return [name]
    shown = [other for other in present if display_name(other) == name]
    if len(shown) > 1:
        raise UsageError(f"{len(shown)} documents are shown as {name!r}; name them by patterns with ? or *")
    pattern = name.replace("[", "[[]")  # a character like others
    return shown or [other for other in present if fnmatchcase(other, pattern)] or [name]
