"""Tells which model folders and files are for OpenVINO, and checks that one is complete before it is loaded."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from kb_assistant.errors import ModelError
from kb_assistant.llms.gguf_header import read_gguf_header
from kb_assistant.llms.model_files import read_json

__all__ = ["OpenVinoModel", "gguf_file", "inspect_openvino", "is_openvino"]

_MODELS = ("openvino_model", "openvino_language_model")
_TOKENIZERS = ("openvino_tokenizer", "openvino_detokenizer")
_FAMILIES = ("qwen2", "qwen3", "llama")
"""GGUF architectures that GenAI 2026.4 builds."""


@dataclass(frozen=True)
class OpenVinoModel:
    """What is known of a model before it is loaded.

    Attributes:
        path: the folder with OpenVINO's own files, or the GGUF file.
        family: the model_type, such as "qwen2".
        context_tokens: how many tokens it reads at once.
        vocabulary: how many tokens it knows; None where that is not said.
    """

    path: Path
    family: str
    context_tokens: int
    vocabulary: int | None


def is_openvino(path: Path) -> bool:
    """Tell whether `path` is a model for this engine: a folder of OpenVINO's own files, or GGUF."""
    return _intermediate(path) is not None or gguf_file(path) is not None


def gguf_file(path: Path) -> Path | None:
    """Return the GGUF file that `path` is, or the only one in the folder `path` if that has no other weights."""
    if path.suffix == ".gguf":
        return path
    if not path.is_dir() or any(path.glob("*.safetensors")):
        return None
    files = [file for file in path.iterdir() if file.suffix == ".gguf"]
    return files[0] if len(files) == 1 else None


def inspect_openvino(path: Path) -> OpenVinoModel:
    """Check the model `path`, without loading anything.

    Raises:
        ModelError: it is missing or incomplete, or of a family that is not known.
    """
    if not path.exists():
        raise ModelError(f"no model {path}; give the folder of an OpenVINO model, or a GGUF file")
    if name := _intermediate(path):
        return _inspect_folder(path, name)
    file = gguf_file(path)
    if file is None:
        raise ModelError(
            f"{path} is no model for OpenVINO: it has neither openvino_model.xml nor just one GGUF file; "
            f"make one with: kb models convert {path} --to openvino"
        )
    return _inspect_gguf(file)


def _intermediate(path: Path) -> str | None:
    return next((name for name in _MODELS if (path / f"{name}.xml").is_file()), None)


def _inspect_folder(path: Path, name: str) -> OpenVinoModel:
    wanted = [f"{part}.{kind}" for part in (name, *_TOKENIZERS) for kind in ("xml", "bin")]
    for file in (*wanted, "config.json"):
        if not (path / file).is_file():
            raise ModelError(f"the model {path} is incomplete: no {file}; fetch or convert it again")
    config = read_json(path / "config.json")
    text = config.get("text_config") or config
    window, vocabulary = text.get("max_position_embeddings"), text.get("vocab_size")
    if not isinstance(window, int):
        raise ModelError(f"{path / 'config.json'} does not say max_position_embeddings; fetch or convert it again")
    return OpenVinoModel(path, str(text.get("model_type", "")), window, vocabulary)


def _inspect_gguf(file: Path) -> OpenVinoModel:
    header = read_gguf_header(file)
    if header.architecture not in _FAMILIES:
        raise ModelError(
            f"the model {file} is of the family {header.architecture or 'unknown'!r}, and OpenVINO reads GGUF of "
            f"{', '.join(_FAMILIES)}; fetch it as a folder of OpenVINO's own files"
        )
    if header.context_tokens is None:
        raise ModelError(f"the model {file} does not say how much it reads at once; fetch it again")
    tokens = header.array_lengths.get("tokenizer.ggml.tokens")
    return OpenVinoModel(file, header.architecture, header.context_tokens, tokens)
