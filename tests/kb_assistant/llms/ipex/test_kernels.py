"""What torch computes in ipex-llm's place: the same, and faster."""

import os
import statistics
import subprocess
import sys
import time

import pytest
import torch
from paths import ROOT
from torch.nn import functional
from transformers import DynamicCache

from kb_assistant.llms.ipex.kernels import Int4Linear, attend, steps_are_exact, use_fast_products
from kb_assistant.llms.ipex.loading import load_low_bit
from kb_assistant.llms.ipex.runtime import import_ipex
from kb_assistant.machine import Machine

needs_torch_products = pytest.mark.skipif(
    "amx_int8" in Machine.read().instructions, reason="with AMX, ipex-llm's own products are used"
)


def low_bit_linear(rows, columns, bias=True, head=False):
    import_ipex()
    from ipex_llm.ggml.quantize import ggml_tensor_qtype
    from ipex_llm.transformers.low_bit_linear import FP4Params, LowBitLinear

    torch.manual_seed(rows + columns)
    qtype = ggml_tensor_qtype["sym_int4"]
    layer = LowBitLinear(columns, rows, qtype, bias=bias, optimize_lm_head=head)
    layer.weight = FP4Params(torch.randn(rows, columns) / columns**0.5, qtype=qtype).quantize("cpu")
    return layer.eval()


def written_out(layer):
    from ipex_llm.transformers.low_bit_linear import ggml_int4_convert_fp32

    return ggml_int4_convert_fp32(layer.weight.data, layer.weight_shape, layer.weight_length)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("tokens", [1, 3, 4, 17, 255, 256, 300])
@pytest.mark.parametrize(("rows", "columns", "bias"), [(64, 64, True), (192, 1536, False), (2112, 128, True)])
def test_products_are_those_of_the_same_weights(dtype, tokens, rows, columns, bias):
    layer = low_bit_linear(rows, columns, bias)
    given = torch.randn(2, tokens, columns).to(dtype)
    wanted = functional.linear(given.float(), written_out(layer), layer.bias)
    found = Int4Linear(layer)(given)
    assert found.dtype == dtype
    assert found.shape == (2, tokens, rows)
    assert (found.float() - wanted).abs().max() < 0.015 * wanted.abs().max()  # bfloat16 has eight bits


def test_weights_written_out_are_ipex_llms_but_for_the_rounding_of_scales():
    layer = low_bit_linear(2112, 256)
    ours, theirs = Int4Linear(layer)._dense(torch.float32), written_out(layer)
    assert torch.equal(ours.sign(), theirs.sign())
    torch.testing.assert_close(ours, theirs, rtol=2**-8, atol=0)


def test_a_head_gives_the_last_token_of_a_long_prompt_and_all_of_a_draft():
    layer = low_bit_linear(128, 64, bias=False, head=True)
    assert Int4Linear(layer)(torch.randn(1, 11, 64)).shape == layer(torch.randn(1, 11, 64)).shape == (1, 1, 128)
    assert Int4Linear(layer)(torch.randn(1, 10, 64)).shape == layer(torch.randn(1, 10, 64)).shape == (1, 10, 128)


@needs_torch_products
def test_layers_of_odd_sizes_and_other_formats_stay_ipex_llms():
    model = torch.nn.ModuleDict({"odd": low_bit_linear(3000, 256), "even": low_bit_linear(64, 64)})
    model["eight"] = low_bit_linear(64, 64)
    model["eight"].qtype = 8
    use_fast_products(model)
    assert {name: type(layer).__name__ for name, layer in model.items()} == {
        "odd": "LowBitLinear",
        "even": "Int4Linear",
        "eight": "LowBitLinear",
    }


def test_on_a_machine_with_amx_nothing_is_replaced(monkeypatch):
    machine = Machine(2, frozenset({"avx512f", "amx_int8"}), 1 << 34)
    monkeypatch.setattr(Machine, "read", classmethod(lambda cls: machine))
    model = torch.nn.ModuleDict({"even": low_bit_linear(64, 64)})
    use_fast_products(model)
    assert type(model["even"]).__name__ == "LowBitLinear"


@pytest.mark.alone
@needs_torch_products
@pytest.mark.parametrize("tokens", [4, 64])
def test_products_take_less_than_half_the_time(tokens):
    layer = low_bit_linear(4096, 1024, bias=False)
    ours, given = Int4Linear(layer), torch.randn(1, tokens, 1024).to(torch.bfloat16)

    def seconds(one):
        started = time.perf_counter()
        with torch.inference_mode():
            one(given)
        return time.perf_counter() - started

    seconds(ours), seconds(layer)
    pairs = [(seconds(ours), seconds(layer)) for _ in range(15)]
    assert statistics.median(ours / theirs for ours, theirs in pairs) < 0.5


@pytest.mark.parametrize(("heads", "shared"), [(12, 2), (4, 4), (6, 3)])
@pytest.mark.parametrize(("tokens", "length"), [(1, 1), (1, 40), (4, 40), (16, 40), (17, 60), (40, 40)])
@pytest.mark.parametrize("masked", [None, "alike", "by head"])
def test_attention_is_that_of_ipex_llm(heads, shared, tokens, length, masked):
    import_ipex()
    from ipex_llm.transformers.models.utils import repeat_kv

    torch.manual_seed(0)
    query, key, value = (
        torch.randn(1, heads, tokens, 8),
        torch.randn(1, shared, length, 8),
        torch.randn(1, shared, length, 8),
    )
    causal = torch.full((tokens, length), float("-inf")).triu(length - tokens + 1)
    mask = {None: None, "alike": causal[None, None], "by head": causal + torch.randn(1, heads, tokens, length)}[masked]
    found = attend(query, key, value, mask, tokens == length)
    copied = (repeat_kv(one, heads // shared) for one in (key, value))
    theirs = functional.scaled_dot_product_attention(query, *copied, mask, is_causal=mask is None and tokens == length)
    torch.testing.assert_close(found, theirs)


def test_models_attend_with_it(small_model_int4):
    from kb_assistant.llms.ipex.engine import IpexEngine

    IpexEngine.load(small_model_int4)
    from ipex_llm.transformers.models import llama, qwen2

    assert qwen2.scaled_dot_product_attention is attend
    assert llama.scaled_dot_product_attention is attend


def test_logits_are_near_those_of_ipex_llms_own_products(small_model_int4, lessons):

    model, tokenizer, _ = load_low_bit(small_model_int4, "sym_int4", trust_remote_code=False)
    ids = tokenizer(lessons[0][0], return_tensors="pt").input_ids
    with torch.inference_mode():
        theirs = model(ids).logits[0, -1].float()
        use_fast_products(model)
        ours = model(ids).logits[0, -1].float()
    assert functional.cosine_similarity(ours, theirs, dim=0) > 0.995
    assert ours.argmax() == theirs.argmax()


@pytest.mark.parametrize("capability", ["avx2", "default"])
def test_older_cpus_answer_alike(small_model_int4, lessons, capability):
    code = """
import sys
from pathlib import Path
from kb_assistant.llms.ipex.engine import IpexEngine
engine = IpexEngine.load(Path(sys.argv[1]), max_new_tokens=64)
sys.stdout.buffer.write(engine.invoke(sys.argv[2]).encode())
"""
    result = subprocess.run(
        [sys.executable, "-c", code, small_model_int4, lessons[0][0]],
        cwd=ROOT,
        env={**os.environ, "ATEN_CPU_CAPABILITY": capability},
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
    )
    assert result.stderr == ""
    assert result.stdout == lessons[0][1]


@needs_torch_products
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("before", [1, 5, 60, 63, 400, 1021])
def test_a_step_over_four_tokens_gives_what_four_steps_give(small_model_int4, dtype, before):
    from kb_assistant.llms.ipex.engine import IpexEngine

    model = IpexEngine.load(small_model_int4).model.to(dtype)
    assert steps_are_exact(model)
    torch.manual_seed(before)
    ids = torch.randint(0, 500, (1, before + 4))

    def steps(*parts):
        cache, logits = DynamicCache(), []
        with torch.inference_mode():
            for part in ids.split(parts, dim=1):
                output = model(input_ids=part, past_key_values=cache, use_cache=True)
                cache = output.past_key_values  # ipex-llm may have made one of its own
                logits.append(output.logits[0])
        return torch.cat(logits)[-4:]

    assert torch.equal(steps(before, 4), steps(before, 1, 1, 1, 1))
