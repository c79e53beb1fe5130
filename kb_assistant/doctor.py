"""`kb doctor`: is this machine able, and is the store sound?"""

from __future__ import annotations

import os
import platform
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING

from kb_assistant.answering.knowledge_base import open_store
from kb_assistant.errors import KbError, as_kb_errors
from kb_assistant.llms.active_engine import ActiveEngine
from kb_assistant.machine import Machine
from kb_assistant.settings import home_folder, load_settings
from kb_assistant.sync.uploads import Uploads
from vectorstore import is_read_only

if TYPE_CHECKING:
    from kb_assistant.settings import Settings
    from vectorstore import Store

__all__ = ["Finding", "check_store", "examine", "examine_machine"]

_TROUBLE = (KbError, OSError)

_PACKAGES = ("torch", "ipex-llm", "transformers", "sentence-transformers", "chromadb", "langchain", "unstructured")
_LOW_DISK_BYTES = 1 << 30


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of a check; `detail` says what was found, and what to do if it is not `ok`."""

    check: str
    ok: bool
    detail: str


def examine(home: Path | None = None, **settings: str | None) -> list[Finding]:
    """Check the machine and the store in `home`; no document is touched."""
    folder = home_folder(home)
    disk = _disk(folder)
    return [
        *_machine_findings(),
        disk,
        *(_settled(folder, settings) if disk.ok else ()),
        _tried("privacy", lambda: _privacy(load_settings(folder, **settings), folder / "models")),
    ]


def examine_machine(settings: Settings, models: Path) -> list[Finding]:
    """Check the machine alone, and whether these settings send anything off it."""
    return [*_machine_findings(), _tried("privacy", lambda: _privacy(settings, models))]


def _machine_findings() -> list[Finding]:
    return [
        Finding("python", True, f"{platform.python_version()} on {platform.system()} {platform.machine()}"),
        _packages(),
        _full_text(),
        _machine(),
    ]


def _packages() -> Finding:
    found, missing = [], []
    for name in _PACKAGES:
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            missing.append(name)
    if missing:
        return Finding("packages", False, f"not installed: {', '.join(missing)}; run: pip install -c constraints.txt .")
    return Finding("packages", True, ", ".join(found))


def _full_text() -> Finding:
    with sqlite3.connect(":memory:") as connection:
        enabled = connection.execute("SELECT sqlite_compileoption_used('ENABLE_FTS5')").fetchone()[0]
    detail = f"SQLite {sqlite3.sqlite_version} with FTS5"
    return Finding("full text", bool(enabled), detail if enabled else "this Python's SQLite has no FTS5; use another")


def _machine() -> Finding:
    machine = Machine.read()
    activations = "bfloat16" if machine.computes_bfloat16 else "float32"
    chosen = f"a model gets {machine.cores} threads, {activations} and {machine.context_tokens:,} tokens of passages"
    return Finding("machine", True, f"{machine}; unless set otherwise, {chosen}")


def _disk(folder: Path) -> Finding:
    try:
        existing = next(path for path in (folder, *folder.parents) if path.exists())
        free = shutil.disk_usage(existing).free
    except OSError as error:
        return Finding("home", False, f"{folder}: {error.strerror}; set KB_HOME to a folder of your own")
    if not existing.is_dir():
        return Finding("home", False, f"{existing} is a file; set KB_HOME to a folder")
    if is_read_only(folder / "catalog.db") and os.access(folder / "catalog.db", os.R_OK):
        return Finding("home", True, f"{folder} can only be read: questions are answered, documents cannot be changed")
    if not os.access(existing, os.W_OK):
        return Finding("home", False, f"{existing} cannot be written to; allow it, or set KB_HOME to another folder")
    ok = free > _LOW_DISK_BYTES
    detail = f"{folder}: {free / 1e9:.1f} GB free"
    return Finding("home", ok, detail if ok else f"{detail}; make room, or set KB_HOME to a folder with more")


def _settled(folder: Path, settings: dict[str, str | None]) -> Iterator[Finding]:
    """Check the store and the models that the settings name, unless the settings cannot be read."""
    try:
        loaded = load_settings(folder, **settings)
    except _TROUBLE as error:
        yield Finding("settings", False, str(error))
        return
    yield Finding("settings", True, f"embedding model {loaded.embedding_model}")
    yield from _store(folder, loaded)
    yield _tried("engine", lambda: _engine(ActiveEngine(folder, loaded)))


def _store(folder: Path, settings: Settings) -> Iterator[Finding]:
    if not (folder / "catalog.db").exists():
        yield Finding("store", True, "empty; run: kb ingest FOLDER")
        return
    try:
        with as_kb_errors(), closing(open_store(folder, settings)) as store:
            yield from (Finding(*found) for found in check_store(store))
            yield _tried("reranker", lambda: _reranker(store))
    except _TROUBLE as error:
        yield Finding("store", False, str(error))


def check_store(store: Store) -> list[tuple[str, bool, str]]:
    """Return (what, whether it is sound, detail) for each part of a store."""
    return [*store.check(), ("uploads", *Uploads(store).check())]


def _reranker(store: Store) -> str:
    """Load the reranker, and return its name."""
    if store.reranker is None:
        return "none; the setting reranker takes the folder of a cross-encoder"
    store.reranker.load()
    return f"{store.reranker.directory.name} loads"


def _engine(used: ActiveEngine) -> str:
    if used.engine is None:
        return "extractive: answers are quoted from the documents; --model FOLDER sets a language model"
    return f"{used.name}: {used.settings.model} {used.engine.ready()}"


def _privacy(settings: Settings, models: Path) -> str:
    """Return where questions and passages go."""
    from kb_assistant.llms import engine_for
    from kb_assistant.llms.remote.destination import Destination

    others = "telemetry, tracing and hubs are switched off"
    name = engine_for(settings, models) if settings.engine == "auto" else settings.engine
    if name != "openai" or not settings.base_url:
        return f"no engine sends anything off this machine; {others}"
    server = Destination.of(settings.base_url)
    if server.on_this_machine:
        return f"questions and passages go to {server.host}, which is on this machine; {others}"
    way = ("encrypted" if server.encrypted else "unencrypted") + (
        f", by the proxy {server.proxy}" if server.proxy else ""
    )
    return f"QUESTIONS AND PASSAGES LEAVE THIS MACHINE: they are sent to {server.host} ({way}); {others}"


def _tried(check: str, action: Callable[[], str]) -> Finding:
    try:
        with as_kb_errors():
            return Finding(check, True, action())
    except _TROUBLE as error:
        return Finding(check, False, str(error))
