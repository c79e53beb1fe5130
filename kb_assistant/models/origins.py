"""Where a model is pulled from: a hub, or a folder on this machine."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit

from ingest import content_hash
from kb_assistant.errors import ModelError, UsageError
from kb_assistant.llms.checkpoints.model_files import inspect_model, llama_family, tensor_names
from kb_assistant.models.catalogue import CatalogueEntry, catalogue
from kb_assistant.models.download import download
from kb_assistant.models.hubs import HUBS, RemoteFile, client_for, list_files
from kb_assistant.models.registry import check_free_space
from kb_assistant.models.selection import Selection

__all__ = ["Notify", "Origin", "Progress", "check_complete", "find_origin"]

Progress = Callable[[int, int, str], None]
"""Called with (bytes received, bytes in all, the file's path)."""
Notify = Callable[[str], None]
"""Called with a message for the user."""


class Origin(Protocol):
    """A hub's repository or a folder that holds a model."""

    @property
    def address(self) -> str:
        """The repository's page, or the folder's path."""

    @property
    def revision(self) -> str | None:
        """The branch, tag or commit asked for; None for the newest."""

    def fetch(self, target: Path, selection: Selection, progress: Progress, notify: Notify) -> dict[str, Any]:
        """Put the selected files into `target`, and return the record of them: origin, revision, SHA-256 of each."""


def find_origin(wanted: str, entry: CatalogueEntry | None, origin: str, revision: str | None) -> Origin:
    """Return the place that `--from` names for a model.

    Raises:
        UsageError: it is neither a hub nor a folder, the model is not known there, or a folder got a revision.
    """
    if origin not in HUBS:
        folder = Path(origin).expanduser()
        if not folder.is_dir():
            raise UsageError(f"--from {origin} is neither a hub ({', '.join(HUBS)}) nor a folder")
        if revision:
            raise UsageError("--revision is for hubs; leave it out when --from is a folder")
        return _Folder(folder.resolve())
    repo = (entry.hf if origin == "hf" else entry.modelscope) if entry else wanted
    if repo is None:
        raise UsageError(f"the catalogue has no {origin} address for {wanted}; try another --from, or give OWNER/NAME")
    if "/" not in repo:
        names = ", ".join(entry.name for entry in catalogue())
        raise UsageError(f"no model {wanted!r} in the catalogue; give OWNER/NAME, or one of: {names}")
    pinned = entry.hf_revision if entry and origin == "hf" else None
    return _Repository(origin, repo, revision or pinned)


def check_complete(folder: Path, *, trust_remote_code: bool) -> None:
    """Check that a model is complete, as far as that shows without loading it.

    Raises:
        ModelError: it is incomplete or broken, or brings code that is not trusted.
    """
    if any(folder.glob("openvino_*.xml")):
        bare = [file.name for file in folder.glob("openvino_*.xml") if not file.with_suffix(".bin").is_file()]
        if bare:
            raise ModelError(f"{folder} lacks the weights of {bare[0]}; add {Path(bare[0]).stem}.bin")
    elif (folder / "modules.json").is_file():
        for file in folder.rglob("*.safetensors"):
            tensor_names(file)
    else:
        inspect_model(folder, trust_remote_code=trust_remote_code)


class _Repository:
    """A model's repository at a hub."""

    def __init__(self, hub: str, repo: str, revision: str | None) -> None:
        self._hub, self._repo, self.revision = hub, repo, revision
        address = HUBS[hub].address
        self.address = f"{address}/{repo}" if hub == "hf" else f"{address}/models/{repo}"

    def fetch(self, target: Path, selection: Selection, progress: Progress, notify: Notify) -> dict[str, Any]:
        with client_for(self._hub) as client:
            listing = list_files(client, self._hub, self._repo, self.revision)
            if self.revision is None:
                host = urlsplit(listing.origin).netloc
                notify(f"no revision is pinned: pulling and recording the newest from {host} ({listing.revision})")
            by_path = {file.path: file for file in listing.files}
            # Small files first: config.json can show that the model is not wanted.
            files = sorted(
                (by_path[path] for path in selection.choose(by_path)), key=lambda file: (file.size, file.path)
            )
            _check_listing(files, selection)
            _remove_others(target, files)
            present = sum(file.stat().st_size for file in target.rglob("*") if file.is_file())
            check_free_space(target, selection.needed_bytes({file.path: file.size for file in files}) - present)
            total, received = sum(file.size for file in files), 0
            for file in files:

                def advance(more: int, path: str = file.path) -> None:
                    nonlocal received
                    received += more
                    progress(received, total, path)

                download(client, file, target / file.path, advance)
                if file.path == "config.json":
                    _check_code(target / file.path, selection.name, listing.origin)
        hashes = {file.path: file.sha256 or content_hash(target / file.path) for file in files}
        return {
            "made_from": listing.origin,
            "asked_revision": self.revision or listing.revision,
            "revision": listing.revision,
            "files": dict(sorted(hashes.items())),
        }


class _Folder:
    """A model's folder on this machine."""

    revision = None

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.address = str(folder)

    def fetch(self, target: Path, selection: Selection, progress: Progress, notify: Notify) -> dict[str, Any]:
        found = [path.relative_to(self._folder).as_posix() for path in self._folder.rglob("*") if path.is_file()]
        if not selection.pickles.keys() & set(found):  # pickles are checked after they are rewritten
            check_complete(self._folder, trust_remote_code=selection.with_code)
        paths = selection.choose(found)
        sizes = {path: (self._folder / path).stat().st_size for path in paths}
        shutil.rmtree(target)
        target.mkdir()
        check_free_space(target, selection.needed_bytes(sizes))
        total, copied = sum(sizes.values()), 0
        for path in paths:
            (target / path).parent.mkdir(exist_ok=True, parents=True)
            shutil.copyfile(self._folder / path, target / path)
            copied += (target / path).stat().st_size
            progress(copied, total, path)
        return {"made_from": self.address, "files": {path: content_hash(target / path) for path in paths}}


def _check_listing(files: Sequence[RemoteFile], selection: Selection) -> None:
    """Refuse files that could not be checked, or are known to be wrong, before anything is downloaded."""
    for file in files:
        if not (file.sha256 or file.git_sha1):
            raise ModelError(f"the hub lists no checksum for {file.path}, so it cannot be checked; try another --from")
        if file.path in selection.pickles and file.sha256:
            selection.check_pickle(file.path, file.sha256)


def _remove_others(target: Path, files: Sequence[RemoteFile]) -> None:
    """Delete what an earlier run downloaded of another revision."""
    paths = {file.path for file in files}
    for file in [path for path in target.rglob("*") if path.is_file()]:
        if file.relative_to(target).as_posix().removesuffix(".part") not in paths:
            file.unlink()


def _check_code(config_file: Path, name: str, address: str) -> None:
    """Refuse a model that needs code of its own, before its weights are downloaded."""
    try:
        config = json.loads(config_file.read_text(encoding="utf-8"))
    except ValueError:
        return  # `check_complete` says what is wrong with it
    if isinstance(config, dict) and "auto_map" in config and not llama_family(config):
        raise ModelError(
            f"{name} needs Python code of its own, and kb downloads no code; download the folder yourself from "
            f"{address}, read its .py files, and run: kb models pull {name} --from FOLDER --trust-remote-code"
        )
