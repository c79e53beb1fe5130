"""InternLM2, ChatGLM3 and Baichuan2 written as a Llama: the logits are those of what their papers describe."""

import json
import shutil
from typing import ClassVar

import peft
import pytest
import torch
from safetensors.torch import save_file
from torch.nn import functional
from transformers import AutoModelForCausalLM, AutoTokenizer

from kb_assistant.errors import ModelError
from kb_assistant.llms.checkpoints.llama_form import write_as_llama
from kb_assistant.llms.checkpoints.model_files import inspect_model
from kb_assistant.llms.ipex.engine import IpexEngine
from kb_assistant.llms.openvino.engine import OpenVinoEngine
from kb_assistant.models.convert import convert_model

SIZE, INNER, LAYERS = 128, 192, 2
CODE = {"AutoModelForCausalLM": "modeling_own.Own", "AutoConfig": "configuration_own.Own"}
RAISES = "raise SystemExit('the code of the folder has run')\n"


class Family:
    """A small model with random weights in a family's form, and what its papers say that it computes."""

    name: str
    heads = 8
    groups = 2
    layers = "model.layers"
    first, last, head = "model.embed_tokens", "model.norm", "lm_head"
    joined: str
    """The layer that makes queries, keys and values, and of how many rows."""
    shapes: dict
    """Those of a layer's other tensors."""
    config: dict

    @property
    def width(self):
        return SIZE // self.heads

    @property
    def rows(self):
        return (self.heads + 2 * self.groups) * self.width

    @property
    def vocabulary(self):
        return self.config.get("padded_vocab_size") or self.config["vocab_size"]

    def tensors(self):
        """Random weights under the family's own names."""
        layer = {f"{self.joined}.weight": (self.rows, SIZE), **self.shapes}
        shapes = {f"{self.layers}.{number}.{name}": shape for number in range(LAYERS) for name, shape in layer.items()}
        ends = {self.first: (self.vocabulary, SIZE), self.last: (SIZE,), self.head: (self.vocabulary, SIZE)}
        shapes |= {f"{name}.weight": shape for name, shape in ends.items()}
        made = torch.Generator().manual_seed(0)
        return {
            name: torch.randn(shape, generator=made) / (5 if len(shape) == 1 else shape[-1] ** 0.5)
            for name, shape in shapes.items()
        }

    def logits(self, tensors, ids):
        """What the family computes, of shape (tokens, vocabulary)."""
        hidden = tensors[f"{self.first}.weight"][ids]
        for number in range(LAYERS):
            prefix = f"{self.layers}.{number}."
            layer = {name.removeprefix(prefix): one for name, one in tensors.items() if name.startswith(prefix)}
            hidden = self.step(layer, hidden)
        return normed(hidden, tensors[f"{self.last}.weight"]) @ self.heading(tensors[f"{self.head}.weight"]).T

    def heading(self, weight):
        return weight


class InternLM2(Family):
    name = "internlm2"
    first, head = "model.tok_embeddings", "output"
    joined = "attention.wqkv"
    shapes: ClassVar = {
        "attention.wo.weight": (SIZE, SIZE),
        "feed_forward.w1.weight": (INNER, SIZE),
        "feed_forward.w3.weight": (INNER, SIZE),
        "feed_forward.w2.weight": (SIZE, INNER),
        "attention_norm.weight": (SIZE,),
        "ffn_norm.weight": (SIZE,),
    }
    config: ClassVar = {
        "architectures": ["InternLM2ForCausalLM"],
        "model_type": "internlm2",
        "bias": False,
        "hidden_act": "silu",
        "hidden_size": SIZE,
        "intermediate_size": INNER,
        "max_position_embeddings": 32768,
        "num_attention_heads": 8,
        "num_hidden_layers": LAYERS,
        "num_key_value_heads": 2,
        "rms_norm_eps": 1e-5,
        "rope_scaling": {"factor": 2.0, "type": "dynamic"},
        "rope_theta": 1000000,
        "tie_word_embeddings": False,
        "torch_dtype": "float32",
        "vocab_size": 92544,
        "bos_token_id": 1,
        "eos_token_id": 2,
    }

    def step(self, layer, hidden):
        joined = normed(hidden, layer["attention_norm.weight"]) @ layer["attention.wqkv.weight"].T
        shared = self.heads // self.groups
        by_group = joined.view(len(hidden), self.groups, shared + 2, self.width)
        queries = by_group[:, :, :shared].reshape(len(hidden), self.heads, self.width)
        told = attended(halves(queries, 1e6), halves(by_group[:, :, shared], 1e6), by_group[:, :, shared + 1])
        hidden = hidden + told @ layer["attention.wo.weight"].T
        given = normed(hidden, layer["ffn_norm.weight"])
        gate, up = given @ layer["feed_forward.w1.weight"].T, given @ layer["feed_forward.w3.weight"].T
        return hidden + (functional.silu(gate) * up) @ layer["feed_forward.w2.weight"].T


class ChatGLM3(Family):
    name = "chatglm"
    layers = "transformer.encoder.layers"
    first = "transformer.embedding.word_embeddings"
    last, head = "transformer.encoder.final_layernorm", "transformer.output_layer"
    joined = "self_attention.query_key_value"
    shapes: ClassVar = {
        "self_attention.query_key_value.bias": (12 * SIZE // 8,),
        "self_attention.dense.weight": (SIZE, SIZE),
        "self_attention.rotary_pos_emb.inv_freq": (SIZE // 8 // 4,),
        "mlp.dense_h_to_4h.weight": (2 * INNER, SIZE),
        "mlp.dense_4h_to_h.weight": (SIZE, INNER),
        "input_layernorm.weight": (SIZE,),
        "post_attention_layernorm.weight": (SIZE,),
    }
    config: ClassVar = {
        "_name_or_path": "THUDM/chatglm3-6b",
        "architectures": ["ChatGLMModel"],
        "model_type": "chatglm",
        "add_bias_linear": False,
        "add_qkv_bias": True,
        "apply_residual_connection_post_layernorm": False,
        "ffn_hidden_size": INNER,
        "hidden_size": SIZE,
        "kv_channels": SIZE // 8,
        "layernorm_epsilon": 1e-5,
        "multi_query_attention": True,
        "multi_query_group_num": 2,
        "num_attention_heads": 8,
        "num_layers": LAYERS,
        "original_rope": True,
        "padded_vocab_size": 65024,
        "post_layer_norm": True,
        "rmsnorm": True,
        "seq_length": 8192,
        "tie_word_embeddings": False,
        "torch_dtype": "float32",
        "eos_token_id": 2,
        "pad_token_id": 0,
    }

    def step(self, layer, hidden):
        joined = normed(hidden, layer["input_layernorm.weight"]) @ layer["self_attention.query_key_value.weight"].T
        joined = (joined + layer["self_attention.query_key_value.bias"]).view(len(hidden), -1, self.width)
        queries, keys, values = joined.split([self.heads, self.groups, self.groups], 1)
        turned = self.width // 2  # the rest of a head stays as it is
        queries, keys = (
            torch.cat([neighbours(one[..., :turned], 1e4), one[..., turned:]], -1) for one in (queries, keys)
        )
        hidden = hidden + attended(queries, keys, values) @ layer["self_attention.dense.weight"].T
        given = normed(hidden, layer["post_attention_layernorm.weight"])
        gate, up = (given @ layer["mlp.dense_h_to_4h.weight"].T).chunk(2, -1)
        return hidden + (functional.silu(gate) * up) @ layer["mlp.dense_4h_to_h.weight"].T


class Baichuan2(Family):
    name = "baichuan"
    heads = groups = 4
    joined = "self_attn.W_pack"
    shapes: ClassVar = {
        "self_attn.o_proj.weight": (SIZE, SIZE),
        "self_attn.rotary_emb.inv_freq": (SIZE // 4 // 2,),
        "mlp.gate_proj.weight": (INNER, SIZE),
        "mlp.up_proj.weight": (INNER, SIZE),
        "mlp.down_proj.weight": (SIZE, INNER),
        "input_layernorm.weight": (SIZE,),
        "post_attention_layernorm.weight": (SIZE,),
    }
    config: ClassVar = {
        "architectures": ["BaichuanForCausalLM"],
        "model_type": "baichuan",
        "hidden_act": "silu",
        "hidden_size": SIZE,
        "intermediate_size": INNER,
        "max_position_embeddings": 4096,
        "model_max_length": 4096,
        "num_attention_heads": 4,
        "num_hidden_layers": LAYERS,
        "rms_norm_eps": 1e-5,
        "tie_word_embeddings": False,
        "torch_dtype": "float32",
        "vocab_size": 125696,
        "eos_token_id": 2,
    }

    def step(self, layer, hidden):
        joined = normed(hidden, layer["input_layernorm.weight"]) @ layer["self_attn.W_pack.weight"].T
        queries, keys, values = joined.view(len(hidden), 3, self.heads, self.width).unbind(1)
        told = attended(halves(queries, 1e4), halves(keys, 1e4), values)
        hidden = hidden + told @ layer["self_attn.o_proj.weight"].T
        given = normed(hidden, layer["post_attention_layernorm.weight"])
        gate, up = given @ layer["mlp.gate_proj.weight"].T, given @ layer["mlp.up_proj.weight"].T
        return hidden + (functional.silu(gate) * up) @ layer["mlp.down_proj.weight"].T

    def heading(self, weight):
        return functional.normalize(weight)


def normed(hidden, weight):
    return hidden * torch.rsqrt(hidden.pow(2).mean(-1, keepdim=True) + 1e-5) * weight


def angles(tokens, pairs, theta):
    """How far each pair is turned at each place, of shape (tokens, 1, pairs)."""
    return torch.outer(torch.arange(tokens), theta ** -(torch.arange(pairs) / pairs))[:, None]


def halves(heads, theta):
    """Turn pairs that are half a head apart."""
    first, second = heads.chunk(2, -1)
    by = angles(len(heads), heads.shape[-1] // 2, theta)
    return torch.cat([first * by.cos() - second * by.sin(), second * by.cos() + first * by.sin()], -1)


def neighbours(heads, theta):
    """Turn pairs that are beside each other."""
    first, second = heads[..., ::2], heads[..., 1::2]
    by = angles(len(heads), heads.shape[-1] // 2, theta)
    return torch.stack([first * by.cos() - second * by.sin(), second * by.cos() + first * by.sin()], -1).flatten(-2)


def attended(queries, keys, values):
    """Causal attention to heads that are shared, of shape (tokens, size)."""
    shared = queries.shape[1] // keys.shape[1]
    keys, values = (one.repeat_interleave(shared, 1).transpose(0, 1) for one in (keys, values))
    scores = queries.transpose(0, 1) @ keys.transpose(1, 2) / queries.shape[-1] ** 0.5
    later = torch.ones(scores.shape[-2:]).triu(1).bool()
    return (scores.masked_fill(later, -torch.inf).softmax(-1) @ values).transpose(0, 1).flatten(1)


INTERNLM2, CHATGLM3, BAICHUAN2 = InternLM2(), ChatGLM3(), Baichuan2()
FAMILIES = [INTERNLM2, CHATGLM3, BAICHUAN2]


@pytest.fixture
def made(shared_models, baichuan2_vocabulary, tmp_path):
    """Make the folder of a small model of a family, in two files, with code that ends the process where it runs."""

    vocabularies = {
        "internlm2": shared_models / "internlm2-tokenizer" / "tokenizer.model",
        "chatglm": shared_models / "chatglm-tokenizer" / "tokenizer.model",
        "baichuan": baichuan2_vocabulary,
    }

    def make(family, **changed):
        folder = tmp_path / family.name
        folder.mkdir()
        tensors = family.tensors()
        names = sorted(tensors)
        weight_map = {}
        for number, part in enumerate((names[::2], names[1::2]), 1):
            file = f"model-0000{number}-of-00002.safetensors"
            save_file({name: tensors[name] for name in part}, folder / file)
            weight_map |= dict.fromkeys(part, file)
        (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": weight_map}))
        (folder / "config.json").write_text(json.dumps({**family.config, "auto_map": CODE, **changed}))
        own = {"tokenizer_class": "OwnTokenizer", "auto_map": {"AutoTokenizer": ["tokenization_own.Own", None]}}
        (folder / "tokenizer_config.json").write_text(json.dumps(own))
        for code in ("modeling_own.py", "configuration_own.py", "tokenization_own.py"):
            (folder / code).write_text(RAISES)
        shutil.copyfile(vocabularies[family.name], folder / "tokenizer.model")
        return folder

    return make


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
def test_the_logits_are_those_of_the_family(made, tmp_path, family):
    folder = made(family)
    write_as_llama(inspect_model(folder), tmp_path / "llama")
    model = AutoModelForCausalLM.from_pretrained(tmp_path / "llama", local_files_only=True).eval()
    ids = torch.randint(3, 700, (300,), generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        got = model(input_ids=ids[None]).logits[0]
    wanted = family.logits(family.tensors(), ids)
    assert wanted.std() > 0.03
    assert (got - wanted).abs().max() < 1e-3 * wanted.std()
    assert not list((tmp_path / "llama").glob("*.py"))


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
def test_a_folder_is_converted_and_answers_without_its_code(made, kb, own_home, family):
    folder = made(family)
    refused = kb("doctor", "--model", folder)
    assert f"of the {family.name} family; convert it once: kb models convert {folder}" in refused.out + refused.err
    converted = kb("models", "convert", folder, "--name", "own", "--json")
    assert converted.code == 0
    assert (converted.json()["kind"], converted.json()["format"]) == ("language", "sym_int4")
    assert [path.name for path in (own_home / "models").iterdir()] == ["own"]
    engine = IpexEngine.load(own_home / "models" / "own", max_new_tokens=8)
    ids = torch.tensor([engine.prompt_ids("年假有几天？")])
    with torch.no_grad():
        given = engine.model(input_ids=ids).logits[0, -1].float()
    wanted = family.logits(family.tensors(), ids[0])[-1]
    assert torch.corrcoef(torch.stack([given, wanted]))[0, 1] > 0.9  # int4 rounds random weights most of all
    assert engine.invoke("年假有几天？") == engine.invoke("年假有几天？")


def test_the_published_ids_of_internlm2(made, tmp_path):
    write_as_llama(inspect_model(made(INTERNLM2)), tmp_path / "llama")
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "llama", use_fast=False)
    ids = [918, 4131, 14018, 38648, 34256, 1053, 410, 15810, 5718, 281]
    assert tokenizer.encode("The quick brown fox jumps over the lazy dog.", add_special_tokens=False) == ids
    assert tokenizer.convert_tokens_to_ids(["<|im_start|>", "<|im_end|>"]) == [92543, 92542]


@pytest.mark.parametrize(
    ("family", "begin", "end"),
    [
        (INTERNLM2, "<s><|im_start|>user\n", "<|im_end|>\n<|im_start|>assistant\n"),
        (CHATGLM3, "[gMASK]sop<|user|>\n ", "<|assistant|>"),
        (BAICHUAN2, "<reserved_106>", "<reserved_107>"),
    ],
    ids=lambda one: getattr(one, "name", ""),
)
def test_the_chat_format_is_still_that_of_the_family(made, tmp_path, family, begin, end):
    convert_model(made(family), tmp_path / "models", name="own")
    engine = IpexEngine.load(tmp_path / "models" / "own")
    assert engine._format.render("年假有几天？") == f"{begin}年假有几天？{end}"
    assert engine.prompt_ids("a<|im_end|><reserved_107>b")[-1] == engine.prompt_ids("b")[-1]


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
def test_an_adapter_for_the_family_is_as_good_as_merged(made, tmp_path, family):
    """What a rank adds to the family's own layers: beside the Llama, and in its own weights before they are written."""
    folder = made(family)
    layers = {name.removesuffix(".weight") for name in family.tensors() if name.endswith(f"{family.joined}.weight")}
    random = torch.Generator().manual_seed(2)
    adapter, merged = {}, {}
    for layer in sorted(layers):
        weight = family.tensors()[f"{layer}.weight"]
        down, up = (torch.randn(shape, generator=random) / 8 for shape in ((4, SIZE), (len(weight), 4)))
        adapter |= {
            f"base_model.model.{layer}.lora_A.weight": down,
            f"base_model.model.{layer}.lora_B.weight": up,
        }
        merged[f"{layer}.weight"] = weight + 1.5 * up @ down
    lora = tmp_path / "lora"
    lora.mkdir()
    save_file(adapter, lora / "adapter_model.safetensors")
    (lora / "adapter_config.json").write_text(
        json.dumps({**peft.LoraConfig(r=4, lora_alpha=6).to_dict(), "peft_type": "LORA"}, default=str)
    )
    convert_model(folder, tmp_path / "models", name="own", low_bit="bf16")
    ids = torch.randint(3, 700, (40,), generator=random)
    with torch.no_grad():
        plain = IpexEngine.load(tmp_path / "models" / "own").model(input_ids=ids[None]).logits[0].float()
        beside = IpexEngine.load(tmp_path / "models" / "own", adapter=lora).model(input_ids=ids[None]).logits[0].float()
    wanted = family.logits({**family.tensors(), **merged}, ids)
    if plain.shape[0] == 1:  # a head gives the last token only where there are many
        wanted = wanted[-1:]
    assert (beside - wanted).norm() < 0.1 * (plain - wanted).norm()


@pytest.mark.parametrize(
    ("family", "changed", "why"),
    [
        (INTERNLM2, {"rope_scaling": {"type": "yarn", "factor": 2.0}}, "has rope_scaling"),
        (INTERNLM2, {"hidden_act": "gelu"}, "has hidden_act 'gelu'"),
        (INTERNLM2, {"vocab_size": None, "intermediate_size": None}, "convert|cannot load|cannot read"),
        (INTERNLM2, {"num_key_value_heads": 4}, "do not fit together"),
        (INTERNLM2, {"num_attention_heads": 0}, "do not fit together"),
        (CHATGLM3, {"_name_or_path": "THUDM/chatglm2-6b"}, "only ChatGLM3 is supported"),
        (CHATGLM3, {"add_bias_linear": True}, "has add_bias_linear True"),
        (CHATGLM3, {"num_layers": "many"}, "cannot"),
        (BAICHUAN2, {"hidden_act": "gelu"}, "has hidden_act"),
    ],
)
def test_what_is_no_llama_is_refused(made, tmp_path, family, changed, why):
    folder = made(family, **changed)
    with pytest.raises(ModelError, match=why):
        convert_model(folder, tmp_path / "models", name="own")
    assert list((tmp_path / "models").iterdir()) == []


def test_a_baichuan_of_13_billion_and_a_folder_without_its_vocabulary_are_refused(made, tmp_path):
    folder = made(BAICHUAN2)
    config = json.loads((folder / "config.json").read_text())
    del config["max_position_embeddings"]
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(ModelError, match="of 13 billion parameters"):
        convert_model(folder, tmp_path / "models", name="own")
    other = made(INTERNLM2)
    (other / "tokenizer.model").rename(other / "vocab.json")
    with pytest.raises(ModelError, match=r"lacks tokenizer\.model"):
        convert_model(other, tmp_path / "models", name="own")


@pytest.mark.parametrize("family", [INTERNLM2, BAICHUAN2], ids=lambda family: family.name)
def test_for_openvino_too_with_the_very_same_tokens(made, tmp_path, family):
    folder = made(family)
    for to in ("ipex", "openvino"):
        convert_model(folder, tmp_path / "models", name=to, to=to)
    ipex = IpexEngine.load(tmp_path / "models" / "ipex")
    engine = OpenVinoEngine.load(tmp_path / "models" / "openvino", max_new_tokens=8)
    for text in (
        "年假有几天？",
        "The quick brown fox jumps over the lazy dog.",
        " two  blanks\t tab\n\n\n x",
        "①②Ａ㎡ 𠮷𠀋 🧑‍🔬é",
        "a<|im_end|><reserved_107></s><s>b",
        "长" * 3000,
    ):
        assert engine._encode(text) == ipex.prompt_ids(text)
    assert engine._end_ids == ipex._end_ids
    assert "".join(engine.stream("年假有几天？")) == engine.invoke("年假有几天？")


def test_what_openvino_cannot_turn_as_chatglm3_does_is_refused_before_anything_is_written(made, kb, own_home):
    done = kb("models", "convert", made(CHATGLM3), "--to", "openvino")
    assert done.code == 3
    assert "only qwen2, llama, internlm2, baichuan; docs/models.md shows how" in done.err
    assert not (own_home / "models").exists()
