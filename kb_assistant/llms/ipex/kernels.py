"""Replaces ipex-llm's int4 products, slow on a CPU without AMX, by torch's kernels over the same weights.

Measured on two cores with AVX512-BF16 and layers of Qwen2-1.5B: torch takes 0.4 of ipex-llm's time for one token, 0.12
for four, 0.1 for 1,024. With AMX, ipex-llm has fast kernels of its own.
"""

from __future__ import annotations

import sys
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from kb_assistant.machine import Machine

__all__ = ["Int4Linear", "attend", "steps_are_exact", "use_fast_attention", "use_fast_products"]

_GROUP = 64
"""Weights per scale in ipex-llm's sym_int4: two bytes of float16 scale, then 32 bytes of two weights each."""
_DENSE_FROM_TOKENS = 256
"""From this many tokens, it is faster to unpack the weights once than for every token."""
_BLOCKS_PER_PASS = 16
"""Blocks of rows repacked together: few enough for the processor's cache."""
_MAX_SINGLE_TOKENS = 4
"""Up to this many tokens attend one by one, bit for bit as in steps of their own."""


def use_fast_products(model: Any) -> None:
    """Replace each sym_int4 layer of the model by an `Int4Linear`, if that is faster on this machine.

    The model cannot be saved afterwards.
    """
    if "amx_int8" in Machine.read().instructions or _block_rows() is None:
        return
    from ipex_llm.ggml.quantize import ggml_tensor_qtype
    from ipex_llm.transformers.low_bit_linear import LowBitLinear

    sym_int4 = ggml_tensor_qtype["sym_int4"]
    for parent in model.modules():
        for name, layer in parent.named_children():
            if type(layer) is LowBitLinear and layer.qtype == sym_int4 and Int4Linear.takes(layer):
                setattr(parent, name, Int4Linear(layer))  # one by one, which frees the old layer's memory


def steps_are_exact(model: Any) -> bool:
    """Whether one step over a few tokens gives, bit for bit, what a step for each gives.

    True of torch's int4 products and of attention with shared heads; ipex-llm's products round differently.
    """
    return any(isinstance(layer, Int4Linear) for layer in model.modules()) and not any(
        isinstance(layer, nn.Linear) for layer in model.modules()
    )


class Int4Linear(nn.Module):
    """A linear layer with the weights of an ipex-llm sym_int4 layer, packed for torch's kernel.

    Scales are rounded from float16 to bfloat16, and products are computed in bfloat16 whatever the input's type.
    """

    def __init__(self, layer: Any) -> None:
        """Take the weights of `layer`, a LowBitLinear."""
        super().__init__()
        self.out_features: int
        self.in_features: int
        self.out_features, self.in_features = layer.weight_shape
        self.bias: Tensor | None = layer.bias
        self._last_only = layer.optimize_lm_head
        blocks = layer.weight.data.view(torch.uint8).view(self.out_features, -1, 2 + _GROUP // 2)
        # The kernel takes a zero point beside each scale; here it is 0.
        scales = torch.zeros(self.in_features // _GROUP, self.out_features, 2, dtype=torch.bfloat16)
        scales[..., 0] = blocks[..., :2].contiguous().view(torch.float16)[..., 0].T
        # Not buffers: casting the model to another type must not cast them.
        self.weight, self.scales = _repacked(blocks[..., 2:]), scales

    @staticmethod
    def takes(layer: Any) -> bool:
        """Whether the kernel supports a LowBitLinear of this size."""
        rows, columns = layer.weight_shape
        return rows % _rows() == 0 and columns % _GROUP == 0 and not layer.act_order

    def forward(self, given: Tensor) -> Tensor:
        """Multiply `given`, of shape (..., in_features); of many tokens, a head computes the last only."""
        if self._last_only:
            from ipex_llm.transformers.low_bit_linear import reshape_lm_head_input

            given = reshape_lm_head_input(given)
        rows = given.reshape(-1, self.in_features)
        if len(rows) < _DENSE_FROM_TOKENS:
            product = torch._weight_int4pack_mm_for_cpu(rows.to(torch.bfloat16), self.weight, _GROUP, self.scales)
        else:
            product = functional.linear(rows, self._dense(rows.dtype))
        product = product.to(given.dtype).view(*given.shape[:-1], self.out_features)
        return product if self.bias is None else product + self.bias.to(given.dtype)

    def _dense(self, dtype: torch.dtype) -> Tensor:
        """Return the unpacked weights, of shape (out_features, in_features)."""
        packed = self.weight.view(-1, self.in_features, _rows() // 2).transpose(1, 2)
        weights = torch.empty(len(packed), 2, _rows() // 2, self.in_features, dtype=dtype)
        weights[:, 0], weights[:, 1] = packed & 15, packed >> 4
        groups = weights.view(self.out_features, -1, _GROUP)
        groups.sub_(8).mul_(self.scales[..., 0].T.unsqueeze(-1))
        return groups.view(self.out_features, self.in_features)


def _repacked(pairs: Tensor) -> Tensor:
    """Repack ipex-llm's bytes, of shape (rows, groups, 32), for torch's kernel.

    ipex-llm's byte holds two weights of one row: one from each half of a group. The kernel's byte holds two weights of
    one column: one from each half of a block of rows.
    """
    rows, groups, bytes_each = pairs.shape
    upper, lower = pairs.view(-1, 2, _rows() // 2, groups, bytes_each).unbind(1)
    packed = torch.empty(len(upper), groups, 2, bytes_each, _rows() // 2, dtype=torch.uint8)
    parts = (torch.split(part, _BLOCKS_PER_PASS) for part in (upper, lower, packed))
    for above, below, target in zip(*parts, strict=True):
        target[:, :, 0] = (above & 15 | below << 4).permute(0, 2, 3, 1)
        target[:, :, 1] = (above >> 4 | below & 240).permute(0, 2, 3, 1)
    return packed.view(rows, -1)


def _rows() -> int:
    rows = _block_rows()
    assert rows is not None
    return rows


@cache
def _block_rows() -> int | None:
    """How many rows torch's kernel packs together on this CPU; None if its layout is unknown.

    A byte holds one weight from each half of such a block.
    """
    codes = torch.arange(128 * _GROUP, dtype=torch.int32).square_().div_(11, rounding_mode="floor").remainder_(16)
    codes = codes.view(128, _GROUP)
    try:
        packed = torch._convert_weight_to_int4pack_for_cpu(codes, 1)
    except (AttributeError, RuntimeError):  # a torch without it
        return None
    for rows in (64, 32):
        blocks = packed.reshape(-1, _GROUP, rows // 2)
        if torch.equal(torch.cat([blocks & 15, blocks >> 4], 2).transpose(1, 2).reshape(128, _GROUP), codes):
            return rows
    return None


def use_fast_attention() -> None:
    """Make all of ipex-llm's models use `attend`."""
    from ipex_llm.transformers.models import common

    name = "scaled_dot_product_attention"
    theirs = getattr(common, name)
    for place, module in list(sys.modules.items()):
        if place.startswith("ipex_llm.transformers.models.") and vars(module).get(name) is theirs:
            setattr(module, name, attend)


def attend(
    query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None = None, is_causal: bool = False, scale: Any = None
) -> Tensor:
    """Attend from `query`, of shape (batch, heads, tokens, width), to `key` and `value` with as many or fewer heads.

    ipex-llm copies shared keys and values for each head first. For a single token no copy is needed: its heads are
    computed as if they were tokens.
    """
    heads, tokens = query.shape[1:3]
    shared, length = key.shape[1:3]
    mask = None if mask is None else mask[..., :tokens, :length]
    if 1 < tokens <= _MAX_SINGLE_TOKENS and mask is not None and _is_causal(mask):
        seen = range(length - tokens + 1, length + 1)
        each = (
            attend(query[:, :, place : place + 1], key[:, :, :end], value[:, :, :end], scale=scale)
            for place, end in enumerate(seen)
        )
        return torch.cat(list(each), 2)
    if tokens == 1 and mask is None and heads > shared:
        folded = query.reshape(len(query), shared, heads // shared, -1)
        return functional.scaled_dot_product_attention(folded, key, value, scale=scale).reshape(query.shape)
    return functional.scaled_dot_product_attention(
        query, key, value, mask, is_causal=is_causal and mask is None, scale=scale, enable_gqa=heads > shared
    )


def _is_causal(mask: Tensor) -> bool:
    """Whether `mask`, of shape (batch, heads, tokens, length), hides from each of the last tokens those after it."""
    if mask.shape[:2] != (1, 1):
        return False
    tokens, length = mask.shape[2:]
    hidden = torch.ones(tokens, length, dtype=torch.bool).triu(length - tokens + 1)
    return torch.equal(mask[0, 0] < 0, hidden)
