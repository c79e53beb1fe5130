"""The models on this machine, in `KB_HOME/models`: list them, convert one for its engine, remove one.

`pulling` brings them there.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

from filelock import FileLock, Timeout

from ingest import content_hash
from kb_assistant.errors import ModelError, UsageError
from kb_assistant.llms.checkpoints.atomic_folder import leftovers
from kb_assistant.llms.checkpoints.model_files import LOW_BIT_KEY, RECORD, ModelFiles, inspect_model
from kb_assistant.llms.openvino.files import OpenVinoModel, gguf_file, inspect_openvino, is_openvino

__all__ = [
    "ModelInfo",
    "ModelKind",
    "check_room",
    "convert_model",
    "list_models",
    "model_folder",
    "model_info",
    "model_lock",
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
    from kb_assistant.llms.ipex.loading import CPU_LOW_BITS

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
    with model_lock(folder, target.name):
        _sweep(folder, target.name)
        _convert(files, source, target, to, low_bit, progress)
    return model_info(target)


def _convert(
    files: ModelFiles | OpenVinoModel,
    source: Path,
    target: Path,
    to: str,
    low_bit: str,
    progress: Callable[[str], None],
) -> None:
    weights = files.weights if isinstance(files, ModelFiles) else (files.path,)
    sixteen_bits = sum(path.stat().st_size for path in weights)
    if isinstance(files, ModelFiles):
        sixteen_bits *= (4 if files.packed else 1) * (2 if files.family else 1)
    check_room(target.parent, sixteen_bits)
    progress(f"converting {source.name} to {target}")
    record = {"made_from": str(source.resolve()), "weights_sha256": {path.name: content_hash(path) for path in weights}}
    with _plain(files, target, progress) as full:
        if to == "openvino" or isinstance(full, OpenVinoModel):
            _convert_for_openvino(full, target, record)
        else:
            _convert_for_ipex(full, target, low_bit, record)


def remove_model(folder: Path, name: str) -> ModelInfo:
    """Delete a model's folder from `folder`, and return what it was.

    Raises:
        UsageError: there is no such model.
        ModelError: it cannot be deleted.
    """
    target = model_folder(folder, name)
    with model_lock(folder, name):
        _sweep(folder, name)
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
                shutil.rmtree(target.rename(folder / f".{name}.removed"))
        except OSError as error:
            raise ModelError(f"cannot remove {target}: {error.strerror}") from error
    return info


@contextmanager
def model_lock(folder: Path, name: str) -> Iterator[None]:
    """Keep other processes from writing or removing the model `name`.

    Raises:
        ModelError: another one is at it.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        locks = folder.with_name(".model-locks")  # they stay: whoever removed one could remove another's
        locks.mkdir(exist_ok=True)
        lock = FileLock(locks / f"{name}.lock")
        lock.acquire(timeout=0)
    except Timeout as error:
        raise ModelError(f"another kb is at work on the model {name}; wait for it, or end it") from error
    except OSError as error:
        raise ModelError(f"cannot write to {folder}: {error}; choose another place") from error
    try:
        yield
    finally:
        lock.release()


def _sweep(folder: Path, name: str) -> None:
    for left in leftovers(folder, name):
        shutil.rmtree(left, ignore_errors=True)


def _inspect(source: Path, to: str, trust_remote_code: bool) -> ModelFiles | OpenVinoModel:
    if to == "openvino" and is_openvino(source):
        model = inspect_openvino(source)
        if model.path.suffix != ".gguf":
            raise ModelError(f"the model {source} is OpenVINO's own already; name it with --model as it is")
        return model
    files = inspect_model(source, trust_remote_code=trust_remote_code)
    if files.low_bit:
        raise ModelError(f"the model {source} is in {files.low_bit} already; name it with --model as it is")
    if to == "openvino":
        from kb_assistant.llms.openvino.gguf_writer import check_family

        check_family(files)
    return files


@contextmanager
def _plain(
    files: ModelFiles | OpenVinoModel, target: Path, progress: Callable[[str], None]
) -> Iterator[ModelFiles | OpenVinoModel]:
    """Give the model itself, or where GPTQ or AWQ packed it, or it is a Llama in other words, what it is without that.

    That lies in a folder that is thrown away.
    """
    if not isinstance(files, ModelFiles) or not (files.packed or files.family):
        yield files
        return
    from kb_assistant.llms.checkpoints.llama_form import write_as_llama
    from kb_assistant.llms.checkpoints.unpacking import unpack

    work = target.with_name(f".{target.name}.unpacked")
    try:
        work.mkdir()
        if files.packed:
            progress(f"unpacking {files.packed} to 16 bits")
            unpack(files, work / "full")
            files = inspect_model(work / "full", trust_remote_code="auto_map" in files.config)
        if files.family:
            progress(f"writing the model of the {files.family} family as a Llama; the code of its folder is not run")
            write_as_llama(files, work / "llama")
            files = inspect_model(work / "llama")
        yield files
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _convert_for_ipex(files: ModelFiles, target: Path, low_bit: str, record: dict[str, Any]) -> None:
    from kb_assistant.llms.ipex.loading import convert

    trusted = "auto_map" in files.config  # or `_inspect` had refused it
    record |= {"low_bit": low_bit, "ipex_llm": version("ipex-llm")}
    extra = {RECORD: json.dumps(record, ensure_ascii=False, indent=1)}
    convert(files.path, target, low_bit, trust_remote_code=trusted, extra=extra)


def _convert_for_openvino(files: ModelFiles | OpenVinoModel, target: Path, record: dict[str, Any]) -> None:
    from kb_assistant.llms.openvino.runtime import import_genai
    from kb_assistant.llms.openvino.saving import save_openvino

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
