"""Checks that a directory holds a complete model before anything reads its weights."""

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

FAMILY = "kb_family"  # where `llama_form` notes what a Llama was before
LOW_BIT_KEY = "bigdl_transformers_low_bit"  # where ipex-llm notes the format of saved low-bit weights
QUANTIZED = "quantization_config"  # where transformers notes how weights are packed, such as by GPTQ
INDEX = "model.safetensors.index.json"
RECORD = "kb_model.json"  # what a model was made from or pulled from, in its folder
LOW_BIT_INDEX = "pytorch_model.bin.index.json"  # the only index that ipex-llm looks for
_LLAMAS = {
    "InternLM2ForCausalLM": "internlm2",
    "ChatGLMModel": "chatglm",
    "ChatGLMForConditionalGeneration": "chatglm",
    "BaichuanForCausalLM": "baichuan",
    "BaiChuanForCausalLM": "baichuan",
}
_TOKENIZER_FILES = ("tokenizer.json", "tokenizer.model", "vocab.json")
_GET_ONE = "copy the whole folder of a Qwen2, InternLM2 or Llama model to this machine and name it"


@dataclass(frozen=True)
class ModelFiles:
    """A model directory that has everything: its config, and its weights if they are safetensors."""

    path: Path
    config: dict[str, Any]
    weights: tuple[Path, ...]

    @property
    def low_bit(self) -> str | None:
        """The format of the weights where ipex-llm saved them in low bits, else None."""
        return self.config.get(LOW_BIT_KEY) or None

    @property
    def packed(self) -> str | None:
        """How the weights are packed by another quantisation, such as "gptq" or "awq"; else None."""
        return (self.config.get(QUANTIZED) or {}).get("quant_method")

    @property
    def family(self) -> str | None:
        """What it is called if it is a Llama in other words; see `llama_family`."""
        return llama_family(self.config)


def llama_family(config: dict[str, Any]) -> str | None:
    """Return the family of a model that `llama_form` writes as a Llama, by its config.json; None for any other.

    The Python code that such a model brings is never needed.
    """
    architectures = config.get("architectures")
    first = architectures[0] if isinstance(architectures, list) and architectures else None
    return _LLAMAS.get(first) if isinstance(first, str) else None


def inspect_model(path: Path, *, trust_remote_code: bool = False) -> ModelFiles:
    """Check the model directory `path`, without loading anything.

    Raises:
        ModelError: it is missing or incomplete, or brings code that is not trusted.
    """
    if not path.is_dir():
        raise ModelError(f"no model directory {path}; {_GET_ONE}")
    if not (path / "config.json").is_file():
        raise ModelError(f"{path} is not a model directory: it has no config.json; {_GET_ONE}")
    config = read_json(path / "config.json")
    brings_code = "auto_map" in config and not llama_family(config)
    if brings_code and not trust_remote_code:
        raise ModelError(
            f"the model {path} brings its own Python code, which would run on this machine; "
            "read it, then allow it with trust_remote_code"
        )
    if brings_code:
        _check_code(path)
    weights = _weights(path, low_bit=bool(config.get(LOW_BIT_KEY)))
    if not any((path / name).is_file() for name in _TOKENIZER_FILES):
        raise ModelError(
            f"the model {path} has no tokenizer (none of {', '.join(_TOKENIZER_FILES)}); "
            "fetch these files from where the model comes from"
        )
    return ModelFiles(path, config, weights)


def _check_code(path: Path) -> None:
    """Refuse code other than what was read and agreed to when the model was pulled, where that is recorded."""
    if not (path / RECORD).is_file():
        return
    recorded = read_json(path / RECORD).get("files")
    if recorded is None:  # a converted model's
        return
    for file in sorted(path.rglob("*.py")):
        name = file.relative_to(path).as_posix()
        if not isinstance(recorded, dict) or recorded.get(name) != content_hash(file):
            raise ModelError(
                f"{file} is not the code that came with the model: {RECORD} has another hash for it, or none; "
                f"read it, and if it is what you want, remove {RECORD}; else pull the model again"
            )


def tensor_names(weights: Path) -> set[str]:
    """Return the names of the tensors in a safetensors file, after checking that it is whole.

    The format: eight bytes with the length of the header, the header as JSON, the tensors.

    Raises:
        ModelError: the file is cut short or is no safetensors file.
    """
    with weights.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        size = weights.stat().st_size
        if length > size - 8:
            raise _broken(weights, f"its header should have {length:,} bytes and the file has {size:,}")
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
            raise ModelError(f"{index} does not say where the weights are; fetch it again")
        files = tuple(path / name for name in sorted(set(weight_map.values())))
    elif low_bit and (path / "pytorch_model.bin").is_file():
        return ()  # written by ipex-llm's own save_low_bit; torch reads it without unpickling code
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
            "only safetensors are accepted: fetch the model's .safetensors files"
        )
    return f"the model {path} lacks its weights: no {missing[0] if missing else INDEX}; fetch it again"


def read_json(file: Path) -> dict[str, Any]:
    """Return the JSON object in `file`.

    Raises:
        ModelError: there is none, or it cannot be read.
    """
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelError(f"cannot read {file}: {error}; fetch it again") from error
    if not isinstance(content, dict):
        raise ModelError(f"cannot read {file}: it is not a JSON object; fetch it again")
    return content


def _broken(weights: Path, reason: str) -> ModelError:
    return ModelError(f"the weights {weights} are broken: {reason}; fetch or convert the model again")
