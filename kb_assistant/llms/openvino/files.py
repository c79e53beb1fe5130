"""Recognises models for OpenVINO, and checks that one is complete before it is loaded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kb_assistant.errors import ModelError
from kb_assistant.llms.checkpoints.model_files import FAMILY, read_json
from kb_assistant.llms.openvino.gguf_header import read_gguf_header

__all__ = ["OpenVinoModel", "gguf_file", "inspect_openvino", "is_openvino"]

_MODELS = ("openvino_model", "openvino_language_model")
_TOKENIZERS = ("openvino_tokenizer", "openvino_detokenizer")
_FAMILIES = ("qwen2", "qwen3", "llama")
"""GGUF architectures that GenAI 2026.4 builds."""


@dataclass(frozen=True)
class OpenVinoModel:
    """A model for OpenVINO, before it is loaded.

    Attributes:
        path: the folder in OpenVINO's format, or the GGUF file.
        family: the model_type, such as "qwen2"; if the model was rewritten as a Llama, its former family.
        context_tokens: its longest prompt and answer together, in tokens.
        vocabulary: number of tokens in its vocabulary; None if not recorded.
        end_ids: tokens that end an answer, from the folder's settings; GenAI reads those of a GGUF file itself.
        added: control tokens named in tokenizer_config.json, with their ids.
    """

    path: Path
    family: str
    context_tokens: int
    vocabulary: int | None
    end_ids: frozenset[int] = frozenset()
    added: Mapping[str, int] = field(default_factory=dict)


def is_openvino(path: Path) -> bool:
    """Return whether `path` is a model for this engine: a folder in OpenVINO's format, or GGUF."""
    return _intermediate(path) is not None or gguf_file(path) is not None


def gguf_file(path: Path) -> Path | None:
    """Return `path` if it is a GGUF file, or the only GGUF file in the folder `path` if that has no other weights."""
    if path.suffix == ".gguf":
        return path
    if not path.is_dir() or any(path.glob("*.safetensors")):
        return None
    files = [file for file in path.iterdir() if file.suffix == ".gguf"]
    return files[0] if len(files) == 1 else None


def inspect_openvino(path: Path) -> OpenVinoModel:
    """Check the model `path`, without loading anything.

    Raises:
        ModelError: it is missing, incomplete, or of an unsupported family.
    """
    if not path.exists():
        raise ModelError(f"no model {path}; name the folder of an OpenVINO model, or a GGUF file")
    if name := _intermediate(path):
        return _inspect_folder(path, name)
    file = gguf_file(path)
    if file is None:
        raise ModelError(
            f"{path} is not a model for OpenVINO: it has neither openvino_model.xml nor a single GGUF file; "
            f"convert it: kb models convert {path} --to openvino"
        )
    return _inspect_gguf(file)


def _intermediate(path: Path) -> str | None:
    return next((name for name in _MODELS if (path / f"{name}.xml").is_file()), None)


def _inspect_folder(path: Path, name: str) -> OpenVinoModel:
    wanted = [f"{part}.{kind}" for part in (name, *_TOKENIZERS) for kind in ("xml", "bin")]
    for file in (*wanted, "config.json"):
        if not (path / file).is_file():
            raise ModelError(f"the model {path} is incomplete: {file} is missing; download or convert it again")
    config = read_json(path / "config.json")
    text = config.get("text_config") or config
    window, vocabulary = text.get("max_position_embeddings"), text.get("vocab_size")
    if not isinstance(window, int):
        raise ModelError(f"{path / 'config.json'} lacks max_position_embeddings; download or convert it again")
    generation = path / "generation_config.json"
    ends = _end_ids(config) | (_end_ids(read_json(generation)) if generation.is_file() else frozenset())
    family = config.get(FAMILY) or text.get("model_type", "")
    return OpenVinoModel(path, str(family), window, vocabulary, ends, _added(path / "tokenizer_config.json"))


def _added(file: Path) -> dict[str, int]:
    tokens = read_json(file).get("added_tokens_decoder", {}) if file.is_file() else {}
    try:
        return {str(token["content"]): int(number) for number, token in tokens.items()}
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ModelError(f"cannot read {file}: added_tokens_decoder is malformed; download it again") from error


def _end_ids(config: dict[str, Any]) -> frozenset[int]:
    ids = config.get("eos_token_id")
    return frozenset(ids if isinstance(ids, list) else [] if ids is None else [ids])


def _inspect_gguf(file: Path) -> OpenVinoModel:
    header = read_gguf_header(file)
    if header.architecture not in _FAMILIES:
        raise ModelError(
            f"{file} is of the family {header.architecture or 'unknown'!r}, and OpenVINO reads GGUF files of "
            f"{', '.join(_FAMILIES)} only; download the model as a folder in OpenVINO's format"
        )
    if header.context_tokens is None:
        raise ModelError(f"{file} lacks its context length; download it again")
    tokens = header.array_lengths.get("tokenizer.ggml.tokens")
    return OpenVinoModel(file, header.architecture, header.context_tokens, tokens)
