"""IpexEngine: loading, saving, refusing, quiet, and the model's own peculiarities."""

import gc
import json
import os
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import torch
from paths import ROOT
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedTokenizerBase

from kb_assistant.errors import ModelError, UsageError
from kb_assistant.llms import ENGINES, load_engine
from kb_assistant.llms.checkpoints.model_files import LOW_BIT_INDEX
from kb_assistant.llms.ipex.engine import CPU_LOW_BITS, IpexEngine
from kb_assistant.llms.ipex.loading import convert, load_low_bit
from kb_assistant.llms.ipex.runtime import activation_dtype
from kb_assistant.settings import Settings


@pytest.fixture(scope="module")
def engine(small_model_int4):
    return IpexEngine.load(small_model_int4, max_new_tokens=64)


@pytest.fixture
def copy_of(tmp_path):
    """Copy a model directory to where a test may change it."""

    def copy(model: Path) -> Path:
        return Path(shutil.copytree(model, tmp_path / "copy"))

    return copy


def edit(file: Path, **entries):
    file.write_text(json.dumps({**json.loads(file.read_text("utf-8")), **entries}), encoding="utf-8")


def answers(engine, lessons):
    return [engine.invoke(prompt) for prompt, _ in lessons]


# By name


def test_an_engine_is_loaded_by_name(small_model_int4, lessons):
    settings = Settings(model=small_model_int4.name, max_new_tokens=32)
    engine = load_engine("ipex", settings, small_model_int4.parent)
    assert isinstance(engine, IpexEngine)
    assert engine.max_new_tokens == 32
    assert engine.invoke(lessons[0][0]) == lessons[0][1]


def test_an_unknown_engine_is_refused_with_the_known_ones(tmp_path):
    with pytest.raises(UsageError, match=f"unknown engine 'ipx'; choose one of: {', '.join(sorted(ENGINES))}"):
        load_engine("ipx", Settings(), tmp_path)


# Formats


@pytest.mark.parametrize("low_bit", CPU_LOW_BITS)
def test_every_format_answers_and_comes_back_from_disk_the_same(small_model, lessons, tmp_path, low_bit):
    converted = IpexEngine.load(small_model, low_bit=low_bit, max_new_tokens=64)
    convert(small_model, tmp_path / "saved", low_bit)
    saved = IpexEngine.load(tmp_path / "saved", max_new_tokens=64)
    assert saved.low_bit == low_bit
    assert saved.model.dtype == converted.model.dtype
    given, wanted = answers(converted, lessons[3:5]), [answer for _, answer in lessons[3:5]]
    assert given == answers(saved, lessons[3:5]) == wanted


def test_int4_is_what_is_computed_with(small_model, engine):
    layer = engine.model.model.layers[0].self_attn.o_proj
    full = AutoModelForCausalLM.from_pretrained(small_model).model.layers[0].self_attn.o_proj.weight
    tensors = [layer.weight, layer.scales] if hasattr(layer, "scales") else [layer.weight]
    held = sum(tensor.numel() * tensor.element_size() for tensor in tensors)
    # Half a byte for each weight, and two bytes of scale for 64 of them; two more where torch's kernel computes.
    assert full.numel() // 2 + full.numel() // 64 * 2 <= held <= full.numel() // 2 + full.numel() // 64 * 4


def test_activations_are_in_what_the_cpu_is_fast_in(engine):
    assert engine.model.dtype == activation_dtype()


def test_an_unknown_format_is_refused_with_those_a_cpu_runs(small_model):
    with pytest.raises(UsageError, match=r"unknown low_bit 'fp6'; a CPU can run sym_int4, .*bf16"):
        IpexEngine.load(small_model, low_bit="fp6")


def test_a_model_saved_in_a_format_for_other_machines_is_refused(small_model_int4, copy_of):
    model = copy_of(small_model_int4)
    edit(model / "config.json", bigdl_transformers_low_bit="fp6")
    with pytest.raises(ModelError, match="is converted to fp6, which a CPU cannot run"):
        IpexEngine.load(model)


# Saving


def test_what_is_saved_holds_no_pickle_and_is_readable_by_all(small_model_int4):
    files = {file.name: file for file in small_model_int4.iterdir()}
    assert {"config.json", "model.safetensors", "tokenizer.json", LOW_BIT_INDEX} <= files.keys()
    assert not [name for name in files if name.endswith((".bin", ".pt"))]
    assert all(file.stat().st_mode & 0o444 == 0o444 for file in files.values())
    assert os.access(small_model_int4, os.R_OK | os.X_OK)


def test_what_ipex_llm_itself_saved_loads(small_model, tmp_path, lessons):
    model, tokenizer, _ = load_low_bit(small_model, "sym_int4", trust_remote_code=False)
    model.save_low_bit(str(tmp_path / "theirs"))
    tokenizer.save_pretrained(tmp_path / "theirs")
    assert (tmp_path / "theirs" / "pytorch_model.bin").is_file()
    loaded = IpexEngine.load(tmp_path / "theirs", max_new_tokens=64)
    assert answers(loaded, lessons[:2]) == [answer for _, answer in lessons[:2]]


def test_nothing_is_overwritten(small_model, tmp_path):
    (tmp_path / "there").mkdir()
    with pytest.raises(ModelError, match="it already exists"):
        convert(small_model, tmp_path / "there")


def test_a_save_that_fails_half_way_leaves_nothing(small_model, tmp_path, monkeypatch):
    def full_disk(_, directory):
        assert list(Path(directory).glob("*.safetensors"))
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(PreTrainedTokenizerBase, "save_pretrained", full_disk)
    with pytest.raises(ModelError, match="No space left on device"):
        convert(small_model, tmp_path / "saved")
    assert list(tmp_path.iterdir()) == []


def test_a_place_that_cannot_be_written_is_a_model_error(small_model, tmp_path):
    (tmp_path / "file").write_text("x", encoding="utf-8")
    with pytest.raises(ModelError, match="choose another folder"):
        convert(small_model, tmp_path / "file" / "saved")


# Refusing


def test_a_missing_directory(tmp_path):
    with pytest.raises(ModelError, match="no model directory"):
        IpexEngine.load(tmp_path / "absent")


@pytest.mark.parametrize("kind", ["small_model", "small_model_int4"])
def test_weights_cut_short(request, copy_of, kind):
    model = copy_of(request.getfixturevalue(kind))
    weights = model / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1000])
    with pytest.raises(ModelError, match=r"model\.safetensors are broken: it has [\d,]+ of [\d,]+ bytes"):
        IpexEngine.load(model)


def test_missing_tensors_are_not_filled_with_random_numbers(small_model, copy_of):
    model = copy_of(small_model)
    tensors = load_file(model / "model.safetensors")
    del tensors["model.layers.1.mlp.up_proj.weight"]
    save_file(tensors, model / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ModelError, match=r"lacks 1 of its tensors, such as model\.layers\.1\.mlp\.up_proj\.weight"):
        IpexEngine.load(model)


def test_missing_tensors_of_saved_int4(small_model_int4, copy_of):
    model = copy_of(small_model_int4)
    tensors = load_file(model / "model.safetensors")
    del tensors["model.norm.weight"]
    save_file(tensors, model / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ModelError, match=r"lacks 1 of its tensors, such as model\.norm\.weight"):
        IpexEngine.load(model)


def test_weights_of_another_model(small_model, copy_of):
    model = copy_of(small_model)
    tensors = load_file(model / "model.safetensors")
    tensors["model.norm.weight"] = torch.ones(128)
    save_file(tensors, model / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ModelError, match="cannot load the model"):
        IpexEngine.load(model)


def test_an_architecture_that_is_not_known(small_model, copy_of):
    model = copy_of(small_model)
    edit(model / "config.json", model_type="qwen9")
    with pytest.raises(ModelError, match=r"cannot load the model .*qwen9"):
        IpexEngine.load(model)


def test_a_tokenizer_that_cannot_be_read(small_model, copy_of):
    model = copy_of(small_model)
    for name in ("vocab.json", "merges.txt"):
        (model / name).unlink(missing_ok=True)
    (model / "tokenizer.json").write_text("{}", encoding="utf-8")
    with pytest.raises(ModelError, match="cannot read the tokenizer"):
        IpexEngine.load(model)


def test_a_tokenizer_of_another_model(small_model, shared_models, copy_of):
    model = copy_of(small_model)
    for file in model.glob("*token*"):
        file.unlink()
    for file in (shared_models / "qwen2-tokenizer").iterdir():
        (model / file.name).unlink(missing_ok=True)
        shutil.copyfile(file, model / file.name)
    with pytest.raises(ModelError, match=r"does not belong to the model: it uses token 151,645, and the model has"):
        IpexEngine.load(model)


def test_code_that_a_model_brings_does_not_run_untrusted(small_model, copy_of, tmp_path):
    model = copy_of(small_model)
    marker = tmp_path / "ran"
    (model / "modeling_own.py").write_text(f"open({str(marker)!r}, 'w')\n", encoding="utf-8")
    edit(model / "config.json", auto_map={"AutoModelForCausalLM": "modeling_own.Own"}, model_type="own")
    with pytest.raises(ModelError, match="needs Python code from its folder"):
        IpexEngine.load(model)
    assert not marker.exists()


def test_no_threads_are_refused(small_model_int4):
    with pytest.raises(UsageError, match="threads must be at least 1, not 0"):
        IpexEngine.load(small_model_int4, threads=0)


# Generating


def test_threads_reach_the_thread_that_computes(small_model_int4, lessons):
    before, used = torch.get_num_threads(), []
    try:
        engine = IpexEngine.load(small_model_int4, threads=1)
        engine.model.register_forward_pre_hook(lambda *_: used.append(torch.get_num_threads()))
        engine.invoke(lessons[0][0], max_new_tokens=2)
    finally:
        torch.set_num_threads(before)
    assert set(used) == {1}


def test_the_generation_ends_within_one_token(small_model_int4, lessons):
    """Each token waits for the gate; the stream is closed while the fourth one waits."""
    engine = IpexEngine.load(small_model_int4)
    gate, done = threading.Semaphore(3), []
    engine.model.register_forward_pre_hook(lambda *_: gate.acquire() and None)
    engine.model.register_forward_hook(lambda *_: done.append(1))
    stream = engine.stream(lessons[4][0])
    next(stream)
    while len(done) < 3:
        time.sleep(0.01)
    closing = threading.Thread(target=stream.close)
    closing.start()
    closing.join(0.3)
    assert closing.is_alive()  # it waits for the generation, which waits at the gate
    gate.release(100)
    closing.join(10)
    assert not closing.is_alive()
    assert len(done) <= 3


def test_a_long_prompt_is_left_in_the_middle(small_model_int4, lessons):
    """The first token of a long prompt takes seconds: cancelling does not wait for it."""
    engine = IpexEngine.load(small_model_int4)
    cancelled, layers = threading.Event(), []
    first, second = engine.model.model.layers
    first.register_forward_hook(lambda *_: cancelled.set())
    second.register_forward_hook(lambda *_: layers.append(1))
    pieces = list(engine.generate_pieces(lessons[0][0], stop=(), max_new_tokens=9, cancelled=cancelled))
    assert [piece.finish_reason for piece in pieces] == ["cancelled"]
    assert not layers


def test_no_hook_stays_on_the_model(engine, lessons):
    engine.invoke(lessons[0][0])
    assert not any(module._forward_pre_hooks for module in engine.model.modules())


def test_an_error_while_generating_comes_through(small_model_int4, lessons):
    engine = IpexEngine.load(small_model_int4)

    def fail(*_):
        raise MemoryError("no room for the cache")

    engine.model.model.layers[1].register_forward_hook(fail)
    with pytest.raises(MemoryError, match="no room"):
        engine.invoke(lessons[0][0])
    assert not [thread for thread in threading.enumerate() if thread.name == "kb-ipex"]


def test_every_end_token_of_the_config_ends_the_answer_and_does_not_show(small_model_int4, copy_of, lessons):
    prompt, answer = lessons[4]
    model = copy_of(small_model_int4)
    tokenizer = AutoTokenizer.from_pretrained(model)
    ids = tokenizer.encode(answer)
    end = next(number for number in ids[3:] if ids.count(number) == 1)
    edit(model / "generation_config.json", eos_token_id=[tokenizer.eos_token_id, end])
    engine = IpexEngine.load(model)
    result = engine.generate([prompt])
    assert result.generations[0][0].text == tokenizer.decode(ids[: ids.index(end)])
    assert result.llm_output["finish_reason"] == "stop"


def test_settings_of_the_model_that_sample_are_not_followed(small_model_int4, copy_of, lessons, recwarn):
    model = copy_of(small_model_int4)
    edit(
        model / "generation_config.json",
        do_sample=True,
        temperature=50.0,
        top_p=0.9,
        top_k=20,
        repetition_penalty=9.0,
    )
    engine = IpexEngine.load(model)
    assert answers(engine, lessons) == [answer for _, answer in lessons]
    assert not [warning for warning in recwarn if "temperature" in str(warning.message)]


def test_ipex_llm_performance_mode_changes_nothing(engine, lessons, monkeypatch):
    monkeypatch.setenv("IPEX_LLM_PERFORMANCE_MODE", "1")
    assert engine.invoke(lessons[0][0]) == lessons[0][1]


def test_the_system_prompt_is_counted_and_identifies_the_engine(small_model_int4):
    plain = IpexEngine.load(small_model_int4)
    told = IpexEngine.load(small_model_int4, system_prompt="请用中文回答。" * 5)
    assert told.count_prompt_tokens("年假？") > plain.count_prompt_tokens("年假？")
    assert told._identifying_params != plain._identifying_params
    assert "请用中文回答" not in repr(told)


def test_the_memory_of_an_engine_is_given_back(small_model_int4, lessons):
    import weakref

    engine = IpexEngine.load(small_model_int4)
    engine.invoke(lessons[0][0], max_new_tokens=2)
    model = weakref.ref(engine.model)
    del engine
    gc.collect()
    assert model() is None


@pytest.mark.parametrize("prompt", ["Once upon a time", "I dream of", "The sea"])
def test_a_really_trained_llama_goes_on_as_in_floating_point(shared_models, prompt):
    path = shared_models / "aidreams260K-llama" / "hf"
    tokenizer = AutoTokenizer.from_pretrained(path, clean_up_tokenization_spaces=False)
    ids = tokenizer(prompt, return_tensors="pt").input_ids
    full = AutoModelForCausalLM.from_pretrained(path).generate(
        ids, attention_mask=torch.ones_like(ids), max_new_tokens=40, do_sample=False, pad_token_id=2
    )
    reference = tokenizer.decode(full[0, ids.shape[1] :])
    # Eight bits are as good as all of them; at four, so small a model soon goes another way.
    assert IpexEngine.load(path, low_bit="sym_int8", max_new_tokens=40).invoke(prompt) == reference
    text = IpexEngine.load(path, max_new_tokens=40).invoke(prompt)
    assert text.startswith(reference[:4])
    assert len(text.split()) > 5


def test_the_window_is_that_of_the_config(shared_models):
    engine = IpexEngine.load(shared_models / "aidreams260K-llama" / "hf", max_new_tokens=100)
    assert engine.context_tokens == 128
    with pytest.raises(UsageError, match="the answer may take 100, but the model's context is 128"):
        engine.invoke("Once upon a time, there was a little girl who lived by the sea with her old father")


# Quiet


def run_python(code, *arguments):
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("HF_", "TRANSFORMERS_"))}
    return subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_whole_run_says_nothing_and_leaves_logging_alone(small_model, small_model_int4, tmp_path, lessons):
    code = """
import logging, os, sys
from pathlib import Path
from kb_assistant.llms.ipex.engine import IpexEngine
from kb_assistant.llms.ipex.loading import convert
root = logging.getLogger()
before = list(root.handlers), root.level
convert(Path(sys.argv[1]), Path(sys.argv[3]))
IpexEngine.load(Path(sys.argv[1]))
engine = IpexEngine.load(Path(sys.argv[2]))
answer = engine.invoke(sys.argv[4])
try:
    IpexEngine.load(Path(sys.argv[1]).parent)
except Exception as error:
    assert type(error).__name__ == "ModelError"
assert (list(root.handlers), root.level) == before, root.handlers
assert not {"HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"} & set(os.environ)  # a library leaves them alone
sys.stdout.buffer.write(answer.encode())
"""
    result = run_python(code, small_model, small_model_int4, tmp_path / "saved", lessons[0][0])
    assert result.stderr == ""
    assert result.stdout == lessons[0][1]
    assert result.returncode == 0


def test_the_module_is_imported_without_torch():
    code = """
import sys
import kb_assistant.llms, kb_assistant.llms.chat_format, kb_assistant.llms.checkpoints.model_files
assert "langchain_core" not in sys.modules
import kb_assistant.llms.ipex.engine
assert not {"torch", "transformers", "ipex_llm"} & set(sys.modules)
"""
    result = run_python(code)
    assert (result.returncode, result.stderr) == (0, "")
