"""Makes a collection mirror its folders: parses, embeds and stores what is new, changed, moved or gone there.

Documents are told apart by their paths and compared by content. Each is replaced in one transaction, so the next run
carries on where a run was killed.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from ingest import CHUNKER_VERSION, PARSER_VERSION, Chunk, ChunkSettings, LoadOptions, Reading, WorkerPool
from ingest.ocr import ocr_available
from kb_assistant.errors import EmptiedFolderError
from kb_assistant.sync.compare import make_plan
from kb_assistant.sync.naming import root_of
from kb_assistant.sync.options import Notify, Progress, ignore
from kb_assistant.sync.plan import MadeWith, Plan, ToParse, file_state
from kb_assistant.sync.report import (
    FileOutcome,
    IngestReport,
    dry_report,
    make_report,
    outcome_of,
    settled_outcomes,
)
from kb_assistant.sync.scope import Scope, choose_scope
from kb_assistant.sync.uploads import Upload, Uploads, is_uploaded
from vectorstore import ANALYSIS_VERSION, Collection, Folders, NewChunk, NewSource, Store

__all__ = ["Indexer", "new_chunk"]

_BATCH_CHUNKS = 512
_CHANGED = "changed while it was read"
"""Stored in place of a hash: no file has it, so the next run reads the file again."""


class Indexer:
    """Brings files into one collection of a store."""

    def __init__(self, store: Store, collection: str, chunks: ChunkSettings, options: LoadOptions) -> None:
        """Take the store, the collection's name, and how documents are read and cut for it."""
        self._store = store
        self._uploads = Uploads(store)
        self._collection = collection
        self._chunks = chunks
        self._options = options
        counted_by = "estimate" if chunks.tokenizer is None else store.embedder.model_id
        versions = f"{PARSER_VERSION}.{CHUNKER_VERSION}.{ANALYSIS_VERSION}"
        self._made_with = MadeWith(f"{versions} {chunks.max_tokens} {counted_by}", options.ocr and ocr_available())

    def run(
        self,
        paths: Sequence[Path],
        *,
        dry_run: bool = False,
        keep_missing: bool = False,
        delete_missing: bool = False,
        include_removed: bool = False,
        progress: Progress = ignore,
        notify: Notify = ignore,
    ) -> IngestReport:
        """Mirror the folders and files at `paths`; without any, all that is mirrored already, and uploads.

        The options are those of `Assistant.ingest`, see `IngestOptions`. In the report of a dry run, a file's status is
        what would be done with it.

        Raises:
            UsageError: a path is not there.
            EmptiedFolderError: a folder that had documents is empty or gone now.
        """
        started = time.perf_counter()
        if dry_run:
            known = {info.name: info for info in self._store.catalog.collections()}.get(self._collection)
            scope, plan = self._plan(known, paths, include_removed, keep_missing, delete_missing)
            return dry_report(plan, time.perf_counter() - started, self._notices(scope, plan, known))
        with self._uploads.writing(notify), WorkerPool(self._chunks, self._options) as pool:
            collection = self._store.prepare(self._collection)
            scope, plan = self._plan(collection, paths, include_removed, keep_missing, delete_missing)
            Folders(self._store.catalog, collection.id).update(scope.roots, plan.removed)
            report = self._carry_out(collection, pool, plan, progress, started)
            return replace(report, notices=self._notices(scope, plan, collection))

    def take(
        self, files: Sequence[Upload], *, replacing: bool = False, progress: Progress = ignore, notify: Notify = ignore
    ) -> IngestReport:
        """Take in files that were sent, beside what the collection mirrors; the options are `UploadOptions`.

        A document stays if nothing can be read of the file that was to replace it.

        Raises:
            UsageError: a file has no name.
            KbError: there is no room for them.
        """
        started = time.perf_counter()
        with self._uploads.received(files) as ready, self._uploads.writing(notify):
            collection = self._store.prepare(self._collection)
            stored = self._store.catalog.sources(collection.id)
            largest = self._options.limits.file_bytes
            plan = self._uploads.plan(ready, stored, replacing=replacing, largest_bytes=largest)
            with WorkerPool(self._chunks, self._options) as pool:
                return self._carry_out(collection, pool, plan, progress, started)

    def _plan(
        self,
        collection: Collection | None,
        paths: Sequence[Path],
        include_removed: bool,
        keep_missing: bool,
        delete_missing: bool,
    ) -> tuple[Scope, Plan]:
        """Return where to look, and what to do about what is found there."""
        catalog = self._store.catalog
        folders = Folders(catalog, collection.id) if collection else None
        stored = catalog.sources(collection.id) if collection else []
        scope = choose_scope(paths, folders.roots() if folders else [], self._store.folder)
        plan = make_plan(
            stored,
            scope,
            self._made_with,
            largest_bytes=self._options.limits.file_bytes,
            removed=folders.removed() if folders else {},
            include_removed=include_removed,
            keep_missing=keep_missing,
        )
        for top in scope.tops:
            if not delete_missing and (lost := plan.lost_with(top)):
                raise EmptiedFolderError(top, len(lost), self._collection)
        if not paths:
            plan.add(self._uploads.plan_again(stored, self._made_with))
        return scope, plan

    def _notices(self, scope: Scope, plan: Plan, collection: Collection | None) -> tuple[str, ...]:
        """Return what the user should know of the folders: what was left out, and what is not mirrored any more."""
        home = self._store.folder.resolve()
        notices = []
        if any(home.is_relative_to(top) for top in scope.tops):
            notices.append(f"{home} belongs to kb itself; the files that kb keeps there were left out")
        if plan.ignored:
            notices.append(f"{len(plan.ignored)} files or folders were left out because of .kbignore")
        stored = self._store.catalog.sources(collection.id) if collection else []
        paths = [Path(source.path) for source in stored if not is_uploaded(source)]
        # Earlier versions mirrored only the last of several folders that were named at once.
        orphans = [path for path in paths if root_of(path, scope.roots) is None]
        if orphans:
            notices.append(
                f"{len(orphans)} documents, such as {orphans[0]}, are of folders that are not mirrored; "
                "to keep them up to date, run kb ingest on their folder"
            )
        return tuple(notices)

    def _carry_out(
        self, collection: Collection, pool: WorkerPool, plan: Plan, progress: Progress, started: float
    ) -> IngestReport:
        catalog = self._store.catalog
        catalog.set_modified(plan.touched)
        # Names are free before others get them. What else is gone goes last: until then it answers.
        first = plan.in_the_way()
        if first:
            catalog.remove_sources(collection.id, [old.name for old in first], keep_vectors=True)
        if renames := plan.new_names():
            catalog.rename_sources(collection.id, [(item.old.id, item.name, item.path) for item in renames])
        outcomes, embedded = self._parse(collection, pool, plan, progress)
        if last := [old.name for old in plan.gone if old not in first]:
            self._store.remove(collection, last)
        catalog.vectors.forget_unused()
        for item in plan.rename:
            old = item.old
            outcomes.append(FileOutcome(item.name, old.status, old.chunks, old.pages, old.notes))
        outcomes += settled_outcomes(plan)
        return make_report(plan, outcomes, embedded=embedded, seconds=time.perf_counter() - started)

    def _parse(
        self, collection: Collection, pool: WorkerPool, plan: Plan, progress: Progress
    ) -> tuple[list[FileOutcome], int]:
        """Parse and store the files of a plan; return what became of them, and how many chunks were embedded."""
        if plan.parse:
            self._store.expect_writing()
        outcomes: list[FileOutcome] = []
        embedded = chunks_in_batch = 0
        batch: list[NewSource] = []
        progress(0, len(plan.parse), "")
        for done, (item, reading) in enumerate(pool.read((item, item.found.path) for item in plan.parse), start=1):
            source = self._source(item, reading)
            if item.replaces_another and not source.chunks:
                notes = (*source.notes, "the document that it was to replace stays")
                outcomes.append(FileOutcome(item.name, source.status, notes=notes))
            else:
                outcomes.append(outcome_of(source))
                batch.append(source)
            chunks_in_batch += max(1, len(source.chunks))  # files without text fill a batch too, in the end
            if chunks_in_batch >= _BATCH_CHUNKS:
                embedded += self._store.replace(collection, batch)
                batch, chunks_in_batch = [], 0
            progress(done, len(plan.parse), item.name)
        embedded += self._store.replace(collection, batch)
        return outcomes, embedded

    def _source(self, item: ToParse, reading: Reading) -> NewSource:
        return NewSource(
            name=item.name,
            path=item.path,
            content_hash=item.digest if _is_unchanged(item) else _CHANGED,
            made_with=self._made_with.of(lacks_ocr=reading.lacks_ocr),
            status=reading.status,
            title=reading.title,
            pages=reading.pages,
            # Notes may name the file, and an upload is kept under another name than its document's.
            notes=tuple(note.replace(item.found.path.name, Path(item.name).name) for note in reading.notes),
            chunks=tuple(new_chunk(chunk) for chunk in reading.chunks),
            modified_ns=item.state[1],
            replaces=item.old.path if item.old else None,
        )


def _is_unchanged(item: ToParse) -> bool:
    """Return whether the file is as it was when it was hashed, so the hash is that of what was read."""
    try:
        return file_state(item.found.path) == item.state
    except OSError:
        return False


def new_chunk(chunk: Chunk) -> NewChunk:
    """Return a chunk that was read in the form that the store takes."""
    return NewChunk(**{name: getattr(chunk, name) for name in NewChunk.__dataclass_fields__})
