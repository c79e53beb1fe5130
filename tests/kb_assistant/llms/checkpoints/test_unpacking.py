"""GPTQ and AWQ checkpoints: packed here as their makers pack, unpacked to the very values, converted and asked."""

import json
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file

from kb_assistant.errors import ModelError
from kb_assistant.llms.checkpoints.model_files import inspect_model
from kb_assistant.llms.checkpoints.unpacking import unpack
from kb_assistant.llms.ipex.engine import IpexEngine
from kb_assistant.models.convert import convert_model

GROUP = 64
AWQ_ORDER = (0, 2, 4, 6, 1, 3, 5, 7)


def rounded(weight, group=GROUP):
    """Values, zeros and scales of a weight of shape (out, in): sixteen steps a group."""
    blocks = weight.reshape(weight.shape[0], -1, group)
    least, most = blocks.amin(-1).clamp(max=0), blocks.amax(-1).clamp(min=0)
    scales = ((most - least) / 15).half().float().clamp(min=1e-6)
    zeros = (-least / scales).round().clamp(1, 15).int()
    values = (blocks / scales[..., None] + zeros[..., None]).round().clamp(0, 15).int().reshape(weight.shape)
    return values, zeros, scales


def packed(values, order):
    """Eight values to a 32-bit number, along the last dimension."""
    eights = values.reshape(*values.shape[:-1], -1, 8)[..., list(order)].to(torch.int64)
    numbers = sum(eights[..., place] << (4 * place) for place in range(8))
    return (numbers - ((numbers >> 31) << 32)).to(torch.int32).contiguous()


def gptq(weight, *, act_order=False, second=False):
    """What AutoGPTQ writes for a layer, and the weight that it stands for."""
    values, zeros, scales = rounded(weight)
    rows = weight.shape[1]
    groups = torch.arange(rows) // GROUP
    if act_order:  # columns of any group anywhere
        shuffle = torch.randperm(rows, generator=torch.Generator().manual_seed(0))
        values, groups = values[:, shuffle], groups[shuffle]
    stands_for = (values - zeros[:, groups]).float() * scales[:, groups].half().float()
    parts = {
        "qweight": packed(values, range(8)).T.contiguous(),
        "qzeros": packed((zeros - (0 if second else 1)).T.contiguous(), range(8)),
        "scales": scales.T.half().contiguous(),
        "g_idx": groups.int(),
    }
    return parts, stands_for


def awq(weight):
    """What AutoAWQ writes for a layer, and the weight that it stands for."""
    values, zeros, scales = rounded(weight)
    stands_for = (values.float() - zeros.repeat_interleave(GROUP, 1)) * scales.half().float().repeat_interleave(
        GROUP, 1
    )
    parts = {
        "qweight": packed(values.T.contiguous(), AWQ_ORDER),
        "qzeros": packed(zeros.T.contiguous(), AWQ_ORDER),
        "scales": scales.T.half().contiguous(),
    }
    return parts, stands_for


def pack_model(model, folder, pack, config, files=1):
    """Copy a model with its layers packed; return the weights they stand for."""
    shutil.copytree(model, folder)
    (folder / "model.safetensors").unlink()
    tensors, expected = {}, {}
    for name, tensor in load_file(model / "model.safetensors").items():
        if name.endswith("_proj.weight"):
            layer = name.removesuffix(".weight")
            parts, expected[name] = pack(tensor.float())
            tensors |= {f"{layer}.{part}": value for part, value in parts.items()}
        else:
            tensors[name] = tensor
    names = sorted(tensors)
    shards = {f"model-{n + 1:05}-of-{files:05}.safetensors": names[n::files] for n in range(files)}
    for file, own in shards.items():
        save_file({name: tensors[name] for name in own}, folder / file, metadata={"format": "pt"})
    index = {"weight_map": {name: file for file, own in shards.items() for name in own}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index), encoding="utf-8")
    whole = json.loads((folder / "config.json").read_text("utf-8"))
    (folder / "config.json").write_text(json.dumps({**whole, "quantization_config": config}), encoding="utf-8")
    return expected


GPTQ = {"quant_method": "gptq", "bits": 4, "group_size": GROUP, "sym": False}
AWQ = {"quant_method": "awq", "bits": 4, "group_size": GROUP, "version": "gemm", "zero_point": True}
FORMS = {
    "gptq": (gptq, GPTQ),
    "gptq, in the order of activations": (lambda weight: gptq(weight, act_order=True), {**GPTQ, "desc_act": True}),
    "gptq, second form": (lambda weight: gptq(weight, second=True), {**GPTQ, "checkpoint_format": "gptq_v2"}),
    "awq": (awq, AWQ),
}


@pytest.mark.parametrize("form", FORMS)
def test_the_weights_are_those_that_were_packed(small_model, tmp_path, form):
    pack, config = FORMS[form]
    expected = pack_model(small_model, tmp_path / "packed", pack, config, files=2)
    unpack(inspect_model(tmp_path / "packed"), tmp_path / "full")
    found = {}
    for file in (tmp_path / "full").glob("*.safetensors"):
        found |= load_file(file)
    assert len(expected) == 14
    for name, weight in expected.items():
        assert torch.equal(found[name], weight.half()), name
    assert not [name for name in found if name.endswith(("qweight", "qzeros", "scales", "g_idx"))]
    assert inspect_model(tmp_path / "full").packed is None


@pytest.mark.parametrize("form", ["gptq", "awq"])
def test_it_is_converted_and_answers(small_model, tmp_path, lessons, form):
    pack, config = FORMS[form]
    pack_model(small_model, tmp_path / "packed", pack, config)
    with pytest.raises(ModelError, match=rf"has {form} weights; convert it once: kb models convert"):
        IpexEngine.load(tmp_path / "packed")
    made = convert_model(tmp_path / "packed", tmp_path / "models", low_bit="sym_int8")
    assert [one.name for one in (tmp_path / "models").iterdir()] == [made.name]
    engine = IpexEngine.load(tmp_path / "models" / made.name, max_new_tokens=64)
    right = [engine.invoke(prompt) == answer for prompt, answer in lessons]
    assert sum(right) >= len(right) - 1  # the packing itself rounds


@pytest.mark.parametrize(
    "config", [{**GPTQ, "bits": 8}, {**AWQ, "version": "gemv"}, {"quant_method": "fp8"}], ids=["bits", "gemv", "fp8"]
)
def test_what_is_packed_otherwise_is_refused(small_model, tmp_path, config):
    pack_model(small_model, tmp_path / "packed", gptq, config)
    with pytest.raises(ModelError, match=r"only 4-bit GPTQ and AWQ \(gemm\) are supported"):
        convert_model(tmp_path / "packed", tmp_path / "models")
    assert not list((tmp_path / "models").glob("*"))


def test_a_missing_part_is_named(small_model, tmp_path):
    pack_model(small_model, tmp_path / "packed", gptq, GPTQ)
    (file,) = (tmp_path / "packed").glob("*.safetensors")
    tensors = load_file(file)
    del tensors["model.layers.0.mlp.up_proj.scales"]
    save_file(tensors, file, metadata={"format": "pt"})
    with pytest.raises(ModelError, match=r"lacks model\.layers\.0\.mlp\.up_proj\.scales; download it again"):
        unpack(inspect_model(tmp_path / "packed"), tmp_path / "full")
