"""Makes a folder of OpenVINO's own files, which loads in seconds, from a GGUF file or from full weights of a Qwen2."""

from __future__ import annotations

import json
from pathlib import Path

from kb_assistant.errors import ModelError
from kb_assistant.llms.gguf_writing import write_gguf
from kb_assistant.llms.model_files import ModelFiles
from kb_assistant.llms.openvino_files import OpenVinoModel, inspect_openvino
from kb_assistant.llms.openvino_runtime import import_genai, reason
from kb_assistant.llms.writing import written_whole

__all__ = ["save_openvino"]


def save_openvino(source: ModelFiles | OpenVinoModel, target: Path, extra: dict[str, str]) -> None:
    """Write the model to the new directory `target`, whole or not at all.

    Args:
        source: full weights in Hugging Face form, or a GGUF file.
        target: the directory, which must not exist.
        extra: texts of further files to write with it, by name.

    Raises:
        ModelError: the model is of a kind that cannot be converted here, or nothing can be written.
    """
    import_genai()
    with written_whole(target) as unfinished:
        _write(source, unfinished)
        for name, text in extra.items():
            (unfinished / name).write_text(text, encoding="utf-8")


def _write(source: ModelFiles | OpenVinoModel, folder: Path) -> None:
    """Let GenAI write its files: it does so beside the GGUF file that it loads."""
    file = folder / "model.gguf"
    if isinstance(source, ModelFiles):
        write_gguf(source, file)
    else:
        file.symlink_to(source.path.absolute())
    model = inspect_openvino(file)
    try:
        pipeline = import_genai().LLMPipeline(str(file), "CPU", enable_save_ov_model=True)
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
    }
    (folder / "config.json").write_text(json.dumps(config, indent=1), encoding="utf-8")
