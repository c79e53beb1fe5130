"""Unpacks GPTQ and AWQ int4 checkpoints to 16-bit weights, from which each engine's format is made.

ipex-llm reads them only through packages made for NVIDIA cards. Sources of the two formats:
AutoGPTQ's QuantLinear (Frantar et al. 2022, https://arxiv.org/abs/2210.17323) and AutoAWQ's WQLinear_GEMM
(Lin et al. 2023, https://arxiv.org/abs/2306.00978).
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kb_assistant.errors import ModelError
from kb_assistant.llms.checkpoints.model_files import INDEX, QUANTIZED, ModelFiles

__all__ = ["unpack"]

_BITS = 4
_PARTS = ("qweight", "qzeros", "scales", "g_idx")
_AWQ_SHIFTS = (0, 16, 4, 20, 8, 24, 12, 28)
"""The positions of the eight values in AWQ's 32-bit numbers, in order."""


def unpack(files: ModelFiles, target: Path) -> None:
    """Write the model with its weights in 16 bits into the new folder `target`.

    Raises:
        ModelError: its packing is unsupported, or it is incomplete.
    """
    config = files.config[QUANTIZED]
    method, bits = config.get("quant_method"), config.get("bits")
    known = method == "gptq" or (method == "awq" and str(config.get("version", "gemm")).lower() == "gemm")
    if not known or bits != _BITS:
        raise ModelError(
            f"the model {files.path} is in {bits}-bit {method}; only 4-bit GPTQ and AWQ (gemm) are supported"
        )
    target.mkdir()
    tensors = _Tensors(files)
    weight_map = {}
    for file in files.weights:
        written = _shard(tensors, file, config)
        weight_map.update(dict.fromkeys(written, file.name))
        _save(written, target / file.name)
    (target / INDEX).write_text(json.dumps({"metadata": {}, "weight_map": weight_map}), encoding="utf-8")
    plain = {key: value for key, value in files.config.items() if key != QUANTIZED}
    (target / "config.json").write_text(json.dumps({**plain, "torch_dtype": "float16"}), encoding="utf-8")
    for file in files.path.iterdir():
        if file.is_file() and file.suffix in {".json", ".model", ".txt", ".py"} and not (target / file.name).exists():
            shutil.copyfile(file, target / file.name)


class _Tensors:
    """All tensors of a model by name, across its files."""

    def __init__(self, files: ModelFiles) -> None:
        from safetensors import safe_open

        self._path = files.path
        self._open: dict[Path, Any] = {file: safe_open(str(file), framework="pt") for file in files.weights}
        self._places = {name: shard for shard in self._open.values() for name in shard.keys()}  # noqa: SIM118 - not a dict

    def names(self, file: Path) -> list[str]:
        """The names of the tensors in a file."""
        return sorted(self._open[file].keys())

    def get(self, name: str) -> Any:
        """Read a tensor."""
        if name not in self._places:
            raise ModelError(f"the model {self._path} lacks {name}; download it again")
        return self._places[name].get_tensor(name)

    def has(self, name: str) -> bool:
        """Whether the model has this tensor."""
        return name in self._places


def _shard(tensors: _Tensors, file: Path, config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the tensors of a file, the packed ones as weights."""
    written: dict[str, Any] = {}
    for name in tensors.names(file):
        layer, _, part = name.rpartition(".")
        if part == "qweight":
            written[f"{layer}.weight"] = _weight(tensors, layer, config)
        elif part not in _PARTS:
            tensor = tensors.get(name)
            written[name] = tensor.half() if tensor.is_floating_point() else tensor
    return written


def _weight(tensors: _Tensors, layer: str, config: Mapping[str, Any]) -> Any:
    """Return a layer's weights, float16, of shape (out, in): (value - zero) * scale of its group."""
    import torch

    packed, zeros, scales = (tensors.get(f"{layer}.{part}") for part in ("qweight", "qzeros", "scales"))
    if config["quant_method"] == "awq":
        values, zeros = _spread(packed, _AWQ_SHIFTS), _spread(zeros, _AWQ_SHIFTS)
    else:
        shifts = tuple(range(0, 32, _BITS))
        values, zeros = _spread(packed.T.contiguous(), shifts).T, _spread(zeros, shifts)
        if config.get("checkpoint_format") != "gptq_v2":  # the first format stores zeros minus one
            zeros = zeros + 1
    size = config.get("group_size", -1)
    rows = values.shape[0]
    groups = torch.arange(rows) // (rows if size in (-1, None) else size)
    if tensors.has(f"{layer}.g_idx"):
        groups = tensors.get(f"{layer}.g_idx").long()
    weight = (values - zeros[groups]).float() * scales.float()[groups]
    return weight.half().T.contiguous()


def _spread(packed: Any, shifts: tuple[int, ...]) -> Any:
    """Return the 4-bit values in the 32-bit numbers of `packed`, of shape (rows, n), as (rows, n * 8)."""
    import torch

    values = torch.bitwise_right_shift(packed.unsqueeze(-1), torch.tensor(shifts, dtype=torch.int32)) & 15
    return values.reshape(packed.shape[0], -1)


def _save(tensors: dict[str, Any], file: Path) -> None:
    from safetensors.torch import save_file

    save_file(tensors, file, metadata={"format": "pt"})
