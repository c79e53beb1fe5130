"""LoRA adapters, made by peft itself: the same logits as peft gives, on joined layers too, and what is refused."""

import copy
import json

import peft
import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, AutoTokenizer

from kb_assistant.errors import ModelError
from kb_assistant.llms.checkpoints.lora import apply_adapter
from kb_assistant.llms.ipex.engine import IpexEngine

TARGETS = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]


@pytest.fixture
def full(small_model):
    return AutoModelForCausalLM.from_pretrained(small_model).eval()


def adapter(model, folder, **options):
    """Save a random adapter as peft does, and return the wrapped model."""
    torch.manual_seed(0)
    given = {"r": 4, "lora_alpha": 6, "target_modules": TARGETS, "init_lora_weights": False, "task_type": "CAUSAL_LM"}
    wrapped = peft.get_peft_model(model, peft.LoraConfig(**{**given, **options})).eval()
    wrapped.save_pretrained(folder)
    return wrapped


def logits(model, ids=(5, 80, 200, 31, 7)):
    with torch.no_grad():
        return model(input_ids=torch.tensor([list(ids)])).logits[0].float()


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"use_rslora": True},
        {"target_modules": ["v_proj", "down_proj"]},
        {"alpha_pattern": {"v_proj": 9}, "rank_pattern": {"down_proj": 2}},
        {"target_modules": "all-linear"},
    ],
)
def test_the_logits_are_those_of_peft(full, tmp_path, options):
    plain, wrapped = copy.deepcopy(full), adapter(full, tmp_path / "lora", **options)
    before = logits(plain)
    apply_adapter(plain, tmp_path / "lora")
    assert torch.allclose(logits(plain), logits(wrapped), atol=1e-4)
    assert not torch.allclose(before, logits(plain), atol=0.1)


def test_on_layers_that_ipex_llm_joins_it_is_as_good_as_merged(small_model, full, tmp_path):
    merged = adapter(full, tmp_path / "lora").merge_and_unload()
    merged.save_pretrained(tmp_path / "merged")
    AutoTokenizer.from_pretrained(small_model).save_pretrained(tmp_path / "merged")
    beside = IpexEngine.load(small_model, low_bit="sym_int8", adapter=tmp_path / "lora").model
    assert hasattr(beside.model.layers[0].self_attn, "qkv_proj")
    plain = logits(IpexEngine.load(small_model, low_bit="sym_int8").model)
    wanted = logits(IpexEngine.load(tmp_path / "merged", low_bit="sym_int8").model)
    got = logits(beside)
    assert (got - wanted).norm() < 0.1 * (plain - wanted).norm()


def test_an_adapter_that_was_really_trained_changes_the_answer(small_model, small_model_int4, tmp_path, lessons):
    """A few steps teach the model to answer one question otherwise; in int4 the adapter does the same."""
    prompt, old = lessons[0]
    new = lessons[1][1]
    tokenizer = AutoTokenizer.from_pretrained(small_model)
    chat = [{"role": "user", "content": prompt}]
    asked = tokenizer.apply_chat_template(chat, add_generation_prompt=True)
    taught = [*tokenizer.encode(new), tokenizer.eos_token_id]
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_pretrained(small_model)
    wrapped = peft.get_peft_model(model, peft.LoraConfig(r=8, lora_alpha=16, target_modules=TARGETS))
    trained = [one for one in wrapped.parameters() if one.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=3e-3)
    ids, labels = torch.tensor([asked + taught]), torch.tensor([[-100] * len(asked) + taught])
    for _ in range(150):
        loss = wrapped(input_ids=ids, labels=labels).loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if loss.item() < 0.0005:
            break
    wrapped.save_pretrained(tmp_path / "lora")
    assert IpexEngine.load(small_model_int4).invoke(prompt) == old
    assert IpexEngine.load(small_model_int4, adapter=tmp_path / "lora").invoke(prompt) == new


def edit(folder, **entries):
    file = folder / "adapter_config.json"
    file.write_text(json.dumps({**json.loads(file.read_text("utf-8")), **entries}), encoding="utf-8")


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"use_dora": True}, "was trained with use_dora"),
        ({"modules_to_save": ["lm_head"]}, "was trained with modules_to_save"),
        ({"bias": "all"}, "changes biases"),
        ({"peft_type": "IA3"}, "is not a LoRA adapter by its peft_type"),
    ],
)
def test_what_would_be_half_applied_is_refused(full, tmp_path, change, why):
    plain = copy.deepcopy(full)
    adapter(full, tmp_path / "lora")
    edit(tmp_path / "lora", **change)
    with pytest.raises(ModelError, match=why):
        apply_adapter(plain, tmp_path / "lora")


def test_no_adapter_a_broken_one_and_one_for_another_model(full, tmp_path):
    plain, folder = copy.deepcopy(full), tmp_path / "lora"
    with pytest.raises(ModelError, match="not a LoRA adapter: it has no adapter_config"):
        apply_adapter(plain, folder)
    adapter(full, folder)
    weights = folder / "adapter_model.safetensors"
    tensors = load_file(weights)
    before = logits(plain)
    save_file({name: tensor[..., :-1].contiguous() for name, tensor in tensors.items()}, weights)
    with pytest.raises(ModelError, match=r"not \d+ by \d+"):
        apply_adapter(plain, folder)
    save_file({name.replace("layers.1", "layers.11"): tensor for name, tensor in tensors.items()}, weights)
    with pytest.raises(ModelError, match=r"layers\.11\..* it is for another model"):
        apply_adapter(plain, folder)
    weights.write_bytes(weights.read_bytes()[:1000])
    with pytest.raises(ModelError, match="cannot be read"):
        apply_adapter(plain, folder)
    weights.rename(folder / "adapter_model.bin")
    with pytest.raises(ModelError, match="other formats can run code"):
        apply_adapter(plain, folder)
    assert torch.equal(before, logits(plain))
