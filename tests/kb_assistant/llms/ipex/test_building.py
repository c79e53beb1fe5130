"""skip_redundant_work: what is left out of building a model is not missed."""

import subprocess
import sys

import pytest
import torch
from transformers.models.qwen2.modeling_qwen2 import Qwen2RotaryEmbedding

from kb_assistant.llms.ipex.building import skip_redundant_work
from kb_assistant.llms.ipex.runtime import import_ipex


@pytest.fixture(autouse=True)
def _in_force() -> None:
    import_ipex()
    skip_redundant_work()
    skip_redundant_work()


def merged(device: str, *, bias: bool) -> torch.nn.Linear:
    from ipex_llm.transformers.models import common

    return common.merge_linear([torch.nn.Linear(8, rows, bias=bias, device=device) for rows in (3, 5)])


@pytest.mark.filterwarnings("ignore:Initializing zero-element tensors")  # ipex-llm's own way makes such
@pytest.mark.parametrize("bias", [True, False])
def test_layers_without_weights_are_merged_as_those_with_weights_are(bias: bool) -> None:
    real, planned = merged("cpu", bias=bias), merged("meta", bias=bias)
    for layer in (real, planned):
        assert (layer.in_features, layer.out_features) == (8, 8)
    shapes = {name: tensor.shape for name, tensor in real.named_parameters()}
    assert {name: tensor.shape for name, tensor in planned.named_parameters()} == shapes
    assert len(shapes) == 1 + bias
    assert all(one.is_meta and not one.requires_grad for one in planned.parameters())


def test_planning_a_merge_does_not_load_the_compiler() -> None:
    script = (
        "import sys, torch\n"
        "from kb_assistant.llms.ipex.runtime import import_ipex\n"
        "from kb_assistant.llms.ipex.building import skip_redundant_work\n"
        "import_ipex(); skip_redundant_work()\n"
        "from ipex_llm.transformers.models import common\n"
        "common.merge_linear([torch.nn.Linear(8, 3, device='meta')] * 2)\n"
        "print('torch._dynamo' in sys.modules)"
    )
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=120, check=True)
    assert run.stdout.split() == ["False"], "else the shortcut is for nothing"


def test_layers_share_a_table_of_positions_until_one_needs_a_longer_one() -> None:
    one, other, different = (Qwen2RotaryEmbedding(8, 32, base) for base in (1e4, 1e4, 1e6))
    assert one.cos_cached.data_ptr() == other.cos_cached.data_ptr()
    assert different.cos_cached.data_ptr() != one.cos_cached.data_ptr()
    assert not torch.equal(different.cos_cached, one.cos_cached)
    values = torch.zeros(1, 1, 64, 8)
    cosines, _ = one(values, seq_len=64)
    assert (len(cosines), len(other.cos_cached)) == (64, 32)
    assert torch.equal(other(values, seq_len=64)[0], cosines)
    angles = torch.outer(torch.arange(64.0), 1e4 ** (-torch.arange(0, 8, 2) / 8))
    torch.testing.assert_close(cosines[:, :4], angles.cos())
