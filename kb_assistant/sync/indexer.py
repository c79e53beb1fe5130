"""Makes a collection mirror a folder: what is new, changed, moved or gone there, and nothing else.

Sources are told apart by their paths and compared by content. Each is replaced in one
transaction, so a run that was killed is carried on by the next one.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ingest import CHUNKER_VERSION, PARSER_VERSION, Chunk, ChunkSettings, LoadOptions, Reading, WorkerPool
from ingest.ocr import ocr_available
from kb_assistant.errors import EmptiedFolderError, UsageError
from kb_assistant.sync.plan import FAILED, MadeWith, Plan, ToParse, file_state, is_unicode, make_plan, roots_with
from kb_assistant.sync.uploads import UPLOADS, Upload, Uploads
from vectorstore import ANALYSIS_VERSION, Collection, NewChunk, NewSource, SourceInfo, Store

__all__ = ["FileOutcome", "Indexer", "IngestReport", "Progress", "Waiting", "ignore", "in_a_row", "merged", "new_chunk"]

_BATCH_CHUNKS = 512
_CHANGED = "changed while it was read"
"""In place of a hash: it is no file's, so the next run reads the file again."""

Progress = Callable[[int, int, str], None]
"""Called with (files done, files in all, the name of the one at hand)."""

Waiting = Callable[[str], None]
"""Called with a message where another process is writing and this one waits."""


def ignore(*_: object) -> None:
    """Take progress or a message, and do nothing with it."""


@dataclass(frozen=True, slots=True)
class FileOutcome:
    """What became of one file. `status` is what the store holds of it now, "deleted", or "refused" (an upload)."""

    path: str
    status: str
    chunks: int = 0
    pages: int | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class IngestReport:
    """What one run did, in counts of files, and what became of each."""

    added: int
    updated: int
    renamed: int
    unchanged: int
    deleted: int
    failed: int
    chunks_embedded: int
    seconds: float
    files: tuple[FileOutcome, ...]

    @property
    def changed(self) -> bool:
        """Whether the run did anything, or found something it could not do."""
        return bool(self.added or self.updated or self.renamed or self.deleted or self.failed)


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
        paths: Iterable[Path],
        *,
        keep_missing: bool = False,
        delete_missing: bool = False,
        progress: Progress,
        waiting: Waiting,
    ) -> IngestReport:
        """Mirror the folders and files at `paths`.

        Args:
            paths: folders, or single files; none for all that the collection mirrors, and its uploads.
            keep_missing: keep the documents whose files are gone.
            delete_missing: delete them even where the whole folder is empty or gone.
            progress: called for each file.
            waiting: called where another process is writing.

        Raises:
            UsageError: a path is not there.
            EmptiedFolderError: a folder that had documents is empty or gone now.
        """
        started = time.perf_counter()
        with self._uploads.writing(waiting), WorkerPool(self._chunks, self._options) as reader:
            collection = self._store.prepare(self._collection)
            planned = self._plans(collection, list(paths), keep_missing, delete_missing)
            reports = [self._carry_out(collection, reader, *one, progress) for one in planned]
            self._store.catalog.forget_unused_vectors()
        return merged(reports, time.perf_counter() - started)

    def take(
        self, files: Sequence[Upload], *, replacing: bool = False, progress: Progress, waiting: Waiting
    ) -> IngestReport:
        """Take in files that were sent, beside what the collection mirrors.

        Args:
            files: their names and contents.
            replacing: whether a file takes the place of an uploaded one that has its name; else it is refused.
                A document stays where nothing can be read of the one that is to replace it.
            progress: called for each file.
            waiting: called where another process is writing.

        Raises:
            UsageError: a file has no name.
            KbError: there is no room for them.
        """
        started = time.perf_counter()
        with self._uploads.at_hand(files) as ready, self._uploads.writing(waiting):
            collection = self._store.prepare(self._collection)
            stored = self._store.catalog.sources(collection.id)
            largest = self._options.limits.file_bytes
            plan = self._uploads.plan(ready, stored, replacing=replacing, largest_bytes=largest)
            with WorkerPool(self._chunks, self._options) as reader:
                report = self._carry_out(collection, reader, self._roots(collection), plan, progress)
            self._store.catalog.forget_unused_vectors()
        return merged([report], time.perf_counter() - started)

    def dry_run(
        self, paths: Iterable[Path], *, keep_missing: bool = False, delete_missing: bool = False
    ) -> IngestReport:
        """Return what `run` would report, and change nothing; a file's status is what would be done with it.

        Raises:
            UsageError: as `run`.
            EmptiedFolderError: as `run`.
        """
        started = time.perf_counter()
        collection = {info.name: info for info in self._store.catalog.collections()}.get(self._collection)
        reports = []
        for _, plan in self._plans(collection, list(paths), keep_missing, delete_missing):
            outcomes = [FileOutcome(item.name, "updated" if item.old else "added") for item in plan.parse]
            outcomes += [FileOutcome(item.name, "renamed", old.chunks) for item, old in plan.rename]
            reports.append(_report(plan, [*outcomes, *_settled(plan)], embedded=0))
        return merged(reports, time.perf_counter() - started)

    def _roots(self, collection: Collection | None) -> list[Path]:
        return self._store.catalog.roots(collection.id) if collection else []

    def _plans(
        self, collection: Collection | None, paths: list[Path], keep_missing: bool, delete_missing: bool
    ) -> list[tuple[list[Path], Plan]]:
        """For each of the paths, the collection's roots as they are to be, and what is to be done."""
        roots = self._roots(collection)
        tops = _tops(paths or roots, roots)
        for top in tops:
            if top.is_relative_to(self._apart):
                raise UsageError(f"{top}: uploads are in their collections already; kb sources lists them")
        plans = [self._plan(collection, top, keep_missing, delete_missing) for top in tops]
        if not paths and collection:
            stored = self._store.catalog.sources(collection.id)
            plans.append((roots, self._uploads.plan_again(stored, self._made_with)))
        return plans

    @property
    def _apart(self) -> Path:
        return (self._store.folder / UPLOADS).resolve()

    def _plan(
        self, collection: Collection | None, top: Path, keep_missing: bool, delete_missing: bool
    ) -> tuple[list[Path], Plan]:
        """Return the collection's roots as they are to be, and what is to be done under `top`."""
        stored = self._store.catalog.sources(collection.id) if collection else []
        root, roots = roots_with(self._roots(collection), top)
        plan = make_plan(stored, root, top, self._made_with, self._options.limits.file_bytes, self._apart)
        if keep_missing:
            plan.unchanged.extend(plan.gone)
            plan.gone = []
        elif plan.gone and not delete_missing and (not plan.files or top.is_file()):
            raise EmptiedFolderError(top, len(plan.gone), self._collection)
        return roots, plan

    def _carry_out(
        self, collection: Collection, reader: WorkerPool, roots: list[Path], plan: Plan, progress: Progress
    ) -> IngestReport:
        self._store.catalog.set_roots(collection.id, roots)
        self._store.catalog.set_modified(plan.touched)
        outcomes = _settled(plan)
        for item, old in plan.rename:
            self._store.catalog.rename_source(collection.id, old.id, item.name, str(item.found.path))
            outcomes.append(FileOutcome(item.name, old.status, old.chunks, old.pages, old.notes))
        if plan.parse:
            self._store.expect_writing()
        embedded = waiting = 0
        batch: list[NewSource] = []
        progress(0, len(plan.parse), "")
        for done, (item, reading) in enumerate(reader.read((item, item.found.path) for item in plan.parse), start=1):
            source = self._source(item, reading)
            if item.replaces_another and not source.chunks:
                notes = (*source.notes, "the document that it was to replace stays")
                outcomes.append(FileOutcome(item.name, source.status, notes=notes))
            else:
                outcomes.append(_outcome(source))
                batch.append(source)
            waiting += max(1, len(source.chunks))  # files without text fill a batch too, in the end
            if waiting >= _BATCH_CHUNKS:
                embedded += self._store.replace(collection, batch)
                batch, waiting = [], 0
            progress(done, len(plan.parse), item.name)
        embedded += self._store.replace(collection, batch)
        if plan.gone:
            self._store.remove(collection, [old.name for old in plan.gone])
        return _report(plan, outcomes, embedded)

    def _source(self, item: ToParse, reading: Reading) -> NewSource:
        return NewSource(
            name=item.name,
            path=item.path,
            content_hash=item.digest if _still(item) else _CHANGED,
            made_with=self._made_with.of(lacks_ocr=reading.lacks_ocr),
            status=reading.status,
            title=reading.title,
            pages=reading.pages,
            # An archive's notes may name it, and an uploaded one is not called what its file is.
            notes=tuple(note.replace(item.found.path.name, Path(item.name).name) for note in reading.notes),
            chunks=tuple(new_chunk(chunk) for chunk in reading.chunks),
            modified_ns=item.state[1],
            replaces=item.old.path if item.old else None,
        )


def _still(item: ToParse) -> bool:
    """Whether the file is as it was when it was hashed, so that what was read is what the hash says."""
    try:
        return file_state(item.found.path) == item.state
    except OSError:
        return False


def new_chunk(chunk: Chunk) -> NewChunk:
    """Return a chunk that was read in the form that the store takes."""
    return NewChunk(**{name: getattr(chunk, name) for name in NewChunk.__dataclass_fields__})


def _existing(path: Path, roots: Sequence[Path]) -> Path:
    full = path.expanduser().absolute()
    if not is_unicode(str(full)):
        raise UsageError(f"{str(path)!a}: its name is not valid Unicode; rename it")
    # One that the collection mirrors, or that lies in such a one, may have been deleted.
    known = any(full.resolve().is_relative_to(root) for root in roots)
    if not full.exists() and not known:
        raise UsageError(f"{path}: no such file or folder; nothing was changed")
    if full.exists() and not full.is_file() and not full.is_dir():
        raise UsageError(f"{path}: neither a file nor a folder; nothing was changed")
    return full.resolve()


def _tops(paths: Iterable[Path], roots: Sequence[Path]) -> list[Path]:
    """The folders and files to go through, without those that lie in another."""
    found = list(dict.fromkeys(_existing(path, roots) for path in paths))
    return [one for one in found if not any(one != other and one.is_relative_to(other) for other in found)]


def _settled(plan: Plan) -> list[FileOutcome]:
    """The outcomes that are known before anything is parsed."""
    return [
        *(_outcome(old) for old in plan.unchanged),
        *(FileOutcome(old.name, "deleted") for old in plan.gone),
        *(FileOutcome(one.name, one.status, notes=(one.reason,) if one.reason else ()) for one in plan.refused),
    ]


def _outcome(source: SourceInfo | NewSource) -> FileOutcome:
    chunks = source.chunks if isinstance(source.chunks, int) else len(source.chunks)
    return FileOutcome(source.name, source.status, chunks, source.pages, source.notes)


def _report(plan: Plan, outcomes: list[FileOutcome], embedded: int) -> IngestReport:
    failed = {outcome.path for outcome in outcomes if outcome.status in FAILED}
    sound = [item for item in plan.parse if item.name not in failed]
    return IngestReport(
        added=sum(item.old is None for item in sound),
        updated=sum(item.old is not None for item in sound),
        renamed=sum(item.name not in failed for item, _ in plan.rename),
        unchanged=sum(old.name not in failed for old in plan.unchanged),
        deleted=len(plan.gone),
        failed=len(failed) + sum(outcome.status == "refused" for outcome in outcomes),
        chunks_embedded=embedded,
        seconds=0.0,
        files=tuple(sorted(outcomes, key=lambda outcome: outcome.path)),
    )


def in_a_row(reports: Sequence[IngestReport]) -> IngestReport:
    """Return the reports of runs one after the other as one: counts added up, files as they are in the end."""
    gone = {file.path: file for report in reports for file in report.files if file.status == "deleted"}
    last = {**gone, **{file.path: file for file in reports[-1].files}}
    total = merged(reports, sum(report.seconds for report in reports))
    return replace(
        total,
        unchanged=reports[-1].unchanged,
        failed=reports[-1].failed,
        files=tuple(last[path] for path in sorted(last)),
    )


def merged(reports: Sequence[IngestReport], seconds: float) -> IngestReport:
    """Return several folders' reports as one."""
    counts = ("added", "updated", "renamed", "unchanged", "deleted", "failed", "chunks_embedded")
    return IngestReport(
        **{name: sum(getattr(report, name) for report in reports) for name in counts},
        seconds=round(seconds, 3),
        files=tuple(outcome for report in reports for outcome in report.files),
    )
