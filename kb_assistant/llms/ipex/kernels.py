"""What ipex-llm 2.2.0 computes slowly on a CPU without AMX, computed by torch's kernels from the same int4 weights.

Two cores with AVX512-BF16, layers of Qwen2-1.5B: torch's product of int4 weights with one token takes 0.4 of
ipex-llm's time, with four tokens 0.12, with 1,024 tokens 0.1. With AMX, ipex-llm has fast kernels of its own.
"""

from __future__ import annotations

import sys
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from kb_assistant.machine import Machine

__all__ = ["Int4Linear", "attend", "computes_tokens_alike", "use_fast_attention", "use_fast_products"]

_GROUP = 64
"""Weights that share a scale in ipex-llm's sym_int4: two bytes of float16 scale, then 32 bytes of two weights each."""
_DENSE_ROWS = 256
"""From so many tokens on, it is faster to write the weights out once than to unpack them for every token."""
_BLOCKS_AT_ONCE = 16
"""Blocks of rows that are repacked together: little enough for the processor's cache."""
_TOKENS_SINGLY = 4
"""Up to so many tokens attend one by one, each as it would in a step of its own: the same to the last bit."""


def use_fast_products(model: Any) -> None:
    """Put an `Int4Linear` in place of each of the model's sym_int4 layers, where that is faster on this machine.

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
                setattr(parent, name, Int4Linear(layer))  # the other's memory is free at once


def computes_tokens_alike(model: Any) -> bool:
    """Whether a step over a few tokens gives, bit for bit, what one over each gives.

    Seen of torch's int4 products and of attention to shared heads; ipex-llm's products round otherwise.
    """
    return any(isinstance(layer, Int4Linear) for layer in model.modules()) and not any(
        isinstance(layer, nn.Linear) for layer in model.modules()
    )


class Int4Linear(nn.Module):
    """A linear layer with the weights of one of ipex-llm's sym_int4 layers, packed as torch's kernel reads them.

    Scales are rounded from float16 to bfloat16, and products are of bfloat16, whatever the input is in.
    """

    def __init__(self, layer: Any) -> None:
        """Take what `layer`, a LowBitLinear, holds."""
        super().__init__()
        self.out_features: int
        self.in_features: int
        self.out_features, self.in_features = layer.weight_shape
        self.bias: Tensor | None = layer.bias
        self._last_only = layer.optimize_lm_head
        blocks = layer.weight.data.view(torch.uint8).view(self.out_features, -1, 2 + _GROUP // 2)
        # The kernel wants a zero point beside each scale, as what is added to the weight: it is 0.
        scales = torch.zeros(self.in_features // _GROUP, self.out_features, 2, dtype=torch.bfloat16)
        scales[..., 0] = blocks[..., :2].contiguous().view(torch.float16)[..., 0].T
        # No buffers: what casts a model to another type must not cast them.
        self.weight, self.scales = _repacked(blocks[..., 2:]), scales

    @staticmethod
    def takes(layer: Any) -> bool:
        """Whether the kernel can compute with a LowBitLinear of that size."""
        rows, columns = layer.weight_shape
        return rows % _rows() == 0 and columns % _GROUP == 0 and not layer.act_order

    def forward(self, given: Tensor) -> Tensor:
        """Multiply `given`, of shape (..., in_features); a head gives the last token only where there are many."""
        if self._last_only:
            from ipex_llm.transformers.low_bit_linear import reshape_lm_head_input

            given = reshape_lm_head_input(given)
        rows = given.reshape(-1, self.in_features)
        if len(rows) < _DENSE_ROWS:
            product = torch._weight_int4pack_mm_for_cpu(rows.to(torch.bfloat16), self.weight, _GROUP, self.scales)
        else:
            product = functional.linear(rows, self._dense(rows.dtype))
        product = product.to(given.dtype).view(*given.shape[:-1], self.out_features)
        return product if self.bias is None else product + self.bias.to(given.dtype)

    def _dense(self, dtype: torch.dtype) -> Tensor:
        """Write the weights out, of shape (out_features, in_features)."""
        packed = self.weight.view(-1, self.in_features, _rows() // 2).transpose(1, 2)
        weights = torch.empty(len(packed), 2, _rows() // 2, self.in_features, dtype=dtype)
        weights[:, 0], weights[:, 1] = packed & 15, packed >> 4
        groups = weights.view(self.out_features, -1, _GROUP)
        groups.sub_(8).mul_(self.scales[..., 0].T.unsqueeze(-1))
        return groups.view(self.out_features, self.in_features)


def _repacked(pairs: Tensor) -> Tensor:
    """Pack what ipex-llm packs in bytes, of shape (rows, groups, 32), as torch's kernel reads it.

    A byte of ipex-llm holds a weight of the first half of a group and one of the second, both of the same row;
    one of the kernel's holds a weight of a row and one of a row further down, both of the same column.
    """
    rows, groups, bytes_each = pairs.shape
    upper, lower = pairs.view(-1, 2, _rows() // 2, groups, bytes_each).unbind(1)
    packed = torch.empty(len(upper), groups, 2, bytes_each, _rows() // 2, dtype=torch.uint8)
    parts = (torch.split(one, _BLOCKS_AT_ONCE) for one in (upper, lower, packed))
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
    """How many rows torch's kernel packs together on this CPU, or None where it packs them in no way known here.

    A byte holds a weight of the first half of such rows and one of the second.
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
    """Let all models of ipex-llm attend with `attend`."""
    from ipex_llm.transformers.models import common

    name = "scaled_dot_product_attention"
    theirs = getattr(common, name)
    for place, module in list(sys.modules.items()):
        if place.startswith("ipex_llm.transformers.models.") and vars(module).get(name) is theirs:
            setattr(module, name, attend)


def attend(
    query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None = None, is_causal: bool = False, scale: Any = None
) -> Tensor:
    """Attend from `query`, of shape (batch, heads, tokens, width), to `key` and `value` with as many heads or fewer.

    ipex-llm first copies shared keys and values for each head; where one token attends, its heads can be computed
    as if they were tokens.
    """
    heads, tokens = query.shape[1:3]
    shared, length = key.shape[1:3]
    mask = None if mask is None else mask[..., :tokens, :length]
    if 1 < tokens <= _TOKENS_SINGLY and mask is not None and _is_causal(mask):
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
    """Whether `mask`, of shape (batch, heads, tokens, length), hides from each of the last tokens what follows it."""
    if mask.shape[:2] != (1, 1):
        return False
    tokens, length = mask.shape[2:]
    hidden = torch.ones(tokens, length, dtype=torch.bool).triu(length - tokens + 1)
    return torch.equal(mask[0, 0] < 0, hidden)
