"""The models on this machine, in `KB_HOME/models`: list them, convert one to low bits, remove one.

`pulling` brings them there.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

from ingest import content_hash
from kb_assistant.errors import ModelError, UsageError
from kb_assistant.llms.model_files import LOW_BIT_KEY, RECORD, inspect_model

__all__ = [
    "ModelInfo",
    "ModelKind",
    "check_room",
    "convert_model",
    "list_models",
    "model_folder",
    "model_info",
    "model_name",
    "remove_model",
]

ModelKind = Literal["language", "embedding", "reranker", "unknown"]


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """A model's folder.

    Attributes:
        format: the low-bit format of a converted model, else "safetensors", "openvino" or "other".
        bytes: what it takes on disk.
        made_from: where it was pulled from, or what it was converted from; None where that is not recorded.
    """

    name: str
    kind: ModelKind
    format: str
    bytes: int
    made_from: str | None


def list_models(folder: Path) -> list[ModelInfo]:
    """Return the models in `folder`, by name; folders of conversions that were broken off are no models."""
    if not folder.is_dir():
        return []
    models = (path for path in sorted(folder.iterdir()) if path.is_dir() and not path.name.startswith("."))
    return [model_info(path) for path in models]


def model_name(source: Path, low_bit: str) -> str:
    """Return the name that a conversion has where none is given."""
    return f"{source.resolve().name}-{low_bit}"


def convert_model(
    source: Path,
    folder: Path,
    *,
    name: str | None = None,
    low_bit: str = "sym_int4",
    trust_remote_code: bool = False,
    progress: Callable[[str], None] = lambda message: None,
) -> ModelInfo:
    """Convert a language model's full weights to low bits, into `folder`, whole or not at all.

    Args:
        source: the folder of a model in Hugging Face form, with safetensors weights.
        folder: where models are kept.
        name: what it is called there; none: the source's name and the format.
        low_bit: the format, as ipex-llm names it.
        trust_remote_code: run Python code that the model brings along.
        progress: called with what is being done.

    Raises:
        UsageError: the name is taken or cannot be one, or there is no such format.
        ModelError: the model is missing, incomplete, refused or converted already, or there is no room.
    """
    from kb_assistant.llms.ipex import CPU_LOW_BITS, IpexEngine

    if low_bit not in CPU_LOW_BITS:
        raise UsageError(f"unknown low_bit {low_bit!r}; a CPU runs: {', '.join(CPU_LOW_BITS)}")
    target = model_folder(folder, name or model_name(source, low_bit))
    if target.exists():
        raise UsageError(f"{target} exists already; give another --name, or: kb models remove {target.name}")
    files = inspect_model(source, trust_remote_code=trust_remote_code)
    if files.low_bit:
        raise ModelError(f"the model {source} is in {files.low_bit} already; name it with --model as it is")
    check_room(folder, sum(path.stat().st_size for path in files.weights))
    progress(f"reading {source.name} and converting it to {low_bit}")
    engine = IpexEngine.load(source, low_bit=low_bit, trust_remote_code=trust_remote_code)
    progress(f"writing {target}")
    record = {
        "made_from": str(source.resolve()),
        "weights_sha256": {path.name: content_hash(path) for path in files.weights},
        "low_bit": low_bit,
        "ipex_llm": version("ipex-llm"),
    }
    engine.save_low_bit(target, extra={RECORD: json.dumps(record, ensure_ascii=False, indent=1)})
    return model_info(target)


def remove_model(folder: Path, name: str) -> ModelInfo:
    """Delete a model's folder from `folder`, and return what it was.

    Raises:
        UsageError: there is no such model.
        ModelError: it cannot be deleted.
    """
    target = model_folder(folder, name)
    shutil.rmtree(folder / f".{name}.partial", ignore_errors=True)  # what a pull has left that was broken off
    if not target.is_dir():
        known = ", ".join(info.name for info in list_models(folder)) or "none"
        raise UsageError(f"no model {name!r} in {folder}; there are: {known}")
    info = model_info(target)
    try:
        if target.is_symlink():
            target.unlink()  # the model itself lies elsewhere
        else:
            # Out of sight first, so that one that is killed half-way leaves no half model.
            target = target.rename(folder / f".{name}.removed")
            shutil.rmtree(target)
    except OSError as error:
        raise ModelError(f"cannot remove {target}: {error.strerror}") from error
    return info


def model_folder(folder: Path, name: str) -> Path:
    """Return where the model `name` lies in `folder`.

    Raises:
        UsageError: that cannot be a name.
    """
    if not name or name.startswith(".") or Path(name).name != name or "\\" in name:
        raise UsageError(f"{name!r} cannot be a model's name; give a plain one, such as qwen2-1.5b-int4")
    return folder / name


def model_info(path: Path) -> ModelInfo:
    """Return what lies in a model's folder."""
    config, record = _read(path / "config.json"), _read(path / RECORD)
    weights = "safetensors" if any(path.rglob("*.safetensors")) else "other"
    if weights == "other" and any(path.glob("openvino_*.xml")):
        weights = "openvino"
    return ModelInfo(
        name=path.name,
        kind=_kind(path, config),
        format=str(config.get(LOW_BIT_KEY) or weights),
        bytes=sum(file.stat().st_size for file in path.rglob("*") if file.is_file()),
        made_from=record.get("made_from"),
    )


def _kind(path: Path, config: dict[str, Any]) -> ModelKind:
    if (path / "modules.json").is_file():
        return "embedding"
    made_for = " ".join([*config.get("architectures", ()), *config.get("auto_map", {})])
    if "ForCausalLM" in made_for or "ForConditionalGeneration" in made_for:
        return "language"
    if "ForSequenceClassification" in made_for:
        return "reranker"
    return "embedding" if made_for.endswith("Model") else "unknown"


def _read(file: Path) -> dict[str, Any]:
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def check_room(folder: Path, needed: int) -> None:
    """Refuse where the disk has less room than `needed` bytes.

    Raises:
        ModelError: it has less.
    """
    existing = next(path for path in (folder, *folder.parents) if path.exists())
    free = shutil.disk_usage(existing).free
    if free < needed:
        raise ModelError(
            f"{existing} has {free / 1e9:.1f} GB free, and up to {needed / 1e9:.1f} GB are needed; make room"
        )
