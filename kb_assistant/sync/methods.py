"""The methods of `Assistant` that change and list documents."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, Unpack

from kb_assistant.errors import raises_kb_errors
from kb_assistant.sync.options import Notify, ignore

if TYPE_CHECKING:
    from kb_assistant.settings import Settings
    from kb_assistant.sync.mirror import Mirror
    from kb_assistant.sync.options import IngestOptions, UploadOptions, WatchOptions
    from kb_assistant.sync.report import IngestReport
    from kb_assistant.sync.uploads import Upload
    from vectorstore import CollectionInfo, SourceInfo, Store

__all__ = ["DocumentMethods"]


class _KnowledgeBase(Protocol):
    """The parts of an open knowledge base that these methods use."""

    @property
    def store(self) -> Store: ...

    @property
    def settings(self) -> Settings: ...


@raises_kb_errors
class DocumentMethods:
    """Calls that change or list the documents of collections.

    Where a method takes `collection`, None means the collection that is set. `passwords` are tried on encrypted
    files and kept nowhere. `notify` is called with a message while another process is writing and this one waits.
    """

    knowledge_base: _KnowledgeBase

    def ingest(
        self,
        *paths: Path | str,
        collection: str | None = None,
        passwords: Sequence[str] = (),
        **options: Unpack[IngestOptions],
    ) -> IngestReport:
        """Make the collection mirror the folders and files at `paths`; without any, what it mirrors already.

        Raises:
            UsageError: a path is not there.
            EmptiedFolderError: a folder that had documents is empty or gone now.
            UnknownCollectionError: there are no paths, and no such collection.
        """
        return self._mirror(collection, passwords).ingest([Path(path) for path in paths], **options)

    def upload(
        self,
        files: Sequence[Upload],
        *,
        collection: str | None = None,
        passwords: Sequence[str] = (),
        **options: Unpack[UploadOptions],
    ) -> IngestReport:
        """Take files in: each becomes a document under its own name, its bytes kept in KB_HOME/uploads.

        A file that is refused has the status "refused" or "unsupported" in the report, with the reason.

        Raises:
            UsageError: there are too many files, or one has no name.
            KbError: there is no room for them.
        """
        return self._mirror(collection, passwords).upload(files, **options)

    def watch(
        self,
        *paths: Path | str,
        collection: str | None = None,
        passwords: Sequence[str] = (),
        **options: Unpack[WatchOptions],
    ) -> Iterator[IngestReport]:
        """Yield the report of a first `ingest`, then of another after each change under `paths`.

        A burst of changes counts as one, and files still being written are waited for. `notify` also says where a
        folder was found empty and left alone.

        Raises:
            UsageError: a path is not there.
        """
        return self._mirror(collection, passwords).watch([Path(path) for path in paths], **options)

    def remove(
        self,
        *names: str,
        collection: str | None = None,
        patterns: bool = True,
        notify: Notify = ignore,
    ) -> list[str]:
        """Remove documents by name or by pattern (`*`, `?`), and return the names removed.

        Files in folders stay where they are, and are left out from then on; uploaded files go. To take a document in
        again, `ingest` its file by itself, or its folder with `include_removed`.

        Raises:
            UnknownSourceError: a name is not there; then nothing is removed.
        """
        return self._mirror(collection).remove(names, patterns=patterns, notify=notify)

    def sources(self, collection: str | None = None) -> list[SourceInfo]:
        """Return the documents in a collection, by name, with the paths of their files."""
        store = self.knowledge_base.store
        found = store.catalog.sources(
            store.catalog.collection(collection or self.knowledge_base.settings.collection).id
        )
        return [replace(source, path=str(store.folder / source.path)) for source in found]  # an upload's is relative

    def folders(self, collection: str | None = None) -> list[Path]:
        """Return the folders and files that a collection mirrors."""
        return self._mirror(collection).folders()

    def documents_under(self, folder: Path | str, collection: str | None = None) -> list[SourceInfo]:
        """Return the documents that come from a folder which a collection mirrors.

        Raises:
            UsageError: it mirrors no such folder.
        """
        return self._mirror(collection).documents_under(Path(folder))

    def stop_mirroring(
        self, folder: Path | str, *, collection: str | None = None, notify: Notify = ignore
    ) -> list[str]:
        """Stop mirroring a folder, remove its documents, and return their names; its files stay.

        Raises:
            UsageError: the collection mirrors no such folder.
        """
        return self._mirror(collection).stop_mirroring(Path(folder), notify=notify)

    def collections(self) -> list[CollectionInfo]:
        """Return all collections, by name."""
        return self.knowledge_base.store.catalog.collections()

    def rename_collection(self, name: str, to: str, *, notify: Notify = ignore) -> None:
        """Rename a collection.

        Raises:
            UsageError: there is a collection of the new name, or it is no name.
        """
        self._mirror(name).rename(to, notify=notify)

    def remove_collection(self, name: str, *, notify: Notify = ignore) -> None:
        """Remove a collection with its documents and uploads; the files of its folders stay."""
        self._mirror(name).remove_collection(notify=notify)

    def _mirror(self, collection: str | None, passwords: Sequence[str] = ()) -> Mirror:
        from kb_assistant.sync.mirror import Mirror

        opened = self.knowledge_base
        return Mirror(opened.store, opened.settings, collection or opened.settings.collection, passwords)
