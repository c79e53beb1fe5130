"""Loads models and tokenizers through ipex-llm, converts weights to low bits, and saves them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kb_assistant.errors import ModelError, UsageError
from kb_assistant.llms.checkpoints.atomic_folder import write_atomically
from kb_assistant.llms.checkpoints.model_files import INDEX, LOW_BIT_INDEX, ModelFiles, inspect_model, tensor_names
from kb_assistant.llms.checkpoints.tokenizers import load_tokenizer
from kb_assistant.llms.ipex.building import skip_redundant_work, without_sentence_transformers
from kb_assistant.llms.ipex.runtime import activation_dtype, import_ipex, quiet
from kb_assistant.machine import Machine

__all__ = ["CPU_LOW_BITS", "check_memory", "convert", "load_low_bit"]

# The formats that ipex-llm 2.2.0 runs on a CPU; nf4, fp4 and fp8 fail there, and fp6 crashes the process.
CPU_LOW_BITS = ("sym_int4", "asym_int4", "sym_int5", "sym_int8", "woq_int4", "bf16")


_WORKSPACE_BYTES = 1_500_000_000
"""Memory that ipex-llm and a prompt of some thousand tokens need beside the weights."""


def check_memory(files: ModelFiles, low_bit: str, machine: Machine) -> None:
    """Check that a model fits into memory, before its weights are read.

    Measured with 1.5 billion parameters, 3.1 GB in 16 bits: converting peaks at 5.9 GB; loading the converted int4
    model takes 2.1 GB, of which 1.0 GB are weights.

    Raises:
        ModelError: it does not fit.
    """
    converted = 1.6 if machine.computes_bfloat16 or low_bit == "bf16" else 2.1
    weights = sum(file.stat().st_size for file in files.weights)
    needed = int(weights * (1.0 if files.low_bit else converted)) + _WORKSPACE_BYTES
    if needed > machine.free_bytes:
        need = f"{files.path} needs about {needed / 1e9:.1f} GB of memory, {machine.free_bytes / 1e9:.1f} GB are free"
        if files.low_bit:
            raise ModelError(f"{need}; close other programs, or use a smaller model")
        raise ModelError(
            f"{need}; close other programs, convert it on a larger machine (kb models convert), or use a smaller model"
        )


def load_low_bit(path: Path, low_bit: str, *, trust_remote_code: bool) -> tuple[Any, Any, str]:
    """Return the model in `path`, its tokenizer, and the format of its weights.

    Raises:
        ModelError: the model is missing, incomplete, broken or refused.
        UsageError: low_bit is unknown.
    """
    if low_bit not in CPU_LOW_BITS:
        raise UsageError(f"unknown low_bit {low_bit!r}; a CPU can run {', '.join(CPU_LOW_BITS)}")
    files = inspect_model(path, trust_remote_code=trust_remote_code)
    if files.low_bit not in (None, *CPU_LOW_BITS):
        raise ModelError(
            f"{path} is converted to {files.low_bit}, which a CPU cannot run; "
            f"convert it again to one of: {', '.join(CPU_LOW_BITS)}"
        )
    if files.packed:
        raise ModelError(
            f"{path} has {files.packed} weights; convert it once: kb models convert {path} --low-bit sym_int8"
        )
    if files.family:
        raise ModelError(f"{path} is a model of the {files.family} family; convert it once: kb models convert {path}")
    check_memory(files, low_bit, Machine.read())
    auto_model = import_ipex()
    skip_redundant_work()
    with quiet(), without_sentence_transformers():
        tokenizer = load_tokenizer(path, trust_remote_code=trust_remote_code)
        model = _load_weights(auto_model, files, low_bit, trust_remote_code)
    return model, tokenizer, files.low_bit or low_bit


def convert(
    source: Path,
    target: Path,
    low_bit: str = "sym_int4",
    *,
    trust_remote_code: bool = False,
    extra: Mapping[str, str] | None = None,
) -> None:
    """Write the model in `source` to the new directory `target` in low bits, completely or not at all.

    Args:
        source: a Hugging Face model directory.
        target: the new directory.
        low_bit: one of `CPU_LOW_BITS`.
        trust_remote_code: run Python code from the model's folder.
        extra: further text files to write there, by name.

    Raises:
        ModelError: the model is missing, incomplete, broken or refused; `target` exists or cannot be written.
        UsageError: low_bit is unknown.
    """
    with write_atomically(target) as unfinished:
        model, tokenizer, _ = load_low_bit(source, low_bit, trust_remote_code=trust_remote_code)
        with quiet():
            _write(model, tokenizer, unfinished, extra or {})


def _load_weights(auto_model: Any, files: ModelFiles, low_bit: str, trust_remote_code: bool) -> Any:
    options = {"local_files_only": True, "trust_remote_code": trust_remote_code}
    saved = files.low_bit
    try:
        if saved:
            model = auto_model.load_low_bit(str(files.path), torch_dtype=_dtype(saved), **options)
        else:
            _check_tensors(files, trust_remote_code)
            model = auto_model.from_pretrained(
                str(files.path),
                load_in_low_bit=low_bit,
                torch_dtype=_dtype(low_bit),
                use_safetensors=True,
                **options,
            )
    except ModelError:
        raise
    except Exception as error:
        raise ModelError(
            f"cannot load the model {files.path}: {_reason(error)}; "
            "it may be incomplete, or of a family that ipex-llm 2.2.0 does not support"
        ) from error
    if missing := [name for name, tensor in model.state_dict().items() if tensor.is_meta]:
        raise _incomplete(files.path, missing)
    return model.eval()


def _dtype(low_bit: str) -> Any:
    if low_bit == "bf16":
        import torch

        return torch.bfloat16
    return activation_dtype()


def _check_tensors(files: ModelFiles, trust_remote_code: bool) -> None:
    """Check that no weights are missing: transformers would fill gaps with random numbers."""
    from accelerate import init_empty_weights
    from transformers import AutoConfig, AutoModelForCausalLM

    config = AutoConfig.from_pretrained(files.path, local_files_only=True, trust_remote_code=trust_remote_code)
    with init_empty_weights():
        model = AutoModelForCausalLM.from_config(config, trust_remote_code=trust_remote_code)
    present = set().union(*map(tensor_names, files.weights))
    tied = set(getattr(model, "_tied_weights_keys", None) or ()) if config.tie_word_embeddings else set()
    if missing := sorted(set(model.state_dict()) - present - tied):
        raise _incomplete(files.path, missing)


def _write(model: Any, tokenizer: Any, directory: Path, extra: Mapping[str, str]) -> None:
    """Write what ipex-llm's save_low_bit writes, but as safetensors instead of a pickle.

    ipex-llm's loader looks for a single index file, and reads the files that it names.
    """
    model.save_pretrained(directory, state_dict=_unshared(model.state_dict()), safe_serialization=True)
    tokenizer.save_pretrained(directory)
    index = directory / INDEX
    if index.is_file():
        weight_map = json.loads(index.read_text(encoding="utf-8"))["weight_map"]
    else:
        single = directory / "model.safetensors"
        weight_map = dict.fromkeys(sorted(tensor_names(single)), single.name)
    content = json.dumps({"metadata": {}, "weight_map": weight_map}, indent=1)
    (directory / LOW_BIT_INDEX).write_text(content, encoding="utf-8")
    for name, text in extra.items():
        (directory / name).write_text(text, encoding="utf-8")


def _unshared(tensors: dict[str, Any]) -> dict[str, Any]:
    """Copy tensors that share memory with another, of which safetensors would drop the second.

    In bf16 a tied head is the embedding itself; loaded from disk, ipex-llm unties them.
    """
    seen: set[int] = set()
    for name, tensor in tensors.items():
        tensors[name] = tensor.clone() if tensor.data_ptr() in seen else tensor
        seen.add(tensor.data_ptr())
    return tensors


def _incomplete(path: Path, missing: list[str]) -> ModelError:
    return ModelError(f"the model {path} lacks {len(missing)} of its tensors, such as {missing[0]}; download it again")


def _reason(error: Exception) -> str:
    """The first line of an error; the rest is advice about Python calls."""
    return (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")
