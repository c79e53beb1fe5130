"""Applies a LoRA adapter to a low-bit model: hooks add its output to each layer's, and the weights stay unchanged.

peft's own wrapper works only with ipex-llm's slower, unoptimised models. The file format is peft's, which LLaMA-Factory
and XTuner write too (Hu et al. 2021, https://arxiv.org/abs/2106.09685).
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from kb_assistant.errors import ModelError
from kb_assistant.llms.checkpoints.llama_form import adapter_as_llama
from kb_assistant.llms.checkpoints.model_files import FAMILY

__all__ = ["apply_adapter"]

CONFIG, WEIGHTS = "adapter_config.json", "adapter_model.safetensors"
_TENSOR = re.compile(r"base_model\.model\.(?P<layer>.+)\.lora_(?P<side>[AB])(?:\.default)?\.weight")
_MERGED = ("q_proj", "k_proj", "v_proj")
"""Layers that ipex-llm merges into qkv_proj, in this order."""


def apply_adapter(model: Any, path: Path) -> None:
    """Apply the adapter in the folder `path` to `model`, a transformers or ipex-llm model.

    Raises:
        ModelError: the adapter is missing, of an unsupported kind, or for another model.
    """
    config, tensors = _read(path)
    pairs: dict[str, dict[str, Any]] = {}
    for name, tensor in tensors.items():
        match = _TENSOR.fullmatch(name)
        if match is None:
            raise _refused(path, f"holds {name}; only LoRA of linear layers is supported")
        pairs.setdefault(match["layer"], {})[match["side"]] = tensor
    modules = dict(model.named_modules())
    hooks = []
    for own, pair in pairs.items():
        if pair.keys() != {"A", "B"}:
            raise _refused(path, f"lacks half of {own}")
        up = pair["B"] * _scale(config, own, pair["B"].shape[1])
        parts = adapter_as_llama(own, up, model.config) if hasattr(model.config, FAMILY) else {own: up}
        hooks += [_hook(path, modules, layer, pair["A"], part) for layer, part in parts.items()]
    for module, hook in hooks:  # only after all of them fit
        module.register_forward_hook(hook)


def _read(path: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    if not (path / CONFIG).is_file():
        raise ModelError(f"{path} is not a LoRA adapter: it has no {CONFIG}; name the folder that training wrote")
    if not (path / WEIGHTS).is_file():
        raise _refused(path, f"has no {WEIGHTS}; other formats can run code: save it as safetensors")
    try:
        config = json.loads((path / CONFIG).read_text(encoding="utf-8"))
        tensors = load_file(path / WEIGHTS)
    except (OSError, ValueError, SafetensorError) as error:
        raise _refused(path, f"cannot be read: {error}") from error
    if not isinstance(config, dict) or config.get("peft_type") != "LORA":
        raise _refused(path, "is not a LoRA adapter by its peft_type; train or choose a LoRA adapter")
    for option in ("use_dora", "modules_to_save", "fan_in_fan_out"):
        if config.get(option):
            raise _refused(path, f"was trained with {option}, which is not supported; merge it into its model")
    if config.get("bias", "none") != "none":
        raise _refused(path, "changes biases, which is not supported; merge it into its model")
    return config, tensors


def _scale(config: Mapping[str, Any], layer: str, rank: int) -> float:
    """The adapter's scale: alpha by rank, or by the rank's root (Kalajdzievski 2023, rsLoRA)."""
    patterns: Mapping[str, float] = config.get("alpha_pattern") or {}
    own = (value for name, value in patterns.items() if re.fullmatch(rf"(?:.*\.)?{name}", layer))
    alpha = float(next(own, config["lora_alpha"]))
    return alpha / math.sqrt(rank) if config.get("use_rslora") else alpha / float(rank)


def _hook(path: Path, modules: Mapping[str, Any], layer: str, down: Any, up: Any) -> tuple[Any, Callable[..., Any]]:
    """Return the module that contains the adapter's `layer`, and the hook that adds to its output."""
    parent, _, name = layer.rpartition(".")
    start = 0
    module, joined = modules.get(layer), modules.get(f"{parent}.qkv_proj")
    if module is not None and hasattr(module, "in_features"):
        expected = (module.out_features, module.in_features)
    elif module is None and name in _MERGED and joined is not None:
        module, attention = joined, modules[parent]
        widths = [attention.num_heads, attention.num_key_value_heads, attention.num_key_value_heads]
        place = _MERGED.index(name)
        start = sum(widths[:place]) * attention.head_dim
        expected = (widths[place] * attention.head_dim, module.in_features)
    else:
        raise _refused(path, f"changes {layer}, which the model lacks; it is for another model")
    sizes = (up.shape[0], down.shape[1])
    fits = all(size == own or _padded(size) == own for size, own in zip(sizes, expected, strict=True))
    if not fits or up.shape[1] != down.shape[0]:
        shape = f"{sizes[0]} by {sizes[1]}"
        raise _refused(
            path,
            f"changes {layer} as {shape}, not {expected[0]} by {expected[1]}; it is for another model",
        )
    return module, _addition(down, up, start)


def _padded(size: int) -> int:
    """The size to which ipex-llm pads a layer inside an MLP with zeros."""
    return math.ceil(size / 256) * 256


def _addition(down: Any, up: Any, start: int) -> Callable[..., Any]:
    kept = {"down": down, "up": up}

    def add(_: Any, inputs: tuple[Any, ...], output: Any) -> Any:
        if kept["down"].dtype != output.dtype:
            kept.update({side: tensor.to(output.dtype) for side, tensor in kept.items()})
        # A head may compute only the last tokens.
        given = inputs[0][..., -output.shape[-2] :, : down.shape[1]].to(output.dtype)
        added = given @ kept["down"].T @ kept["up"].T
        output[..., start : start + added.shape[-1]] += added
        return output

    return add


def _refused(path: Path, why: str) -> ModelError:
    return ModelError(f"the adapter {path} {why}")
