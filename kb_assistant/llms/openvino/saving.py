"""Converts a GGUF file or full weights to a folder in OpenVINO's format, which loads in seconds."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from kb_assistant.errors import ModelError
from kb_assistant.llms.checkpoints.atomic_folder import write_atomically
from kb_assistant.llms.checkpoints.model_files import FAMILY, ModelFiles
from kb_assistant.llms.checkpoints.tokenizers import load_tokenizer
from kb_assistant.llms.openvino.files import OpenVinoModel, inspect_openvino
from kb_assistant.llms.openvino.gguf_writer import write_gguf
from kb_assistant.llms.openvino.runtime import import_genai, reason

__all__ = ["save_openvino"]


def save_openvino(source: ModelFiles | OpenVinoModel, target: Path, extra: dict[str, str]) -> None:
    """Write the model to the new directory `target`, completely or not at all.

    Args:
        source: full weights in Hugging Face form, or a GGUF file.
        target: the new directory.
        extra: further text files to write there, by name.

    Raises:
        ModelError: the model cannot be converted or written.
    """
    import_genai()
    with write_atomically(target) as unfinished:
        _write(source, unfinished)
        for name, text in extra.items():
            (unfinished / name).write_text(text, encoding="utf-8")


def _write(source: ModelFiles | OpenVinoModel, folder: Path) -> None:
    """Let GenAI write its files, which it puts beside the GGUF file that it loads."""
    genai, file = import_genai(), folder / "model.gguf"
    known: dict[str, Any] = {}
    tokenizer: list[Any] = []
    if isinstance(source, ModelFiles):
        write_gguf(source, file)
        known = {key: source.config[key] for key in ("vocab_size", FAMILY) if key in source.config}
        if source.config["model_type"] == "llama":  # a Qwen2's GGUF file holds its tokenizer
            tokenizer.append(_tokenizer(source.path, folder))
    else:
        file.symlink_to(source.path.absolute())
    model = inspect_openvino(file)
    try:
        pipeline = genai.LLMPipeline(str(file), *tokenizer, "CPU", enable_save_ov_model=True)
        end = pipeline.get_tokenizer().get_eos_token_id()
    except RuntimeError as error:
        raise ModelError(f"OpenVINO cannot convert {source.path}: {reason(error)}") from error
    file.unlink()
    config = {
        "architectures": [f"{model.family.title()}ForCausalLM"],
        "model_type": model.family,
        "max_position_embeddings": model.context_tokens,
        "vocab_size": model.vocabulary,
        "eos_token_id": end if end >= 0 else None,
        **known,
    }
    (folder / "config.json").write_text(json.dumps(config, indent=1), encoding="utf-8")


def _tokenizer(source: Path, folder: Path) -> Any:
    """Convert the tokenizer in `source` to OpenVINO's format, giving the same tokens for the same text, and load it."""
    import openvino
    import openvino_tokenizers

    tokenizer = load_tokenizer(source)
    tokenizer.save_pretrained(folder)  # for the names of its control tokens
    # GenAI can leave out a beginning-of-text token on request, but not SentencePiece's.
    try:
        made = openvino_tokenizers.convert_tokenizer(
            tokenizer, with_detokenizer=True, add_special_tokens=tokenizer.is_fast, skip_special_tokens=True
        )
        for name, model in zip(("openvino_tokenizer", "openvino_detokenizer"), made, strict=True):
            openvino.save_model(model, folder / f"{name}.xml")
        return import_genai().Tokenizer(str(folder))
    except Exception as error:  # an unsupported tokenizer raises errors of any type
        raise ModelError(f"OpenVINO cannot convert the tokenizer of {source}: {reason(error)}") from error
