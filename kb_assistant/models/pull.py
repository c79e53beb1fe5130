"""`kb models pull`: brings a model to this machine, complete and checked or not at all."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ingest import content_hash
from kb_assistant.errors import ModelError, UsageError
from kb_assistant.llms.checkpoints.model_files import RECORD
from kb_assistant.models.catalogue import find_entry
from kb_assistant.models.hubs import HUBS
from kb_assistant.models.origins import Notify, Origin, Progress, check_complete, find_origin
from kb_assistant.models.registry import ModelInfo, installed_path, model_info, model_lock
from kb_assistant.models.selection import Selection

__all__ = ["pull_model"]


def pull_model(
    wanted: str,
    folder: Path,
    *,
    origin: str = "hf",
    revision: str | None = None,
    trust_remote_code: bool = False,
    progress: Progress = lambda received, total, path: None,
    notify: Notify = lambda message: None,
) -> ModelInfo:
    """Pull a model into `folder`, resuming an interrupted pull; check an installed one against its record.

    Args:
        wanted: a name in the catalogue, or a model id at a hub; if `origin` is a folder, the model's new name.
        folder: where models are kept.
        origin: a hub's name, or the folder of a model that was copied here by hand.
        revision: a branch, tag or commit at the hub; default: the catalogue's, or the newest.
        trust_remote_code: also take the Python code in the folder that `origin` names.
        progress: called with (bytes received, bytes in all, the file's path).
        notify: called with messages for the user.

    Raises:
        UsageError: the catalogue has no such model, or another model has this name.
        ModelError: the hub cannot be used, the model is refused or damaged, or the disk is too full.
    """
    entry = find_entry(wanted)
    name = entry.name if entry else wanted.rpartition("/")[2]
    source = find_origin(wanted, entry, origin, revision)
    target = installed_path(folder, name)
    # No code comes from a hub, whatever flag is given: the user has not been able to read it.
    selection = Selection(name, trust_remote_code and origin not in HUBS, entry.pickles if entry else {})
    with model_lock(folder, name):
        if target.exists():
            _check_installed(target, source)
            notify(f"{name} is installed already, and all its files match their checksums")
            return model_info(target)
        unfinished = folder / f".{name}.partial"
        try:
            unfinished.mkdir(exist_ok=True)
            record = source.fetch(unfinished, selection, progress, notify)
            _rewrite_pickles(unfinished, selection, record, notify)
            check_complete(unfinished, trust_remote_code=trust_remote_code)
            (unfinished / RECORD).write_text(json.dumps(record, ensure_ascii=False, indent=1), encoding="utf-8")
            unfinished.rename(target)
        except OSError as error:
            path = error.filename or unfinished
            raise ModelError(
                f"cannot write {path}: {error.strerror or error}; fix that or free some space, and run it again"
            ) from error
    return model_info(target)


def _rewrite_pickles(folder: Path, selection: Selection, record: dict[str, Any], notify: Notify) -> None:
    """Replace accepted pickles by safetensors, in the folder and in the record."""
    for path in sorted(selection.pickles.keys() & record["files"].keys()):
        selection.check_pickle(path, record["files"].pop(path))
        notify(f"{path} is the file that the catalogue accepts; rewriting its weights as safetensors")
        written = _as_safetensors(folder / path)
        record["files"][written.name] = content_hash(written)


def _as_safetensors(file: Path) -> Path:
    import torch
    from safetensors.torch import save_file

    tensors = torch.load(file, map_location="cpu", mmap=True, weights_only=True)
    target = file.with_name("model.safetensors")
    part = file.with_name(f"{target.name}.part")
    # safetensors refuses tensors that share memory, so each gets its own.
    save_file({name: tensor.clone().contiguous() for name, tensor in tensors.items()}, part, {"format": "pt"})
    part.rename(target)
    file.unlink()
    return target


def _check_installed(target: Path, source: Origin) -> None:
    """Check that an installed model came from `source`, and that its files are unchanged."""
    try:
        record = json.loads((target / RECORD).read_text(encoding="utf-8"))
        origin, files = record["made_from"], dict(record["files"])
    except (OSError, ValueError, KeyError, TypeError):
        origin, files = None, {}
    remove = f"kb models remove {target.name}"
    if origin is None:
        raise UsageError(f"{target} already exists and was not pulled; to replace it, run first: {remove}")
    if origin != source.address:
        raise UsageError(f"{target} already exists, pulled from {origin}; to replace it, run first: {remove}")
    if source.revision not in (None, record.get("revision"), record.get("asked_revision")):
        raise UsageError(f"{target} is revision {record.get('revision')}; for another one, run first: {remove}")
    for path, expected in files.items():
        file = target / path
        if not file.is_file() or content_hash(file) != expected:
            raise ModelError(f"{file} has changed or is missing since it was pulled; to pull it again, run: {remove}")
