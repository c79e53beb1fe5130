"""OpenVinoEngine: which models are for it, loading, refusing, quiet, private, and what the prefix cache saves."""

import json
import os
import shutil
import struct
import subprocess
import sys
import threading
import time
from functools import partial
from pathlib import Path

import gguf
import pytest
import torch
from paths import ROOT
from transformers import AutoModelForCausalLM, AutoTokenizer

from kb_assistant.errors import ModelError, UsageError
from kb_assistant.llms import engine_for, load_engine
from kb_assistant.llms.checkpoints.model_files import inspect_model
from kb_assistant.llms.openvino import saving as openvino_saving
from kb_assistant.llms.openvino.engine import OpenVinoEngine
from kb_assistant.llms.openvino.gguf_header import FORMATS
from kb_assistant.llms.openvino.gguf_writer import write_gguf
from kb_assistant.llms.openvino.runtime import generation_config, input_tensor, make_pipeline, make_streamer
from kb_assistant.models.convert import convert_model
from kb_assistant.settings import Settings


@pytest.fixture(scope="module")
def engine(small_model_gguf):
    return OpenVinoEngine.load(small_model_gguf, max_new_tokens=64)


@pytest.fixture
def copy_of(tmp_path):
    """Copy a model's folder to where a test may change it."""

    def copy(model: Path) -> Path:
        return Path(shutil.copytree(model, tmp_path / "copy"))

    return copy


def answers(engine, lessons):
    return [engine.invoke(prompt) for prompt, _ in lessons]


def calls_of(engine):
    """Count the calls of generate() from here on, and the tokens of their prompts."""
    lengths = []

    class Counting:
        def __init__(self, pipeline):
            self.pipeline = pipeline

        def generate(self, ids, *rest):
            lengths.append(ids.shape[1])
            return self.pipeline.generate(ids, *rest)

        def __getattr__(self, name):
            return getattr(self.pipeline, name)

    return engine.model_copy(update={"pipeline": Counting(engine.pipeline)}), lengths


# By name and by kind


def test_auto_takes_the_engine_that_the_model_is_for(
    small_model, small_model_int4, small_model_gguf, small_model_openvino, tmp_path
):
    for model, name in (
        (small_model, "ipex"),
        (small_model_int4, "ipex"),
        (small_model_gguf, "openvino"),
        (small_model_gguf.parent, "openvino"),
        (small_model_openvino, "openvino"),
        (tmp_path / "absent", "ipex"),
        ("", "extractive"),
    ):
        assert engine_for(Settings(model=str(model)), tmp_path) == name


def test_a_folder_with_several_files_is_not_guessed_at(small_model_gguf, tmp_path):
    for name in ("a.gguf", "b.gguf"):
        (tmp_path / name).symlink_to(small_model_gguf)
    with pytest.raises(ModelError, match=r"neither openvino_model\.xml nor a single GGUF file"):
        OpenVinoEngine.load(tmp_path)


@pytest.mark.parametrize("kind", ["small_model_gguf", "small_model_openvino"])
def test_it_is_loaded_by_name(request, kind, lessons):
    model = request.getfixturevalue(kind)
    engine = load_engine("openvino", Settings(model=model.name, max_new_tokens=32), model.parent)
    assert isinstance(engine, OpenVinoEngine)
    assert (engine.max_new_tokens, engine.context_tokens) == (32, 4096)
    assert engine.invoke(lessons[0][0]) == lessons[0][1]


@pytest.mark.parametrize("kind", ["F16", "Q8_0", "Q4_1"])
def test_other_formats_answer_as_well(small_model, lessons, tmp_path, kind):
    file = tmp_path / "model.gguf"
    write_gguf(inspect_model(small_model), file, kind=kind, embedding_kind=kind)
    assert answers(OpenVinoEngine.load(file, max_new_tokens=64), lessons) == [answer for _, answer in lessons]


def test_a_really_trained_llama_goes_on_as_in_floating_point(shared_models, tmp_path, monkeypatch):
    path = shared_models / "aidreams260K-llama" / "hf"
    tokenizer = AutoTokenizer.from_pretrained(path, clean_up_tokenization_spaces=False)
    model = AutoModelForCausalLM.from_pretrained(path)
    convert_model(path, tmp_path, name="int4", to="openvino")
    int4 = OpenVinoEngine.load(tmp_path / "int4", max_new_tokens=40)
    # At four bits, so small a model soon goes another way.
    monkeypatch.setattr(openvino_saving, "write_gguf", partial(write_gguf, kind="F16", embedding_kind="F16"))
    convert_model(path, tmp_path, name="f16", to="openvino")
    f16 = OpenVinoEngine.load(tmp_path / "f16", max_new_tokens=40)
    for prompt in ("Once upon a time", "I dream of", "The sea"):
        ids = tokenizer(prompt, return_tensors="pt").input_ids
        full = model.generate(
            ids, attention_mask=torch.ones_like(ids), max_new_tokens=40, do_sample=False, pad_token_id=2
        )
        assert int4._encode(prompt) == f16._encode(prompt) == ids[0].tolist()
        assert f16.invoke(prompt) == tokenizer.decode(full[0, ids.shape[1] :])
        assert len(int4.invoke(prompt).split()) > 3


# Refusing


def test_a_missing_model(tmp_path):
    for path in (tmp_path / "absent", tmp_path / "absent.gguf"):
        with pytest.raises(ModelError, match="no model"):
            OpenVinoEngine.load(path)


@pytest.mark.parametrize("kept", [0, 3, 10, 100, 20_000, -100_000, -10])
def test_a_gguf_file_cut_short(small_model_gguf, tmp_path, kept):
    """GenAI itself would end the process, or answer nonsense."""
    file = tmp_path / "cut.gguf"
    content = small_model_gguf.read_bytes()
    file.write_bytes(content[: kept if kept >= 0 else len(content) + kept])
    with pytest.raises(ModelError, match=r"is truncated: |is broken: |is not a GGUF file"):
        OpenVinoEngine.load(file)


def test_what_is_no_gguf(tmp_path):
    file = tmp_path / "text.gguf"
    file.write_text("年假" * 1000, encoding="utf-8")
    with pytest.raises(ModelError, match="is not a GGUF file"):
        OpenVinoEngine.load(file)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (b"qwen2\x12", b"gemma\x12", "of the family 'gemma'"),
        (struct.pack("<4sI", b"GGUF", 3), struct.pack("<4sI", b"GGUF", 1), "GGUF version 1"),
        (struct.pack("<4sIQQ", b"GGUF", 3, 0, 0)[:8], struct.pack("<4sI", b"GGUF", 9), "GGUF version 9"),
    ],
)
def test_a_gguf_file_of_another_kind(small_model_gguf, tmp_path, old, new, message):
    content = small_model_gguf.read_bytes()
    if old.endswith(b"\x12"):
        old, new = old[:-1], new[:-1]
        assert content.count(old) > 5  # every key begins with it
    file = tmp_path / "other.gguf"
    file.write_bytes(content.replace(old, new))
    with pytest.raises(ModelError, match=message):
        OpenVinoEngine.load(file)


def test_one_part_of_several(tmp_path):
    file = tmp_path / "part-00001-of-00003.gguf"
    writer = gguf.GGUFWriter(file, "qwen2")
    writer.add_uint16("split.count", 3)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.close()
    with pytest.raises(ModelError, match=r"is one of 3 parts; join them with llama\.cpp's `llama-gguf-split --merge`"):
        OpenVinoEngine.load(file)


@pytest.mark.parametrize(("key", "value"), [("general.alignment", 0), ("general.alignment", "x"), ("split.count", "x")])
def test_a_header_that_makes_no_sense(tmp_path, key, value):
    file = tmp_path / "odd.gguf"
    writer = gguf.GGUFWriter(file, "qwen2")
    writer.add_key_value(key, value, gguf.GGUFValueType.STRING if value == "x" else gguf.GGUFValueType.UINT32)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.close()
    with pytest.raises(ModelError, match="its header cannot be read"):
        OpenVinoEngine.load(file)


def test_a_format_that_is_not_read(small_model, tmp_path):
    file = tmp_path / "model.gguf"
    write_gguf(inspect_model(small_model), file, kind="Q5_0")
    with pytest.raises(ModelError, match=r"OpenVINO does not read .* in one of these formats: F32, F16, Q4_0"):
        OpenVinoEngine.load(file)


@pytest.mark.parametrize(
    "name",
    ["openvino_model.bin", "openvino_tokenizer.xml", "openvino_detokenizer.bin", "config.json"],
)
def test_a_folder_that_lacks_a_file(small_model_openvino, copy_of, name):
    model = copy_of(small_model_openvino)
    (model / name).unlink()
    with pytest.raises(ModelError, match=f"is incomplete: {name} is missing"):
        OpenVinoEngine.load(model)


@pytest.mark.parametrize("name", ["openvino_model.bin", "openvino_model.xml", "openvino_tokenizer.bin"])
def test_a_folder_with_a_file_cut_short(small_model_openvino, copy_of, name):
    file = copy_of(small_model_openvino) / name
    file.write_bytes(file.read_bytes()[:-1000])
    with pytest.raises(ModelError, match=r"cannot load the model .*; it may be broken") as refused:
        OpenVinoEngine.load(file.parent)
    assert "\n" not in str(refused.value)


def test_a_tokenizer_of_another_model(small_model_openvino, copy_of):
    model = copy_of(small_model_openvino)
    config = model / "config.json"
    config.write_text(config.read_text("utf-8").replace('"vocab_size": 2560', '"vocab_size": 50'), encoding="utf-8")
    with pytest.raises(ModelError, match="does not belong to the model: it uses token"):
        OpenVinoEngine.load(model)


def test_no_threads_are_refused(small_model_gguf):
    with pytest.raises(UsageError, match="threads must be at least 1, not 0"):
        OpenVinoEngine.load(small_model_gguf, threads=0)


# Text


def test_tokens_are_those_of_the_hugging_face_tokenizer_however_long_the_text(engine, small_model):
    theirs = AutoTokenizer.from_pretrained(small_model)
    text = (ROOT / "README.zh-CN.md").read_text("utf-8") + (ROOT / "README.md").read_text("utf-8")
    for many in (text[:100], text, text * 4):  # the last is longer than the 8,192 tokens of GenAI's own
        assert engine.get_token_ids(many) == theirs.encode(many)
    assert len(engine.get_token_ids("龘" * 10_000)) >= 10_000  # no end of a line to cut at


def test_every_control_token_is_known(engine):
    assert set(engine._tokenizer.all_special_tokens) == {"<|endoftext|>", "<|im_start|>", "<|im_end|>"}
    control = set(engine._tokenizer.all_special_ids)
    asked = "年假？<|im_end|>\n<|im_start|>assistant\n<|endoftext|>"
    plain = [number for number in engine._encode("年假？") if number in control]
    assert [number for number in engine._encode(asked) if number in control] == plain


def test_added_tokens_that_are_not_marked_are_control_tokens_too(small_model, copy_of, tmp_path):
    model, file = copy_of(small_model), tmp_path / "model.gguf"
    tokenizer = AutoTokenizer.from_pretrained(model)
    tokenizer.add_tokens("<tool_call>")
    tokenizer.save_pretrained(model)
    added = tokenizer.convert_tokens_to_ids("<tool_call>")
    write_gguf(inspect_model(model), file)
    engine = OpenVinoEngine.load(file)
    assert engine.get_token_ids("<tool_call>") == [added]
    assert added not in engine._encode("a <tool_call> b")


def test_the_system_prompt_is_counted_and_identifies_the_engine(small_model_gguf, engine):
    told = OpenVinoEngine.load(small_model_gguf, system_prompt="请用中文回答。" * 5)
    assert told.count_prompt_tokens("年假？") > engine.count_prompt_tokens("年假？")
    assert told._identifying_params != engine._identifying_params
    assert "请用中文回答" not in repr(told)


# Generating


def test_threads_reach_openvino(small_model_gguf, lessons):
    assert OpenVinoEngine.load(small_model_gguf, threads=1).invoke(lessons[0][0]) == lessons[0][1]
    with pytest.raises(RuntimeError, match=r"INFERENCE_NUM_THREADS"):
        make_pipeline(small_model_gguf, -5, lookup=True)


def test_an_answer_ends_within_a_few_tokens_of_being_closed(small_model_gguf, lessons):
    engine = OpenVinoEngine.load(small_model_gguf)
    cancelled = threading.Event()
    seen = []
    for piece in engine.generate_pieces(lessons[4][0], stop=(), max_new_tokens=3000, cancelled=cancelled):
        seen.append(piece)
        cancelled.set()
    assert seen[-1].finish_reason == "cancelled"
    assert seen[-1].completion_tokens < 20


def test_a_long_prompt_is_left_in_the_middle(engine):
    counted, lengths = calls_of(engine)
    cancelled = threading.Event()
    original = counted.pipeline.generate

    def generate(ids, *rest):
        result = original(ids, *rest)
        if len(lengths) == 2:
            cancelled.set()
        return result

    counted.pipeline.generate = generate
    pieces = list(
        counted.generate_pieces("为什么？" * 700, stop=(), max_new_tokens=9, cancelled=cancelled),
    )
    assert lengths == [256, 512]
    assert pieces[-1].finish_reason == "cancelled"


@pytest.mark.alone
def test_what_two_prompts_share_is_read_once(small_model_gguf):
    engine, lengths = calls_of(OpenVinoEngine.load(small_model_gguf))
    passages = "年假为十五天。The office opens at nine. " * 150
    started = time.perf_counter()
    next(engine.stream(passages + "几天？"))
    first = time.perf_counter() - started
    steps = len(lengths)
    assert steps > 8
    started = time.perf_counter()
    next(engine.stream(passages + "When?"))
    assert time.perf_counter() - started < first / 2
    assert len(lengths) == steps + 1


def test_the_cache_changes_no_answer(engine, lessons):
    for (prompt, answer), _ in zip(lessons * 2, range(12), strict=False):
        assert engine.invoke(prompt) == answer


def test_the_models_own_settings_end_an_answer_and_do_not_sample(small_model_openvino, engine, copy_of, lessons):
    prompt, answer = lessons[4]
    model = copy_of(small_model_openvino)
    ids = engine.get_token_ids(answer)
    end = next(number for number in ids[3:] if ids.count(number) == 1)
    settings = {
        "do_sample": True,
        "temperature": 50.0,
        "top_k": 20,
        "repetition_penalty": 9.0,
        "eos_token_id": [2, end],
    }
    (model / "generation_config.json").write_text(json.dumps(settings), encoding="utf-8")
    engine = OpenVinoEngine.load(model)
    result = engine.generate([prompt])
    assert result.generations[0][0].text == engine._tokenizer.decode(ids[: ids.index(end)])
    assert result.llm_output["finish_reason"] == "stop"


def test_an_error_while_generating_comes_through(engine, lessons):
    class Failing:
        def generate(self, *_):
            raise MemoryError("no room for the cache")

        def __getattr__(self, name):
            return getattr(engine.pipeline, name)

    failing = engine.model_copy(update={"pipeline": Failing()})
    with pytest.raises(MemoryError, match="no room"):
        failing.invoke(lessons[0][0])
    assert not [thread for thread in threading.enumerate() if thread.name == "kb-openvino"]
    assert engine.invoke(lessons[0][0]) == lessons[0][1]


def test_an_error_of_who_reads_the_tokens_ends_the_generation_and_not_the_process(engine):
    def take(ids):
        raise ValueError(f"token {ids[0]}")

    streamer, raised = make_streamer(take)
    engine.pipeline.generate(
        input_tensor(engine.get_token_ids("年假")), generation_config(500, frozenset({2}), lookup=True), streamer
    )
    assert "token" in str(raised[0])
    assert isinstance(raised[0], ValueError)


# Quiet, private, optional


def run_python(code, *arguments, **environment):
    return subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
    )


def test_a_whole_run_says_nothing_and_reaches_for_no_network(small_model_gguf, tmp_path, lessons):
    """Importing openvino sends a message to Google Analytics and notes an id in the home folder, if it can."""
    code = """
import sys
asked = []
reaching = ("socket.connect", "socket.getaddrinfo", "urllib.Request", "subprocess.Popen", "os.fork")
sys.addaudithook(lambda event, _: asked.append(event) if event in reaching else None)
from pathlib import Path
from kb_assistant.llms.openvino.engine import OpenVinoEngine
engine = OpenVinoEngine.load(Path(sys.argv[1]))
answer = engine.invoke(sys.argv[2])
try:
    OpenVinoEngine.load(Path("absent.gguf"))
except Exception as error:
    assert type(error).__name__ == "ModelError"
import openvino
assert not [name for name, module in sys.modules.items() if name.startswith("openvino_telemetry") and module]
assert not asked, asked
sys.stdout.buffer.write(answer.encode())
"""
    result = run_python(code, small_model_gguf, lessons[0][0], HOME=str(tmp_path), CI="false")
    assert result.stderr == ""
    assert result.stdout == lessons[0][1]
    assert result.returncode == 0
    assert list(tmp_path.iterdir()) == []


def test_without_openvino_the_error_names_the_extra(small_model_gguf):
    code = """
import sys
sys.modules["openvino_genai"] = None
from pathlib import Path
from kb_assistant.llms.openvino.engine import OpenVinoEngine
try:
    OpenVinoEngine.load(Path(sys.argv[1]))
except Exception as error:
    print(type(error).__name__, error)
"""
    result = run_python(code, small_model_gguf)
    assert result.stdout.startswith("ModelError the openvino engine cannot start: ")
    assert result.stdout.endswith('install it with `pip install -c constraints.txt -e ".[openvino]"`\n')


def test_the_module_is_imported_without_openvino_and_torch():
    code = """
import sys
import kb_assistant.llms.openvino.engine, kb_assistant.llms.openvino.files
assert not {"torch", "transformers", "openvino", "openvino_genai", "numpy", "gguf"} & set(sys.modules)
"""
    result = run_python(code)
    assert (result.returncode, result.stderr) == (0, "")


def test_the_formats_named_are_those_of_ggml():
    for number, (name, block, size) in FORMATS.items():
        kind = gguf.GGMLQuantizationType(number)
        assert (kind.name, *gguf.GGML_QUANT_SIZES[kind]) == (name, block, size)
