"""inspect_model: what a model directory has to have, and what each error says."""

import json

import pytest
import torch
from safetensors.torch import save_file

from kb_assistant.errors import ModelError
from kb_assistant.llms.checkpoints.model_files import INDEX, inspect_model, tensor_names


@pytest.fixture
def model(tmp_path):
    """A directory that passes: a config, a tokenizer and whole weights."""
    directory = tmp_path / "model"
    directory.mkdir()
    (directory / "config.json").write_text(json.dumps({"model_type": "qwen2"}), encoding="utf-8")
    (directory / "tokenizer.json").write_text("{}", encoding="utf-8")
    save_file({"a": torch.zeros(4, 4), "b": torch.ones(2)}, directory / "model.safetensors")
    return directory


def configure(model, **entries):
    config = json.loads((model / "config.json").read_text(encoding="utf-8"))
    (model / "config.json").write_text(json.dumps({**config, **entries}), encoding="utf-8")


def test_a_whole_directory_passes(model):
    files = inspect_model(model)
    assert files.low_bit is None
    assert [file.name for file in files.weights] == ["model.safetensors"]
    assert tensor_names(files.weights[0]) == {"a", "b"}


def test_a_low_bit_directory_is_told_by_its_config(model):
    configure(model, bigdl_transformers_low_bit="sym_int4")
    assert inspect_model(model).low_bit == "sym_int4"


def test_sharded_weights_pass(model):
    (model / "model.safetensors").rename(model / "model-00001-of-00001.safetensors")
    index = {"weight_map": {"a": "model-00001-of-00001.safetensors", "b": "model-00001-of-00001.safetensors"}}
    (model / INDEX).write_text(json.dumps(index), encoding="utf-8")
    assert [file.name for file in inspect_model(model).weights] == ["model-00001-of-00001.safetensors"]


def test_no_directory(tmp_path):
    with pytest.raises(ModelError, match=r"no model directory .*absent; "):
        inspect_model(tmp_path / "absent")


def test_no_config(model):
    (model / "config.json").unlink()
    with pytest.raises(ModelError, match=r"not a model directory: it has no config\.json"):
        inspect_model(model)


@pytest.mark.parametrize("content", ["{", "[]", "\udcff"])
def test_a_config_that_is_no_json_object(model, content):
    (model / "config.json").write_bytes(content.encode("utf-8", "surrogateescape"))
    with pytest.raises(ModelError, match=r"cannot read .*config\.json"):
        inspect_model(model)


def test_no_tokenizer(model):
    (model / "tokenizer.json").unlink()
    with pytest.raises(ModelError, match=r"has no tokenizer \(none of tokenizer\.json"):
        inspect_model(model)


def test_no_weights(model):
    (model / "model.safetensors").unlink()
    with pytest.raises(ModelError, match=r"lacks its weights: model\.safetensors is missing"):
        inspect_model(model)


@pytest.mark.parametrize("pickle", ["pytorch_model.bin", "consolidated.00.pt", "model.ckpt"])
def test_weights_only_as_a_pickle(model, pickle):
    (model / "model.safetensors").rename(model / pickle)
    with pytest.raises(ModelError, match=f"only as {pickle}, a format that can run code"):
        inspect_model(model)


def test_an_index_cannot_name_pickles(model):
    (model / "evil.bin").write_bytes(b"")
    (model / INDEX).write_text(json.dumps({"weight_map": {"a": "evil.bin"}}), encoding="utf-8")
    with pytest.raises(ModelError, match="kb takes safetensors only"):
        inspect_model(model)


def test_a_shard_is_missing(model):
    index = {"weight_map": {"a": "model.safetensors", "b": "model-2.safetensors"}}
    (model / INDEX).write_text(json.dumps(index), encoding="utf-8")
    with pytest.raises(ModelError, match=r"lacks its weights: model-2\.safetensors is missing"):
        inspect_model(model)


@pytest.mark.parametrize("kept", [0, 5, 20, -1])
def test_weights_cut_short(model, kept):
    weights = model / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:kept])
    with pytest.raises(ModelError, match=r"model\.safetensors are broken"):
        inspect_model(model)


def test_weights_that_are_something_else(model):
    (model / "model.safetensors").write_bytes(b"\x0c\0\0\0\0\0\0\0<html></html>")
    with pytest.raises(ModelError, match="its header cannot be read"):
        inspect_model(model)


def test_code_of_its_own_has_to_be_trusted(model):
    configure(model, auto_map={"AutoModelForCausalLM": "modeling_x.X"})
    with pytest.raises(ModelError, match=r"needs Python code from its folder.*trust_remote_code"):
        inspect_model(model)
    assert inspect_model(model, trust_remote_code=True).weights
