"""Checks that a folder holds a complete model, before anything reads its weights."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ingest import content_hash
from kb_assistant.errors import ModelError

__all__ = [
    "FAMILY",
    "INDEX",
    "LOW_BIT_INDEX",
    "LOW_BIT_KEY",
    "QUANTIZED",
    "RECORD",
    "ModelFiles",
    "inspect_model",
    "llama_family",
    "read_json",
    "tensor_names",
]

FAMILY = "kb_family"  # config key in which `llama_form` records the former family
LOW_BIT_KEY = "bigdl_transformers_low_bit"  # config key in which ipex-llm records the low-bit format
QUANTIZED = "quantization_config"  # config key for packed weights, such as GPTQ's
INDEX = "model.safetensors.index.json"
RECORD = "kb_model.json"  # file in a model's folder that records where it came from
LOW_BIT_INDEX = "pytorch_model.bin.index.json"  # the only index that ipex-llm looks for
_LLAMAS = {
    "InternLM2ForCausalLM": "internlm2",
    "ChatGLMModel": "chatglm",
    "ChatGLMForConditionalGeneration": "chatglm",
    "BaichuanForCausalLM": "baichuan",
    "BaiChuanForCausalLM": "baichuan",
}
_TOKENIZER_FILES = ("tokenizer.json", "tokenizer.model", "vocab.json")
_REMEDY = "pull one (kb models list --available shows names), or name the folder of a Qwen2, InternLM2 or Llama model"


@dataclass(frozen=True)
class ModelFiles:
    """A complete model folder: its config, and its weights if they are safetensors."""

    path: Path
    config: dict[str, Any]
    weights: tuple[Path, ...]

    @property
    def low_bit(self) -> str | None:
        """ipex-llm's low-bit format, if it saved the weights in one."""
        return self.config.get(LOW_BIT_KEY) or None

    @property
    def packed(self) -> str | None:
        """The method of another quantisation, such as "gptq" or "awq", if the weights have one."""
        return (self.config.get(QUANTIZED) or {}).get("quant_method")

    @property
    def family(self) -> str | None:
        """The family if it must be rewritten as a Llama; see `llama_family`."""
        return llama_family(self.config)


def llama_family(config: dict[str, Any]) -> str | None:
    """Return the family of a model that `llama_form` rewrites as a Llama; None for any other.

    The Python code in such a model's folder is never needed.
    """
    architectures = config.get("architectures")
    first = architectures[0] if isinstance(architectures, list) and architectures else None
    return _LLAMAS.get(first) if isinstance(first, str) else None


def inspect_model(path: Path, *, trust_remote_code: bool = False) -> ModelFiles:
    """Check the model folder `path`, without loading anything.

    Raises:
        ModelError: it is missing or incomplete, or brings code that is not trusted.
    """
    if not path.is_dir():
        raise ModelError(f"no model directory {path}; {_REMEDY}")
    if not (path / "config.json").is_file():
        raise ModelError(f"{path} is not a model directory: it has no config.json; {_REMEDY}")
    config = read_json(path / "config.json")
    brings_code = "auto_map" in config and not llama_family(config)
    if brings_code and not trust_remote_code:
        raise ModelError(
            f"the model {path} needs Python code from its folder, which would run on this machine; "
            "read the code, then allow it with trust_remote_code"
        )
    if brings_code:
        _check_code(path)
    weights = _weights(path, low_bit=bool(config.get(LOW_BIT_KEY)))
    if not any((path / name).is_file() for name in _TOKENIZER_FILES):
        raise ModelError(
            f"the model {path} has no tokenizer (none of {', '.join(_TOKENIZER_FILES)}); "
            "download these files from where the model comes from"
        )
    return ModelFiles(path, config, weights)


def _check_code(path: Path) -> None:
    """Refuse code that has changed since the model was pulled, if hashes were recorded."""
    if not (path / RECORD).is_file():
        return
    recorded = read_json(path / RECORD).get("files")
    if recorded is None:  # a converted model
        return
    for file in sorted(path.rglob("*.py")):
        name = file.relative_to(path).as_posix()
        if not isinstance(recorded, dict) or recorded.get(name) != content_hash(file):
            raise ModelError(
                f"{file} has changed since the model was pulled, or was added; read it, then remove {RECORD} "
                "to accept it, or pull the model again"
            )


def tensor_names(weights: Path) -> set[str]:
    """Return the names of the tensors in a safetensors file, after checking that it is complete.

    The format: eight bytes for the header's length, the header as JSON, the tensors.

    Raises:
        ModelError: the file is truncated or not a safetensors file.
    """
    with weights.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        size = weights.stat().st_size
        if length > size - 8:
            raise _broken(weights, f"its header should have {length:,} bytes, the file has {size:,}")
        try:
            header = json.loads(file.read(length))
            header.pop("__metadata__", None)
            expected = 8 + length + max((entry["data_offsets"][1] for entry in header.values()), default=0)
        except (ValueError, TypeError, KeyError, AttributeError, IndexError) as error:
            raise _broken(weights, "its header cannot be read") from error
    if size != expected:
        raise _broken(weights, f"it has {size:,} of {expected:,} bytes")
    return set(header)


def _weights(path: Path, *, low_bit: bool) -> tuple[Path, ...]:
    index = path / (LOW_BIT_INDEX if low_bit else INDEX)
    if index.is_file():
        weight_map = read_json(index).get("weight_map")
        if not isinstance(weight_map, dict) or not all(isinstance(name, str) for name in weight_map.values()):
            raise ModelError(f"{index} does not list the weight files; download it again")
        files = tuple(path / name for name in sorted(set(weight_map.values())))
    elif low_bit and (path / "pytorch_model.bin").is_file():
        return ()  # written by ipex-llm's save_low_bit; torch reads it without running pickled code
    else:
        files = (path / "model.safetensors",)
    missing = [file.name for file in files if not file.is_file()]
    if missing or not files:
        raise ModelError(_no_weights(path, missing))
    if any(file.suffix != ".safetensors" for file in files) and not low_bit:
        raise ModelError(_no_weights(path, []))
    for file in files:
        if file.suffix == ".safetensors":
            tensor_names(file)
    return tuple(file for file in files if file.suffix == ".safetensors")


def _no_weights(path: Path, missing: list[str]) -> str:
    pickles = sorted(file.name for file in path.iterdir() if file.suffix in {".bin", ".pt", ".pth", ".ckpt"})
    if pickles and missing in ([], ["model.safetensors"]):
        return (
            f"the model {path} has its weights only as {pickles[0]}, a format that can run code; "
            "kb takes safetensors only: download the model's .safetensors files"
        )
    return f"the model {path} lacks its weights: {missing[0] if missing else INDEX} is missing; download it again"


def read_json(file: Path) -> dict[str, Any]:
    """Return the JSON object in `file`.

    Raises:
        ModelError: the file is missing or cannot be read.
    """
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelError(f"cannot read {file}: {error}; download it again") from error
    if not isinstance(content, dict):
        raise ModelError(f"cannot read {file}: it is not a JSON object; download it again")
    return content


def _broken(weights: Path, reason: str) -> ModelError:
    return ModelError(f"the weights {weights} are broken: {reason}; download or convert the model again")
