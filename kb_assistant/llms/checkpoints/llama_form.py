"""Rewrites InternLM2, ChatGLM3 and Baichuan2 models as Llama models.

These families compute what Llama computes, and differ only in how weights are named, merged and ordered. Renaming and
reordering the weights makes the Python code in their folders unnecessary.
Sources: the papers (https://arxiv.org/abs/2403.17297, https://arxiv.org/abs/2406.12793,
https://arxiv.org/abs/2309.10305), and the forward passes that ipex-llm has for these families.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kb_assistant.errors import ModelError
from kb_assistant.llms.checkpoints.model_files import FAMILY, INDEX, ModelFiles, read_json

__all__ = ["adapter_as_llama", "write_as_llama"]

_TOKENIZER, _TOKENIZER_CONFIG, _GENERATION = "tokenizer.model", "tokenizer_config.json", "generation_config.json"
_SPECIAL = ("bos_token", "eos_token", "unk_token", "pad_token", "add_bos_token")
_BAICHUAN2_VOCABULARY = 125_696
"""Identifies Baichuan2, whose head normalises its rows, as ipex-llm does too."""
_NO_ROTATION = 1e30
"""A rotary factor so large that a position rotates nothing."""


@dataclass(frozen=True)
class _Shape:
    """The numbers of query heads and of key-value heads, and the rows of a head."""

    heads: int
    groups: int
    width: int


@dataclass(frozen=True)
class _Family:
    """How a family differs from Llama.

    Attributes:
        names: its layer names that differ, with Llama's.
        config: makes Llama's config.json from its own, or raises ModelError.
        tensors: splits and reorders a tensor; yields the parts under the family's names.
        added_tokens: control tokens by id that the tokenizer's files do not name.
    """

    names: Mapping[str, str]
    config: Callable[[Mapping[str, Any]], dict[str, Any]]
    tensors: Callable[[str, Any, _Shape], Iterator[tuple[str, Any]]]
    added_tokens: Mapping[int, str]


def write_as_llama(files: ModelFiles, target: Path) -> None:
    """Write a model of one of these families into the new folder `target`, as a Llama.

    Raises:
        ModelError: this kind of the family is unsupported, or the model is incomplete.
    """
    try:
        _write_model(files, target, str(files.family))
    except (ArithmeticError, LookupError, RuntimeError, TypeError, ValueError) as error:
        raise ModelError(f"the files in {files.path} do not fit together: {error!r}; download it again") from error


def _write_model(files: ModelFiles, target: Path, name: str) -> None:
    from safetensors import safe_open
    from safetensors.torch import save_file

    family = _FAMILIES[name]
    config = family.config(files.config)
    shape = _shape(config["num_attention_heads"], config["num_key_value_heads"], config["hidden_size"])
    target.mkdir()
    weight_map: dict[str, str] = {}
    for file in files.weights:
        written: dict[str, Any] = {}
        with safe_open(str(file), framework="pt") as tensors:
            for key in tensors.keys():  # noqa: SIM118 - not a dict
                written.update(_as_llama(family, key, tensors.get_tensor(key), shape))
        save_file({key: tensor.contiguous() for key, tensor in written.items()}, target / file.name, {"format": "pt"})
        weight_map.update(dict.fromkeys(written, file.name))
    _write(target / INDEX, {"metadata": {}, "weight_map": weight_map})
    _write(target / "config.json", {**config, FAMILY: name})
    _write_tokenizer(files.path, target, family)


def adapter_as_llama(layer: str, up: Any, config: Any) -> dict[str, Any]:
    """Translate a LoRA adapter's `up` matrix for a layer of the original model to the Llama's layers.

    Args:
        layer: the layer's name in the original model.
        up: of shape (out, rank); its rows are ordered like the original layer's weights.
        config: the Llama's configuration.
    """
    shape = _shape(config.num_attention_heads, config.num_key_value_heads, config.hidden_size)
    pairs = _as_llama(_FAMILIES[getattr(config, FAMILY)], f"{layer}.weight", up, shape)
    return {name.removesuffix(".weight"): part for name, part in pairs if name.endswith(".weight")}


def _shape(heads: int, groups: int, size: int) -> _Shape:
    return _Shape(heads, groups, size // heads)


def _as_llama(family: _Family, name: str, tensor: Any, shape: _Shape) -> Iterator[tuple[str, Any]]:
    for own, part in family.tensors(name, tensor, shape):
        llama = own
        for old, new in family.names.items():
            llama = re.sub(rf"(?<![^.]){re.escape(old)}(?=\.)", new, llama)
        yield llama, part


def _llama(config: Mapping[str, Any], **own: Any) -> dict[str, Any]:
    same = ("hidden_size", "num_attention_heads", "torch_dtype", "bos_token_id", "eos_token_id", "pad_token_id")
    return {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "hidden_act": "silu",
        "tie_word_embeddings": False,
        **{key: config[key] for key in same if key in config},
        **own,
    }


def _check(config: Mapping[str, Any], **expected: Any) -> None:
    for key, value in expected.items():
        if config.get(key, value) != value:
            raise ModelError(
                f"the model has {key} {config[key]!r} in its config.json, only {value!r} works; choose another model"
            )


def _internlm2_config(config: Mapping[str, Any]) -> dict[str, Any]:
    _check(config, hidden_act="silu", tie_word_embeddings=False)
    scaling = config.get("rope_scaling") or {}
    if scaling.get("type", "dynamic") != "dynamic":  # "dynamic" only applies beyond the context, which is never used
        _check(config, rope_scaling=None)
    same = ("intermediate_size", "max_position_embeddings", "num_hidden_layers", "rms_norm_eps", "vocab_size")
    return _llama(
        config,
        attention_bias=bool(config.get("bias")),
        num_key_value_heads=config.get("num_key_value_heads") or config["num_attention_heads"],
        rope_theta=float(config.get("rope_theta", 10_000)),
        **{key: config[key] for key in same},
    )


def _internlm2_tensors(name: str, tensor: Any, shape: _Shape) -> Iterator[tuple[str, Any]]:
    if ".attention.wqkv." not in name:
        yield name, tensor
        return
    # Each key and value head follows the query heads that share it.
    joined = tensor.unflatten(0, (shape.groups, shape.heads // shape.groups + 2, shape.width))
    for part, rows in (("q", joined[:, :-2]), ("k", joined[:, -2:-1]), ("v", joined[:, -1:])):
        yield name.replace("attention.wqkv", f"self_attn.{part}_proj"), rows.flatten(0, 2)


def _chatglm_config(config: Mapping[str, Any]) -> dict[str, Any]:
    if "multi_query_group_num" not in config or "chatglm2" in str(config.get("_name_or_path")).lower():
        raise ModelError("the model is an older ChatGLM, only ChatGLM3 is supported; choose that")
    heads = config["num_attention_heads"]
    width = config["hidden_size"] // heads
    _check(
        config, rmsnorm=True, post_layer_norm=True, apply_residual_connection_post_layernorm=False, kv_channels=width
    )
    _check(config, multi_query_attention=True, add_bias_linear=False, original_rope=True)
    theta = 10_000.0 * float(config.get("rope_ratio", 1))
    # Positions rotate only the first half of a head, with the frequencies of a head of that size.
    paces = [theta ** (2 * pair / width) for pair in range(width // 4)]
    factors = [*paces, *[_NO_ROTATION] * (width // 2 - len(paces))]
    return _llama(
        config,
        attention_bias=bool(config.get("add_qkv_bias")),
        intermediate_size=config["ffn_hidden_size"],
        max_position_embeddings=config["seq_length"],
        num_hidden_layers=config["num_layers"],
        num_key_value_heads=config["multi_query_group_num"],
        rms_norm_eps=config["layernorm_epsilon"],
        vocab_size=config["padded_vocab_size"],
        rope_theta=theta,
        rope_scaling={
            "rope_type": "longrope",
            "factor": 1.0,
            "attention_factor": 1.0,
            "short_factor": factors,
            "long_factor": factors,
        },
    )


def _chatglm_tensors(name: str, tensor: Any, shape: _Shape) -> Iterator[tuple[str, Any]]:
    if ".self_attention.query_key_value." in name:
        sizes = [heads * shape.width for heads in (shape.heads, shape.groups, shape.groups)]
        order = _chatglm_order(shape.width)
        for part, rows in zip("qkv", tensor.split(sizes), strict=True):
            ordered = rows if part == "v" else rows.unflatten(0, (-1, shape.width))[:, order].flatten(0, 1)
            yield name.replace("self_attention.query_key_value", f"self_attn.{part}_proj"), ordered
    elif ".mlp.dense_h_to_4h." in name:
        for part, rows in zip(("gate", "up"), tensor.chunk(2), strict=True):
            yield name.replace("dense_h_to_4h", f"{part}_proj"), rows
    elif name.endswith(".self_attention.dense.weight"):
        yield name, tensor
        # A Llama with attention biases also has one after its attention.
        yield name.replace(".weight", ".bias"), tensor.new_zeros(len(tensor))
    elif not name.endswith(".inv_freq"):
        yield name, tensor


def _chatglm_order(width: int) -> list[int]:
    """The original row of each row of a head.

    ChatGLM rotates neighbouring rows of the first half; Llama rotates rows half a head apart. The other rows fill both
    halves.
    """
    rotated, fixed = width // 2, range(width // 2, width)
    half = len(fixed) // 2
    return [*range(0, rotated, 2), *fixed[:half], *range(1, rotated, 2), *fixed[half:]]


def _baichuan_config(config: Mapping[str, Any]) -> dict[str, Any]:
    if "max_position_embeddings" not in config:
        raise ModelError(
            "the model is a Baichuan of 13 billion parameters, only those of 7 billion are supported; choose one"
        )
    _check(config, hidden_act="silu", tie_word_embeddings=False)
    same = ("intermediate_size", "max_position_embeddings", "num_hidden_layers", "rms_norm_eps", "vocab_size")
    groups = config["num_attention_heads"]
    return _llama(config, num_key_value_heads=groups, rope_theta=10_000.0, **{key: config[key] for key in same})


def _baichuan_tensors(name: str, tensor: Any, shape: _Shape) -> Iterator[tuple[str, Any]]:
    from torch.nn import functional

    if ".self_attn.W_pack." in name:
        for part, rows in zip("qkv", tensor.split(shape.heads * shape.width), strict=True):
            yield name.replace("W_pack", f"{part}_proj"), rows
    elif name == "lm_head.weight" and len(tensor) == _BAICHUAN2_VOCABULARY:
        yield name, functional.normalize(tensor.float()).to(tensor.dtype)
    elif not name.endswith(".inv_freq"):
        yield name, tensor


_FAMILIES = {
    "internlm2": _Family(
        names={
            "tok_embeddings": "embed_tokens",
            "attention_norm": "input_layernorm",
            "ffn_norm": "post_attention_layernorm",
            "attention.wo": "self_attn.o_proj",
            "feed_forward.w1": "mlp.gate_proj",
            "feed_forward.w3": "mlp.up_proj",
            "feed_forward.w2": "mlp.down_proj",
            "output": "lm_head",
        },
        config=_internlm2_config,
        tensors=_internlm2_tensors,
        added_tokens={
            92538: "<|plugin|>",
            92539: "<|interpreter|>",
            92540: "<|action_end|>",
            92541: "<|action_start|>",
            92542: "<|im_end|>",
            92543: "<|im_start|>",
        },
    ),
    "chatglm": _Family(
        names={
            "transformer.embedding.word_embeddings": "model.embed_tokens",
            "transformer.encoder.layers": "model.layers",
            "transformer.encoder.final_layernorm": "model.norm",
            "transformer.output_layer": "lm_head",
            "self_attention.dense": "self_attn.o_proj",
            "mlp.dense_4h_to_h": "mlp.down_proj",
        },
        config=_chatglm_config,
        tensors=_chatglm_tensors,
        added_tokens={
            64789: "[MASK]",
            64790: "[gMASK]",
            64791: "[sMASK]",
            64792: "sop",
            64793: "eop",
            64794: "<|system|>",
            64795: "<|user|>",
            64796: "<|assistant|>",
            64797: "<|observation|>",
        },
    ),
    "baichuan": _Family(
        names={},
        config=_baichuan_config,
        tensors=_baichuan_tensors,
        added_tokens={195: "<reserved_106>", 196: "<reserved_107>"},
    ),
}


def _write_tokenizer(source: Path, target: Path, family: _Family) -> None:
    """Configure transformers to read the vocabulary with SentencePiece, as the families' own code does."""
    if not (source / _TOKENIZER).is_file():
        raise ModelError(f"the model {source} lacks {_TOKENIZER}; download it from where the model comes from")
    (target / _TOKENIZER).write_bytes((source / _TOKENIZER).read_bytes())
    own = read_json(source / _TOKENIZER_CONFIG) if (source / _TOKENIZER_CONFIG).is_file() else {}
    special = {"special": True, "normalized": False, "lstrip": False, "rstrip": False, "single_word": False}
    added = {str(number): {"content": name, **special} for number, name in family.added_tokens.items()}
    config = {
        **{key: own[key] for key in _SPECIAL if key in own},
        "tokenizer_class": "LlamaTokenizer",
        "legacy": True,
        "clean_up_tokenization_spaces": False,
        "added_tokens_decoder": {**added, **own.get("added_tokens_decoder", {})},
    }
    if "chat_template" in own and family is not _FAMILIES["chatglm"]:
        config["chat_template"] = own["chat_template"]
    _write(target / _TOKENIZER_CONFIG, config)
    if (source / _GENERATION).is_file():
        _write(target / _GENERATION, read_json(source / _GENERATION))


def _write(file: Path, content: Mapping[str, Any]) -> None:
    file.write_text(json.dumps(content, ensure_ascii=False, indent=1), encoding="utf-8")
