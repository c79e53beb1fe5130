"""The models on this machine, in `KB_HOME/models`: list them, convert one for its engine, remove one.

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
from kb_assistant.llms.model_files import LOW_BIT_KEY, RECORD, ModelFiles, inspect_model
from kb_assistant.llms.openvino_files import OpenVinoModel, gguf_file, inspect_openvino, is_openvino

__all__ = [
    "ModelInfo",
    "ModelKind",
    "check_room",
    "convert_model",
    "list_models",
    "model_folder",
    "model_info",
    "remove_model",
]

ModelKind = Literal["language", "embedding", "reranker", "unknown"]


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """A model's folder or GGUF file.

    Attributes:
        format: the low-bit format of a model converted for ipex, else "openvino", "gguf", "safetensors" or "other".
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
    paths = (path for path in sorted(folder.iterdir()) if not path.name.startswith("."))
    return [model_info(path) for path in paths if path.is_dir() or gguf_file(path)]


def convert_model(
    source: Path,
    folder: Path,
    *,
    name: str | None = None,
    to: str = "ipex",
    low_bit: str | None = None,
    trust_remote_code: bool = False,
    progress: Callable[[str], None] = lambda message: None,
) -> ModelInfo:
    """Convert a language model to what an engine loads in seconds, into `folder`, whole or not at all.

    Args:
        source: the folder of a model in Hugging Face form, with safetensors weights; for openvino also a GGUF file.
        folder: where models are kept.
        name: what it is called there; none: the source's name and the format.
        to: the engine, "ipex" or "openvino".
        low_bit: the format, as ipex-llm names it; none: sym_int4. OpenVINO's is int4, or that of the GGUF file.
        trust_remote_code: run Python code that the model brings along.
        progress: called with what is being done.

    Raises:
        UsageError: the name is taken or cannot be one, or there is no such engine or format.
        ModelError: the model is missing, incomplete, refused or converted already, or there is no room.
    """
    from kb_assistant.llms.ipex_loading import CPU_LOW_BITS

    if to not in ("ipex", "openvino") or (to == "openvino" and low_bit):
        raise UsageError(f"cannot convert to {to} {low_bit or ''}; give --to ipex, with a --low-bit, or --to openvino")
    low_bit = low_bit or "sym_int4"
    if low_bit not in CPU_LOW_BITS:
        raise UsageError(f"unknown low_bit {low_bit!r}; a CPU runs: {', '.join(CPU_LOW_BITS)}")
    stem = source.resolve().name.removesuffix(".gguf")
    target = model_folder(folder, name or f"{stem}-{low_bit if to == 'ipex' else to}")
    if target.exists():
        raise UsageError(f"{target} exists already; give another --name, or: kb models remove {target.name}")
    files = _inspect(source, to, trust_remote_code)
    weights = files.weights if isinstance(files, ModelFiles) else (files.path,)
    check_room(folder, sum(path.stat().st_size for path in weights))
    progress(f"converting {source.name} to {target}")
    record = {"made_from": str(source.resolve()), "weights_sha256": {path.name: content_hash(path) for path in weights}}
    if to == "openvino":
        _convert_for_openvino(files, target, record)
    else:
        _convert_for_ipex(source, target, low_bit, record, trust_remote_code)
    return model_info(target)


def remove_model(folder: Path, name: str) -> ModelInfo:
    """Delete a model's folder from `folder`, and return what it was.

    Raises:
        UsageError: there is no such model.
        ModelError: it cannot be deleted.
    """
    target = model_folder(folder, name)
    shutil.rmtree(folder / f".{name}.partial", ignore_errors=True)  # what a pull has left that was broken off
    if not target.is_dir() and not (target.is_file() and gguf_file(target)):
        known = ", ".join(info.name for info in list_models(folder)) or "none"
        raise UsageError(f"no model {name!r} in {folder}; there are: {known}")
    info = model_info(target)
    try:
        if target.is_symlink() or target.is_file():
            target.unlink()  # a link's model itself lies elsewhere
        else:
            # Out of sight first, so that one that is killed half-way leaves no half model.
            target = target.rename(folder / f".{name}.removed")
            shutil.rmtree(target)
    except OSError as error:
        raise ModelError(f"cannot remove {target}: {error.strerror}") from error
    return info


def _inspect(source: Path, to: str, trust_remote_code: bool) -> ModelFiles | OpenVinoModel:
    if to == "openvino" and is_openvino(source):
        model = inspect_openvino(source)
        if model.path.suffix != ".gguf":
            raise ModelError(f"the model {source} is OpenVINO's own already; name it with --model as it is")
        return model
    files = inspect_model(source, trust_remote_code=trust_remote_code)
    if files.low_bit:
        raise ModelError(f"the model {source} is in {files.low_bit} already; name it with --model as it is")
    return files


def _convert_for_ipex(
    source: Path, target: Path, low_bit: str, record: dict[str, Any], trust_remote_code: bool
) -> None:
    from kb_assistant.llms.ipex import IpexEngine

    engine = IpexEngine.load(source, low_bit=low_bit, trust_remote_code=trust_remote_code)
    record |= {"low_bit": low_bit, "ipex_llm": version("ipex-llm")}
    engine.save_low_bit(target, extra={RECORD: json.dumps(record, ensure_ascii=False, indent=1)})


def _convert_for_openvino(files: ModelFiles | OpenVinoModel, target: Path, record: dict[str, Any]) -> None:
    from kb_assistant.llms.openvino_runtime import import_genai
    from kb_assistant.llms.openvino_saving import save_openvino

    import_genai()
    record |= {"openvino_genai": version("openvino-genai")}
    save_openvino(files, target, extra={RECORD: json.dumps(record, ensure_ascii=False, indent=1)})


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
    format_ = config.get(LOW_BIT_KEY) or ("safetensors" if any(path.rglob("*.safetensors")) else "other")
    files = [file for file in path.rglob("*") if file.is_file()] if path.is_dir() else [path]
    if is_openvino(path):
        format_ = "gguf" if gguf_file(path) else "openvino"
    return ModelInfo(
        name=path.name,
        kind=_kind(path, config),
        format=str(format_),
        bytes=sum(file.stat().st_size for file in files),
        made_from=record.get("made_from"),
    )


def _kind(path: Path, config: dict[str, Any]) -> ModelKind:
    if gguf_file(path):
        return "language"
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
