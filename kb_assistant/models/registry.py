"""The models in `KB_HOME/models`: lists, locks and removes them."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Literal

from filelock import FileLock, Timeout

from kb_assistant.errors import ModelError, UsageError
from kb_assistant.llms.checkpoints.atomic_folder import leftovers
from kb_assistant.llms.checkpoints.model_files import LOW_BIT_KEY, RECORD
from kb_assistant.llms.openvino.files import gguf_file, is_openvino

__all__ = [
    "ModelInfo",
    "ModelKind",
    "check_free_space",
    "installed_path",
    "list_models",
    "model_info",
    "model_lock",
    "remove_leftovers",
    "remove_model",
]

ModelKind = Literal["language", "embedding", "reranker", "unknown"]


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """A model: a folder or a GGUF file.

    Attributes:
        format: the low-bit format of a model converted for ipex, or "openvino", "gguf", "safetensors" or "other".
        bytes: its size on disk.
        made_from: the hub page or folder it was pulled or converted from; None if not recorded.
    """

    name: str
    kind: ModelKind
    format: str
    bytes: int
    made_from: str | None


def list_models(folder: Path) -> list[ModelInfo]:
    """Return the models in `folder`, by name, without unfinished downloads and conversions."""
    if not folder.is_dir():
        return []
    paths = (path for path in sorted(folder.iterdir()) if not path.name.startswith("."))
    return [model_info(path) for path in paths if path.is_dir() or gguf_file(path)]


def installed_path(folder: Path, name: str) -> Path:
    """Return the path of the model `name` in `folder`.

    Raises:
        UsageError: the name is not a plain file name.
    """
    if not name or name.startswith(".") or Path(name).name != name or "\\" in name:
        raise UsageError(f"{name!r} cannot be a model's name; use a plain name such as qwen2-1.5b-int4")
    return folder / name


def model_info(path: Path) -> ModelInfo:
    """Return what the model at `path` is."""
    config, record = _read_json(path / "config.json"), _read_json(path / RECORD)
    if is_openvino(path):
        format_ = "gguf" if gguf_file(path) else "openvino"
    else:
        format_ = config.get(LOW_BIT_KEY) or ("safetensors" if any(path.rglob("*.safetensors")) else "other")
    files = [file for file in path.rglob("*") if file.is_file()] if path.is_dir() else [path]
    return ModelInfo(
        name=path.name,
        kind=_kind(path, config),
        format=str(format_),
        bytes=sum(file.stat().st_size for file in files),
        made_from=record.get("made_from"),
    )


def remove_model(folder: Path, name: str) -> ModelInfo:
    """Delete a model from `folder`, and return what it was.

    Raises:
        UsageError: there is no such model.
        ModelError: it cannot be deleted.
    """
    target = installed_path(folder, name)
    with model_lock(folder, name):
        remove_leftovers(folder, name)
        shutil.rmtree(folder / f".{name}.partial", ignore_errors=True)  # an unfinished download
        if not target.is_dir() and not (target.is_file() and gguf_file(target)):
            names = [info.name for info in list_models(folder)]
            close = get_close_matches(name, names, n=1)
            hint = f"did you mean {close[0]}?" if close else f"installed: {', '.join(names) or 'none'}"
            raise UsageError(f"no model {name!r} in {folder}; {hint}")
        info = model_info(target)
        try:
            if target.is_symlink() or target.is_file():
                target.unlink()  # of a link only the link
            else:
                # Hidden first, so that a killed process leaves no half model.
                shutil.rmtree(target.rename(folder / f".{name}.removed"))
        except OSError as error:
            raise ModelError(f"cannot remove {target}: {error.strerror}") from error
    return info


@contextmanager
def model_lock(folder: Path, name: str) -> Iterator[None]:
    """Keep other processes from writing or removing the model `name`.

    Raises:
        ModelError: another process holds the lock, or the folder cannot be written to.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        locks = folder.with_name(".model-locks")  # lock files stay: removing one could release another process's lock
        locks.mkdir(exist_ok=True)
        lock = FileLock(locks / f"{name}.lock")
        lock.acquire(timeout=0)
    except Timeout as error:
        raise ModelError(f"another kb process is using the model {name}; wait for it to finish, or stop it") from error
    except OSError as error:
        raise ModelError(f"cannot write to {folder}: {error}; choose another folder") from error
    try:
        yield
    finally:
        lock.release()


def remove_leftovers(folder: Path, name: str) -> None:
    """Remove what killed conversions and removals of the model `name` left behind."""
    for path in leftovers(folder, name):
        shutil.rmtree(path, ignore_errors=True)


def check_free_space(folder: Path, needed: int) -> None:
    """Check that the disk has `needed` bytes free.

    Raises:
        ModelError: it has not.
    """
    existing = next(path for path in (folder, *folder.parents) if path.exists())
    free = shutil.disk_usage(existing).free
    if free < needed:
        raise ModelError(
            f"not enough disk space at {existing}: {free / 1e9:.1f} GB free, up to {needed / 1e9:.1f} GB needed; "
            "free some space"
        )


def _kind(path: Path, config: dict[str, Any]) -> ModelKind:
    if gguf_file(path):
        return "language"
    if (path / "modules.json").is_file():
        return "embedding"
    classes = " ".join([*config.get("architectures", ()), *config.get("auto_map", {})])
    if "ForCausalLM" in classes or "ForConditionalGeneration" in classes:
        return "language"
    if "ForSequenceClassification" in classes:
        return "reranker"
    return "embedding" if classes.endswith("Model") else "unknown"


def _read_json(file: Path) -> dict[str, Any]:
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}
