"""Writes a Qwen2 or Llama in Hugging Face form as an int4 GGUF file, like llama.cpp's converter and quantizer."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kb_assistant.errors import ModelError
from kb_assistant.llms.checkpoints.model_files import ModelFiles, read_json
from kb_assistant.llms.openvino.runtime import EXTRA

if TYPE_CHECKING:
    from gguf import GGUFWriter

__all__ = ["check_family", "write_gguf"]

_FAMILIES = ("qwen2", "llama")
_REWRITTEN_AS_LLAMA = ("internlm2", "baichuan")
_UNSUPPORTED = ("use_sliding_window", "rope_scaling", "attention_bias", "mlp_bias")
_EMBEDDINGS = ("token_embd.weight", "output.weight")
_BLOCK = 32  # weights per scale; rows that are not a multiple of it stay in 16 bits


def write_gguf(files: ModelFiles, file: Path, *, kind: str = "Q4_0", embedding_kind: str = "Q8_0") -> None:
    """Write the full weights of `files`, and for a Qwen2 its tokenizer, to `file`.

    Args:
        files: a Qwen2, Qwen2.5, Qwen1.5 or Llama in Hugging Face form.
        file: the GGUF file; overwritten if it exists.
        kind: ggml's format for matrices.
        embedding_kind: the format for the embeddings and the head, which lose most from few bits.

    Raises:
        ModelError: the model is of another family, or its tokenizer cannot be read.
        OSError: the file cannot be written.
    """
    try:
        import gguf
    except ImportError as error:
        raise ModelError(f"cannot write GGUF: {error}; install it with `{EXTRA}`") from error
    config = files.config
    check_family(files)
    family, heads = config["model_type"], config["num_attention_heads"]
    shared = config.get("num_key_value_heads") or heads
    writer = gguf.GGUFWriter(file, family)
    writer.add_file_type(gguf.LlamaFileType[f"MOSTLY_{kind}"])
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(heads)
    writer.add_head_count_kv(shared)
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    writer.add_rope_freq_base(config.get("rope_theta", 10_000.0))
    if family == "qwen2":
        _add_tokenizer(writer, files)
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH[family.upper()], config["num_hidden_layers"])
    for name, tensor in _tensors(files.weights):
        short = names.get_name(name, try_suffixes=(".weight", ".bias"))
        if short is None:
            raise ModelError(
                f"{files.path} has the tensor {name}, which is unknown in a {family}; download the model again"
            )
        if family == "llama" and short.endswith(("attn_q.weight", "attn_k.weight")):
            tensor = _interleaved(tensor, heads if short.endswith("attn_q.weight") else shared)
        if tensor.ndim == 1:
            writer.add_tensor(short, tensor)
        else:
            whole = tensor.shape[1] % _BLOCK == 0
            wanted = gguf.GGMLQuantizationType[(embedding_kind if short in _EMBEDDINGS else kind) if whole else "F16"]
            writer.add_tensor(short, gguf.quantize(tensor, wanted), raw_dtype=wanted)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def check_family(files: ModelFiles) -> None:
    """Refuse models that GGUF cannot express.

    Raises:
        ModelError: the model is of another family, or has a property that GGUF lacks.
    """
    config = files.config
    if files.family in _REWRITTEN_AS_LLAMA:
        return  # checked again as a Llama
    family = files.family or config.get("model_type")
    if family not in _FAMILIES:
        families = ", ".join((*_FAMILIES, *_REWRITTEN_AS_LLAMA))
        raise ModelError(
            f"cannot convert {files.path} of the family {family!r}, only {families}; docs/models.md shows how "
            "optimum-intel converts it"
        )
    if unsupported := [name for name in _UNSUPPORTED if config.get(name)]:
        raise ModelError(
            f"cannot convert {files.path} with {unsupported[0]} in its config.json; docs/models.md shows how "
            "optimum-intel converts it"
        )


def _interleaved(tensor: Any, heads: int) -> Any:
    """Put the two rows of each rotary pair, which lie half a head apart, next to each other."""
    return tensor.reshape(heads, 2, -1, tensor.shape[1]).swapaxes(1, 2).reshape(tensor.shape)


def _tensors(weights: tuple[Path, ...]) -> Iterator[tuple[str, Any]]:
    """Yield names and float32 arrays, one at a time; torch reads them, since numpy has no bfloat16."""
    from safetensors import safe_open

    for file in weights:
        with safe_open(file, framework="pt") as tensors:
            for name in tensors.keys():  # noqa: SIM118 - not a dict
                yield name, tensors.get_tensor(name).float().numpy()


def _add_tokenizer(writer: GGUFWriter, files: ModelFiles) -> None:
    """Add the byte-level BPE, with one token per row of the embedding."""
    from gguf import TokenType

    model, added = _read_tokenizer(files.path)
    rows = files.config["vocab_size"]
    largest = max([*model["vocab"].values(), *(entry["id"] for entry in added)])
    if largest >= rows:
        raise ModelError(
            f"the tokenizer in {files.path} does not belong to the model: it has token {largest:,}, "
            f"and the model has {rows:,}; download both from the same place"
        )
    tokens = [f"[PAD{number}]" for number in range(rows)]
    kinds = [int(TokenType.UNUSED)] * rows
    for token, number in model["vocab"].items():
        tokens[number], kinds[number] = token, int(TokenType.NORMAL)
    for entry in added:
        kind = TokenType.CONTROL if entry["special"] else TokenType.USER_DEFINED
        tokens[entry["id"]], kinds[entry["id"]] = entry["content"], int(kind)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("qwen2")
    writer.add_token_list(tokens)
    writer.add_token_types(kinds)
    # Newer files write a merge as a list of two strings.
    writer.add_token_merges([merge if isinstance(merge, str) else " ".join(merge) for merge in model["merges"]])
    writer.add_eos_token_id(_end_id(files))
    writer.add_add_bos_token(False)
    if template := _chat_template(files.path):
        writer.add_chat_template(template)


def _read_tokenizer(path: Path) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Return the BPE model and the added tokens, read directly: transformers 4.44 cannot read the newest files."""
    file = path / "tokenizer.json"
    if file.is_file():
        content = read_json(file)
    else:
        from transformers import AutoTokenizer

        tokenizer = AutoTokenizer.from_pretrained(path, local_files_only=True)
        content = json.loads(tokenizer.backend_tokenizer.to_str())
    model = content.get("model", {})
    if model.get("type") != "BPE" or not model.get("merges"):
        raise ModelError(
            f"the tokenizer of {path} is not a byte-level BPE, as in every Qwen2; download the model again"
        )
    return model, content.get("added_tokens", [])


def _end_id(files: ModelFiles) -> int:
    """The token that ends an answer; generation_config.json names the chat's first."""
    generation = files.path / "generation_config.json"
    for config in (read_json(generation) if generation.is_file() else {}, files.config):
        ends = config.get("eos_token_id")
        if ends is not None:
            return int(ends[0] if isinstance(ends, list) else ends)
    raise ModelError(f"{files.path / 'config.json'} lacks eos_token_id; download the model again")


def _chat_template(path: Path) -> str:
    own, config = path / "chat_template.jinja", path / "tokenizer_config.json"
    if own.is_file():
        return own.read_text(encoding="utf-8")
    template = read_json(config).get("chat_template") if config.is_file() else None
    return template if isinstance(template, str) else ""
