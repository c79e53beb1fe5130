"""`kb models`: convert the small test model for real, list it, answer with it, remove it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from handbook_model import SETTINGS
from paths import SAMPLES

from kb_assistant.errors import ModelError
from kb_assistant.llms.checkpoints.model_files import inspect_model
from kb_assistant.models.convert import convert_model
from kb_assistant.models.registry import list_models, model_lock, remove_model


def test_a_converted_model_answers_and_is_listed_and_removed(
    kb: Callable[..., Any], small_model: Path, taught: list[Any], own_home: Path
) -> None:
    made = kb("models", "convert", small_model, "--name", "small", "--json")
    assert made.code == 0
    assert made.json()["format"] == "sym_int4"
    assert made.json()["made_from"] == str(small_model.resolve())
    record = json.loads((own_home / "models" / "small" / "kb_model.json").read_text())
    assert set(record) == {"made_from", "weights_sha256", "low_bit", "ipex_llm"}
    (listed,) = kb("models", "list", "--json").json()
    assert (listed["name"], listed["kind"], listed["format"]) == ("small", "language", "sym_int4")
    assert listed["bytes"] < sum(file.stat().st_size for file in small_model.glob("*.safetensors"))

    kb("ingest", SAMPLES)
    asked = kb("ask", taught[0].question.text, "--model", "small", "--json").json()
    assert asked["engine"] == "ipex"
    assert asked["usage"]["completion_tokens"] > 0

    again = kb("models", "convert", small_model, "--name", "small")
    assert again.code == 2
    assert "already exists" in again.err
    twice = kb("models", "convert", own_home / "models" / "small", "--name", "twice")
    assert twice.code == 3
    assert "is converted to sym_int4 already" in twice.err
    assert kb("models", "remove", "small").code == 0
    assert kb("models", "list").out.startswith("no models in ")


@pytest.mark.parametrize("kind", ["small_model", "small_model_gguf"])
def test_a_model_converted_for_openvino_answers_and_is_listed(
    kb: Callable[..., Any], request: pytest.FixtureRequest, kind: str, taught: list[Any], own_home: Path
) -> None:
    source = request.getfixturevalue(kind)
    made = kb("models", "convert", source, "--to", "openvino", "--name", "小模型", "--json")
    assert (made.code, made.json()["format"]) == (0, "openvino")
    assert made.json()["made_from"] == str(source.resolve())
    folder = own_home / "models" / "小模型"
    assert set(json.loads((folder / "kb_model.json").read_text())) == {"made_from", "weights_sha256", "openvino_genai"}
    assert not list(folder.glob("*.gguf"))
    (listed,) = kb("models", "list", "--json").json()
    assert (listed["name"], listed["kind"], listed["format"]) == ("小模型", "language", "openvino")

    kb("ingest", SAMPLES)
    assert "ok    engine: openvino: 小模型 loads" in kb("doctor", "--model", "小模型").out
    for lesson in (taught[0], taught[-1]):
        asked = kb("ask", lesson.question.text, "--model", "小模型", "--json").json()
        assert asked["engine"] == "openvino"
        assert asked["usage"]["completion_tokens"] > 0

    twice = kb("models", "convert", folder, "--to", "openvino", "--name", "twice")
    assert twice.code == 3
    assert "is in OpenVINO's format already" in twice.err
    assert [path.name for path in (own_home / "models").iterdir()] == ["小模型"]


def test_what_openvino_cannot_make_is_refused(
    kb: Callable[..., Any], small_model: Path, small_model_int4: Path, small_model_gguf: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    shutil.copytree(small_model, other)
    config = json.loads((other / "config.json").read_text())
    (other / "config.json").write_text(json.dumps({**config, "model_type": "mistral"}))
    scaled = tmp_path / "scaled"
    shutil.copytree(small_model, scaled)
    (scaled / "config.json").write_text(json.dumps({**config, "rope_scaling": {"type": "yarn", "factor": 4.0}}))
    smaller = tmp_path / "smaller"
    shutil.copytree(small_model, smaller)
    (smaller / "config.json").write_text(json.dumps({**config, "vocab_size": 100}))
    cut = tmp_path / "cut.gguf"
    cut.write_bytes(small_model_gguf.read_bytes()[:-1000])
    for source, options, code, message in (
        (other, (), 3, "of the family 'mistral', only qwen2, llama, internlm2, baichuan; docs/models.md"),
        (scaled, (), 3, "with rope_scaling in its config.json"),
        (smaller, (), 3, "does not belong to the model"),
        (small_model_int4, (), 3, "is converted to sym_int4 already"),
        (cut, (), 3, "is truncated: it has"),
        (small_model, ("--low-bit", "sym_int8"), 2, "--low-bit sym_int8 is for ipex only"),
    ):
        done = kb("models", "convert", source, "--to", "openvino", "--name", "made", *options)
        assert done.code == code
        assert message in done.err
    assert kb("models", "convert", small_model, "--to", "cuda").code == 2
    assert kb("models", "list").out.startswith("no models in ")


def test_a_gguf_file_among_the_models_is_listed_and_removed(tmp_path: Path, small_model_gguf: Path) -> None:
    shutil.copyfile(small_model_gguf, tmp_path / "small.gguf")
    (listed,) = list_models(tmp_path)
    size = small_model_gguf.stat().st_size
    assert (listed.name, listed.kind, listed.format, listed.bytes) == ("small.gguf", "language", "gguf", size)
    assert remove_model(tmp_path, "small.gguf").kind == "language"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["", "..", "../elsewhere", "a/b", ".hidden", "a\\b"])
def test_a_name_is_no_path(kb: Callable[..., Any], tmp_path: Path, name: str) -> None:
    for command in (("convert", tmp_path, "--name"), ("remove",)):
        done = kb("models", *command, name) if name else kb("models", "remove", name)
        assert done.code == 2
        assert "cannot be a model's name" in done.err


def test_what_is_no_model_is_not_converted(kb: Callable[..., Any], tmp_path: Path, own_home: Path) -> None:
    done = kb("models", "convert", tmp_path / "nothing")
    assert done.code == 3
    assert "no model directory" in done.err
    assert kb("models", "convert", tmp_path, "--low-bit", "int3").code == 2
    assert not (own_home / "models").exists()


def test_a_conversion_that_was_broken_off_is_no_model(tmp_path: Path) -> None:
    (tmp_path / ".small.x1").mkdir()
    assert list_models(tmp_path) == []


def test_a_linked_model_is_only_unlinked(tmp_path: Path, small_model: Path) -> None:
    brought = tmp_path / "brought"
    shutil.copytree(small_model, brought)
    folder = tmp_path / "models"
    folder.mkdir()
    (folder / "linked").symlink_to(brought)
    assert remove_model(folder, "linked").kind == "language"
    assert list_models(folder) == []
    assert (brought / "config.json").is_file()


@pytest.mark.parametrize("left", ["unfinished", "unpacked", "removed"])
def test_what_a_killed_process_left_is_removed_by_the_next(small_model_int4, tmp_path, left):
    models = tmp_path / "models"
    shutil.copytree(small_model_int4, models / "m")
    (models / f".m.{left}").mkdir()
    (models / f".m.{left}" / "model.safetensors").write_bytes(b"0" * 1000)
    assert [one.name for one in list_models(models)] == ["m"]
    remove_model(models, "m")
    assert list(models.iterdir()) == []


def test_a_conversion_begins_where_another_was_killed(small_model, tmp_path):
    models = tmp_path / "models"
    (models / ".m.unfinished").mkdir(parents=True)
    (models / ".m.unfinished" / "config.json").write_text("{", encoding="utf-8")
    convert_model(small_model, models, name="m")
    assert [one.name for one in models.iterdir()] == ["m"]


def test_one_process_at_a_time_writes_a_model(small_model, tmp_path):
    with (
        model_lock(tmp_path / "models", "m"),
        pytest.raises(ModelError, match="another kb process is using the model m"),
    ):
        convert_model(small_model, tmp_path / "models", name="m")


@pytest.mark.parametrize("weight_map", [["model.safetensors"], {"a": 1}, None])
def test_an_index_that_says_nothing_is_named(small_model_int4, tmp_path, weight_map):
    model = Path(shutil.copytree(small_model_int4, tmp_path / "copy"))
    (model / "pytorch_model.bin.index.json").write_text(json.dumps({"weight_map": weight_map}), encoding="utf-8")
    with pytest.raises(ModelError, match="does not list the weight files"):
        inspect_model(model)


def test_a_llama_is_converted_and_answers(
    kb: Callable[..., Any], small_model: Path, taught: list[Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The small model's weights in the other family's form: a Llama with biases computes the same."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaConfig, LlamaForCausalLM

    trained = AutoModelForCausalLM.from_pretrained(small_model)
    own = trained.config
    same = ("vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads")
    same += ("num_key_value_heads", "rms_norm_eps", "rope_theta", "max_position_embeddings", "tie_word_embeddings")
    ends = {"eos_token_id": own.eos_token_id, "pad_token_id": own.pad_token_id, "bos_token_id": None}
    llama = LlamaForCausalLM(LlamaConfig(attention_bias=True, **{name: getattr(own, name) for name in same}, **ends))
    weights = trained.state_dict()
    extra = set(llama.state_dict()) - set(weights)
    assert {name.rpartition("self_attn.")[2] for name in extra} == {"o_proj.bias"}
    llama.load_state_dict({**weights, **{name: torch.zeros(own.hidden_size) for name in extra}})
    llama.save_pretrained(tmp_path / "llama")
    AutoTokenizer.from_pretrained(small_model).save_pretrained(tmp_path / "llama")

    assert kb("models", "convert", tmp_path / "llama", "--name", "llama-int4").code == 0
    kb("ingest", SAMPLES)
    for name, value in SETTINGS.items():
        monkeypatch.setenv(f"KB_{name.upper()}", str(value))
    for lesson in (taught[0], taught[-1]):
        asked = kb("ask", lesson.question.text, "--model", "llama-int4", "--json").json()
        assert (asked["engine"], asked["refused"]) == ("ipex", False)
        assert lesson.gold in asked["answer"]
        assert asked["citations"][0]["source"] == lesson.source
