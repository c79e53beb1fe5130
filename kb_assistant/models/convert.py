"""`kb models convert`: converts a language model to the format that an engine loads in seconds."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

from ingest import content_hash
from kb_assistant.errors import ModelError, UsageError
from kb_assistant.llms.checkpoints.model_files import RECORD, ModelFiles, inspect_model
from kb_assistant.llms.openvino.files import OpenVinoModel, inspect_openvino, is_openvino
from kb_assistant.models.registry import (
    ModelInfo,
    check_free_space,
    installed_path,
    model_info,
    model_lock,
    remove_leftovers,
)

__all__ = ["convert_model"]

_Notify = Callable[[str], None]


def convert_model(
    source: Path,
    folder: Path,
    *,
    name: str | None = None,
    to: str = "ipex",
    low_bit: str | None = None,
    trust_remote_code: bool = False,
    notify: _Notify = lambda message: None,
) -> ModelInfo:
    """Convert a language model into `folder`, completely or not at all.

    Args:
        source: a model folder in Hugging Face form with safetensors weights; for openvino also a GGUF file.
        folder: where models are kept.
        name: the converted model's name; default: the source's name and the format.
        to: the engine, "ipex" or "openvino".
        low_bit: the weight format, named as ipex-llm does; default: sym_int4. OpenVINO always gets int4, or the GGUF
            file's format.
        trust_remote_code: run Python code from the model's folder.
        notify: called with a message at each step.

    Raises:
        UsageError: the name is taken or invalid, or the engine or format is unknown.
        ModelError: the model is missing, incomplete, refused or already converted, or the disk is too full.
    """
    from kb_assistant.llms.ipex.loading import CPU_LOW_BITS

    if to not in ("ipex", "openvino"):
        raise UsageError(f"unknown engine {to!r}; convert for ipex or openvino")
    if to == "openvino" and low_bit:
        raise UsageError(f"--low-bit {low_bit} is for ipex only; leave it out with --to openvino")
    low_bit = low_bit or "sym_int4"
    if low_bit not in CPU_LOW_BITS:
        raise UsageError(f"unknown low_bit {low_bit!r}; a CPU can run {', '.join(CPU_LOW_BITS)}")
    stem = source.resolve().name.removesuffix(".gguf")
    target = installed_path(folder, name or f"{stem}-{low_bit if to == 'ipex' else to}")
    if target.exists():
        raise UsageError(f"{target} already exists; choose another --name, or run: kb models remove {target.name}")
    files = _inspect(source, to, trust_remote_code)
    with model_lock(folder, target.name):
        remove_leftovers(folder, target.name)
        _convert(files, source, target, to, low_bit, notify)
    return model_info(target)


def _inspect(source: Path, to: str, trust_remote_code: bool) -> ModelFiles | OpenVinoModel:
    """Check the source model before anything is written."""
    if to == "openvino" and is_openvino(source):
        model = inspect_openvino(source)
        if model.path.suffix != ".gguf":
            raise ModelError(f"{source} is in OpenVINO's format already; use it as it is: --model {source}")
        return model
    files = inspect_model(source, trust_remote_code=trust_remote_code)
    if files.low_bit:
        raise ModelError(f"{source} is converted to {files.low_bit} already; use it as it is: --model {source}")
    if to == "openvino":
        from kb_assistant.llms.openvino.gguf_writer import check_family

        check_family(files)
    return files


def _convert(
    files: ModelFiles | OpenVinoModel, source: Path, target: Path, to: str, low_bit: str, notify: _Notify
) -> None:
    weights = files.weights if isinstance(files, ModelFiles) else (files.path,)
    needed = sum(path.stat().st_size for path in weights)
    if isinstance(files, ModelFiles):  # 16-bit copies of int4 weights, and of a rewritten family
        needed *= (4 if files.packed else 1) * (2 if files.family else 1)
    check_free_space(target.parent, needed)
    notify(f"converting {source.name} to {target}")
    record = {"made_from": str(source.resolve()), "weights_sha256": {path.name: content_hash(path) for path in weights}}
    with _as_full_weights(files, target, notify) as full:
        if to == "openvino" or isinstance(full, OpenVinoModel):
            _convert_for_openvino(full, target, record)
        else:
            _convert_for_ipex(full, target, low_bit, record)


@contextmanager
def _as_full_weights(
    files: ModelFiles | OpenVinoModel, target: Path, notify: _Notify
) -> Iterator[ModelFiles | OpenVinoModel]:
    """Give the model with 16-bit weights in a supported architecture, if need be in a temporary folder.

    GPTQ and AWQ weights are unpacked; families that are a Llama in other words are rewritten as one.
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
            notify(f"unpacking {files.packed} weights to 16 bits")
            unpack(files, work / "full")
            files = inspect_model(work / "full", trust_remote_code="auto_map" in files.config)
        if files.family:
            notify(f"rewriting the {files.family} model as a Llama; its own code is not run")
            write_as_llama(files, work / "llama")
            files = inspect_model(work / "llama")
        yield files
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _convert_for_ipex(files: ModelFiles, target: Path, low_bit: str, record: dict[str, Any]) -> None:
    from kb_assistant.llms.ipex.loading import convert

    trusted = "auto_map" in files.config  # `_inspect` refuses code that is not trusted
    record |= {"low_bit": low_bit, "ipex_llm": version("ipex-llm")}
    extra = {RECORD: json.dumps(record, ensure_ascii=False, indent=1)}
    convert(files.path, target, low_bit, trust_remote_code=trusted, extra=extra)


def _convert_for_openvino(files: ModelFiles | OpenVinoModel, target: Path, record: dict[str, Any]) -> None:
    from kb_assistant.llms.openvino.runtime import import_genai
    from kb_assistant.llms.openvino.saving import save_openvino

    import_genai()
    record |= {"openvino_genai": version("openvino-genai")}
    save_openvino(files, target, extra={RECORD: json.dumps(record, ensure_ascii=False, indent=1)})
