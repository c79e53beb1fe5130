"""`kb models pull` from a hub on this machine that breaks off, lies, redirects and refuses."""

from __future__ import annotations

import hashlib
import io
import json
import os
import pickle
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from hub_server import COMMIT, Hub, files_of, hub_at_work
from loopback import loopback
from paths import SAMPLES

from kb_assistant.errors import ModelError
from kb_assistant.llms.checkpoints.model_files import inspect_model
from kb_assistant.models import pull as pulling
from kb_assistant.models.catalogue import CatalogueEntry, find_entry
from kb_assistant.models.registry import list_models

REPO = "someone/Small-Qwen"
NAME = "Small-Qwen"
WEIGHTS = "model.safetensors"


@pytest.fixture
def hub(small_model: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """A hub with the small model, and with what is not to be fetched beside it."""
    files = files_of(small_model)
    extra = {"README.md": b"# hi", "pytorch_model.bin": b"pickle" * 9, "onnx/model.onnx": b"x", "run.py": b"print(1)"}
    hub = Hub({REPO: {**files, **extra}})
    with hub_at_work(hub) as url:
        monkeypatch.setenv("HF_ENDPOINT", f"{url}/")
        monkeypatch.setenv("MODELSCOPE_ENDPOINT", url)
        yield hub


@pytest.fixture
def models(own_home: Path) -> Path:
    return own_home / "models"


def with_code(hub: Hub, repo: str) -> None:
    """Let the hub have the small model as one that needs code of its own."""
    config = json.loads(hub.models[REPO]["config.json"])
    config["auto_map"] = {"AutoModelForCausalLM": "modeling_own.Own"}
    hub.models[repo] = {**hub.models[REPO], "config.json": json.dumps(config).encode(), "modeling_own.py": b"X = 1\n"}


@pytest.mark.parametrize("origin", ["hf", "modelscope"])
def test_a_model_is_pulled_recorded_and_answers(
    kb: Callable[..., Any], hub: Hub, models: Path, taught: list[Any], origin: str
) -> None:
    pulled = kb("models", "pull", REPO, "--from", origin, "--json")
    assert pulled.code == 0, pulled.err
    assert (pulled.json()["name"], pulled.json()["kind"]) == (NAME, "language")
    assert "no revision is pinned: pulling and recording the newest" in pulled.err
    fetched = files_of(models / NAME)
    record = json.loads(fetched.pop("kb_model.json"))
    assert set(fetched) == set(record["files"])
    assert not {"README.md", "pytorch_model.bin", "onnx/model.onnx", "run.py"} & set(fetched)
    assert all(hub.models[REPO][path] == content for path, content in fetched.items())
    assert record["revision"] == (COMMIT if origin == "hf" else "master")
    assert kb("models", "list", "--json").json()[0]["made_from"] == record["made_from"]
    assert record["made_from"].endswith(REPO)

    kb("ingest", SAMPLES)
    asked = kb("ask", taught[0].question.text, "--model", NAME, "--json").json()
    assert (asked["engine"], asked["usage"]["completion_tokens"] > 0) == ("ipex", True)

    before = len(hub.server.seen)
    again = kb("models", "pull", REPO, "--from", origin)
    assert (again.code, len(hub.server.seen)) == (0, before)
    assert "is installed already, and all its files match their checksums" in again.err
    (models / NAME / "config.json").write_text("{}")
    changed = kb("models", "pull", REPO, "--from", origin)
    assert changed.code == 3
    assert "config.json has changed or is missing" in changed.err
    assert kb("models", "remove", NAME).code == 0
    assert not (models / NAME).exists()


def test_a_connection_that_is_cut_is_taken_up_again(kb: Callable[..., Any], hub: Hub, models: Path) -> None:
    hub.cuts = [100, *[50_000] * 40, 0, 0, 50_000]
    assert kb("models", "pull", REPO).code == 0
    assert (models / NAME / WEIGHTS).read_bytes() == hub.models[REPO][WEIGHTS]
    assert any("range" in one.headers for one in hub.fetched(WEIGHTS))


def test_a_hub_that_always_cuts_is_given_up_and_taken_up_later(kb: Callable[..., Any], hub: Hub, models: Path) -> None:
    small = len([path for path in hub.models[REPO] if path.endswith((".json", ".txt"))])
    hub.cuts = [10**9] * small + [300_000] + [0] * 20
    failed = kb("models", "pull", REPO)
    assert failed.code == 3
    assert f"cannot download {WEIGHTS} from 127.0.0.1" in failed.err
    assert "run the command again to resume" in failed.err
    assert list_models(models) == []
    hub.cuts, hub.server.seen[:] = [], []
    assert kb("models", "pull", REPO).code == 0
    (asked,) = hub.fetched(WEIGHTS)
    assert asked.headers["range"] == "bytes=300000-"
    assert not hub.fetched("config.json")


def test_a_hub_that_cannot_begin_in_the_middle(kb: Callable[..., Any], hub: Hub, models: Path) -> None:
    hub.ranges = False
    hub.cuts = [10**9] * 3 + [1000, 2000]
    assert kb("models", "pull", REPO).code == 0
    assert (models / NAME / WEIGHTS).read_bytes() == hub.models[REPO][WEIGHTS]


@pytest.mark.parametrize("damaged", [WEIGHTS, "config.json"])
def test_bytes_with_another_checksum_are_thrown_away(
    kb: Callable[..., Any], hub: Hub, models: Path, damaged: str
) -> None:
    hub.damaged = {damaged}
    failed = kb("models", "pull", REPO)
    assert failed.code == 3
    assert f"{damaged} from 127.0.0.1 does not match the checksum that the hub lists" in failed.err
    assert list_models(models) == []
    assert not list(models.rglob(f"{damaged}*"))
    hub.damaged = set()
    assert kb("models", "pull", REPO).code == 0


def test_a_disk_that_is_too_small_is_seen_before_anything_is_fetched(kb: Callable[..., Any], hub: Hub) -> None:
    hub.sizes = {WEIGHTS: 10**18}
    failed = kb("models", "pull", REPO)
    assert failed.code == 3
    assert "GB free, up to 1000000000.0 GB needed" in failed.err
    assert not hub.fetched("json")


def test_a_file_that_is_longer_than_it_should_be(kb: Callable[..., Any], hub: Hub) -> None:
    hub.sizes = {WEIGHTS: 1000}
    failed = kb("models", "pull", REPO)
    assert "does not match the checksum" in failed.err


def test_killed_in_the_middle_it_is_no_model_and_the_next_run_goes_on(
    kb: Callable[..., Any], hub: Hub, models: Path, own_home: Path
) -> None:
    hub.pause_s = 0.02
    command = [sys.executable, "-m", "kb_assistant", "models", "pull", REPO]
    process = subprocess.Popen(command, env={**os.environ, "KB_HOME": str(own_home)}, stderr=subprocess.DEVNULL)
    part = models / f".{NAME}.partial" / f"{WEIGHTS}.part"
    end = time.monotonic() + 30
    while not (part.exists() and part.stat().st_size > 500_000):
        assert time.monotonic() < end
        assert process.poll() is None
        time.sleep(0.01)
    busy = kb("models", "pull", REPO)
    assert (busy.code, f"another kb process is using the model {NAME}" in busy.err) == (3, True)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert list_models(models) == []
    had = part.stat().st_size
    hub.pause_s, hub.server.seen[:] = 0, []
    assert kb("models", "pull", REPO).code == 0
    (asked,) = hub.fetched(WEIGHTS)
    assert asked.headers["range"] == f"bytes={had}-"
    assert (models / NAME / WEIGHTS).read_bytes() == hub.models[REPO][WEIGHTS]


def test_what_was_fetched_of_another_revision_is_not_mixed_in(kb: Callable[..., Any], hub: Hub, models: Path) -> None:
    small = len([path for path in hub.models[REPO] if path.endswith((".json", ".txt"))])
    hub.cuts = [10**9] * small + [300_000] + [0] * 20
    assert kb("models", "pull", REPO).code == 3
    (models / f".{NAME}.partial" / "old.json").write_text("{}")
    hub.cuts, hub.commit = [], "f00d" * 10
    changed = bytearray(hub.models[REPO][WEIGHTS])
    changed[-1] ^= 1  # in the part that is there the same, as a whole another file
    changed[200_000] ^= 1
    hub.models[REPO] = {**hub.models[REPO], WEIGHTS: bytes(changed)}
    assert kb("models", "pull", REPO).code == 0
    assert (models / NAME / WEIGHTS).read_bytes() == bytes(changed)
    assert not (models / NAME / "old.json").exists()
    assert json.loads((models / NAME / "kb_model.json").read_text())["revision"] == "f00d" * 10


@pytest.mark.usefixtures("hub")
def test_a_revision_is_asked_for_and_kept(kb: Callable[..., Any]) -> None:
    unknown = kb("models", "pull", REPO, "--revision", "v9")
    assert (unknown.code, f"has no {REPO} at revision v9" in unknown.err) == (3, True)
    assert kb("models", "pull", REPO, "--revision", COMMIT).code == 0
    assert kb("models", "pull", REPO, "--revision", COMMIT).code == 0
    other = kb("models", "pull", REPO, "--revision", "v9")
    assert (other.code, f"for another one, run first: kb models remove {NAME}" in other.err) == (2, True)
    elsewhere = kb("models", "pull", "other/Small-Qwen")
    assert (elsewhere.code, "already exists, pulled from http" in elsewhere.err) == (2, True)


def test_what_a_hub_refuses(kb: Callable[..., Any], hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    gone = kb("models", "pull", "someone/nothing")
    assert (gone.code, "has no someone/nothing; check the name" in gone.err) == (3, True)
    hub.token = "hf_secret"
    wanted = kb("models", "pull", REPO)
    assert wanted.code == 3
    assert "refuses someone/Small-Qwen (401)" in wanted.err
    assert "HF_TOKEN" in wanted.err
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    assert kb("models", "pull", REPO).code == 0


def test_the_token_of_hf_auth_login_is_used(
    kb: Callable[..., Any], hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.token = "hf_stored"
    assert kb("models", "pull", REPO).code == 3
    (tmp_path / "token").write_text("hf_stored\n")
    monkeypatch.setattr("huggingface_hub.constants.HF_TOKEN_PATH", str(tmp_path / "token"))
    assert kb("models", "pull", REPO).code == 0


def test_the_token_goes_to_the_hub_alone(
    kb: Callable[..., Any], hub: Hub, models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Hub(hub.models)
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    with hub_at_work(store) as url:
        hub.token, hub.elsewhere = "hf_secret", url
        assert kb("models", "pull", REPO).code == 0
    assert store.fetched(WEIGHTS)
    assert not any("hf_secret" in str(one.headers) for one in store.server.seen)
    assert "hf_secret" not in (models / NAME / "kb_model.json").read_text()


def test_a_model_that_has_moved_is_found(kb: Callable[..., Any], hub: Hub) -> None:
    hub.moved = {"former/Small-Qwen": REPO}
    assert kb("models", "pull", "former/Small-Qwen").code == 0


def test_what_is_no_hub(kb: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    with loopback(lambda handler, _: handler.reply(200, b"<html>")) as server:
        monkeypatch.setenv("HF_ENDPOINT", server.url)
        page = kb("models", "pull", REPO)
    assert (page.code, "does not answer like a model hub; check HF_ENDPOINT" in page.err) == (3, True)
    closed = kb("models", "pull", REPO)  # nobody listens there any more
    assert (closed.code, "cannot reach 127.0.0.1" in closed.err, "--from modelscope" in closed.err) == (3, True, True)


@pytest.mark.parametrize("path", ["../../out.json", "/etc/out.json", "a/../../out.json", "C:\\out.json", "a//b.json"])
def test_a_file_name_cannot_lead_out_of_the_folder(kb: Callable[..., Any], hub: Hub, models: Path, path: str) -> None:
    hub.models[REPO] = {**hub.models[REPO], path: b"{}"}
    failed = kb("models", "pull", REPO)
    assert (failed.code, "lists the unsafe path" in failed.err) == (3, True)
    assert list_models(models) == []


def test_only_pickles_are_refused(kb: Callable[..., Any], hub: Hub) -> None:
    hub.models["someone/old"] = {"config.json": b"{}", "pytorch_model.bin": b"pickle"}
    failed = kb("models", "pull", "someone/old")
    assert failed.code == 3
    assert "only as pytorch_model.bin, a format that can run code" in failed.err
    assert not hub.fetched("config.json")


def test_openvino_weights_are_fetched_whole(kb: Callable[..., Any], hub: Hub, models: Path) -> None:
    files = {"openvino_model.xml": b"<net/>", "openvino_model.bin": b"\0" * 9, "openvino_tokenizer.xml": b"<net/>"}
    hub.models["OpenVINO/Qwen3-0.6B-int4-ov"] = {**files, "config.json": b"{}", "pytorch_model.bin": b"x"}
    failed = kb("models", "pull", "qwen3-0.6b-int4-ov")
    assert "lacks the weights of openvino_tokenizer.xml" in failed.err
    files["openvino_tokenizer.bin"] = b"\0"
    hub.models["OpenVINO/Qwen3-0.6B-int4-ov"] = {**files, "config.json": b"{}", "pytorch_model.bin": b"x"}
    assert kb("models", "pull", "qwen3-0.6b-int4-ov").code == 0
    assert set(files_of(models / "qwen3-0.6b-int4-ov")) == {*files, "config.json", "kb_model.json"}
    elsewhere = kb("models", "pull", "qwen3-4b-int4-ov", "--from", "modelscope")
    assert (elsewhere.code, "no modelscope address for" in elsewhere.err) == (2, True)


def test_code_of_a_models_own_comes_only_from_a_folder_and_agreed_to(
    kb: Callable[..., Any], hub: Hub, models: Path, tmp_path: Path
) -> None:
    for unexpected in ("someone/strange", "Qwen/Qwen2-1.5B-Instruct"):
        with_code(hub, unexpected)
        strange = kb("models", "pull", unexpected, "--trust-remote-code", "--revision", "main")
        assert (strange.code, "kb downloads no code; download the folder yourself" in strange.err) == (3, True)
        assert not hub.fetched(".py")
    assert not hub.fetched(WEIGHTS)
    brought = tmp_path / "brought"
    brought.mkdir()
    for name, content in hub.models["someone/strange"].items():
        (brought / name).parent.mkdir(exist_ok=True)
        (brought / name).write_bytes(content)
    refused = kb("models", "pull", "strange", "--from", brought)
    assert (refused.code, "allow it with trust_remote_code" in refused.err) == (3, True)
    assert kb("models", "pull", "strange", "--from", brought, "--trust-remote-code").code == 0
    assert kb("models", "pull", "strange", "--from", brought).code == 0  # it is there
    code = models / "strange" / "modeling_own.py"
    assert code.read_bytes() == b"X = 1\n"
    with pytest.raises(ModelError, match="allow it with trust_remote_code"):
        inspect_model(models / "strange")
    inspect_model(models / "strange", trust_remote_code=True)
    code.write_text("X = 2\n")
    with pytest.raises(ModelError, match=r"modeling_own.py has changed since the model was pulled"):
        inspect_model(models / "strange", trust_remote_code=True)
    code.write_text("X = 1\n")
    (models / "strange" / "more.py").write_text("")
    with pytest.raises(ModelError, match=r"more.py has changed since the model was pulled, or was added"):
        inspect_model(models / "strange", trust_remote_code=True)


def test_what_is_a_llama_in_other_words_comes_without_its_code(kb: Callable[..., Any], hub: Hub, models: Path) -> None:
    repo, name = "internlm/internlm2-chat-1_8b", "internlm2-chat-1_8b"
    with_code(hub, repo)
    config = {**json.loads(hub.models[repo]["config.json"]), "architectures": ["InternLM2ForCausalLM"]}
    hub.models[repo]["config.json"] = json.dumps(config).encode()
    pulled = kb("models", "pull", name)
    assert (pulled.code, f"next: kb models convert {name}" in pulled.out) == (0, True)
    assert not hub.fetched(".py")
    assert (
        f"of the internlm2 family; convert it once: kb models convert {models / name}"
        in kb("doctor", "--model", name).out
    )
    assert "the model has tie_word_embeddings True" in kb("models", "convert", name).err  # found by its name


def test_a_model_brought_by_hand(kb: Callable[..., Any], small_model: Path, models: Path, tmp_path: Path) -> None:
    brought = tmp_path / "带来的"
    brought.mkdir()
    for path, content in files_of(small_model).items():
        (brought / path).write_bytes(content)
    (brought / "optimizer.pt").write_bytes(b"pickle")
    assert kb("models", "pull", "我的模型", "--from", brought).code == 0
    assert (models / "我的模型" / WEIGHTS).read_bytes() == (brought / WEIGHTS).read_bytes()
    assert not (models / "我的模型" / "optimizer.pt").exists()
    assert kb("models", "pull", "我的模型", "--from", brought).code == 0
    (brought / WEIGHTS).write_bytes(b"cut")
    broken = kb("models", "pull", "another", "--from", brought)
    assert (broken.code, "are broken" in broken.err) == (3, True)
    assert [one.name for one in list_models(models)] == ["我的模型"]


@pytest.fixture
def as_pickle(small_model: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, bytes]:
    """The small model's files with its weights as a pickle, which the catalogue knows by its hash."""
    files = files_of(small_model)
    weights = io.BytesIO()
    torch.save(safetensors.torch.load(files.pop(WEIGHTS)), weights)
    files["pytorch_model.bin"] = weights.getvalue()
    known = {"pytorch_model.bin": hashlib.sha256(weights.getvalue()).hexdigest()}
    entry = CatalogueEntry(
        name=NAME, kind="language", hf=REPO, modelscope=REPO, size_gb=0, memory_gb=0, languages=(), pickles=known
    )
    monkeypatch.setattr(pulling, "find_entry", lambda wanted: entry)
    return files


@pytest.mark.parametrize("origin", ["hf", "modelscope", "a folder"])
def test_a_pickle_that_the_catalogue_knows_is_written_anew(
    kb: Callable[..., Any],
    hub: Hub,
    models: Path,
    small_model: Path,
    as_pickle: dict[str, bytes],
    tmp_path: Path,
    origin: str,
) -> None:
    hub.models[REPO] = as_pickle
    for path, content in as_pickle.items():
        (tmp_path / path).write_bytes(content)
    whence = tmp_path if origin == "a folder" else origin
    pulled = kb("models", "pull", NAME, "--from", whence)
    assert pulled.code == 0, pulled.err
    assert "rewriting its weights as safetensors" in pulled.err
    assert not (models / NAME / "pytorch_model.bin").exists()
    ours, theirs = (safetensors.torch.load_file(folder / WEIGHTS) for folder in (models / NAME, small_model))
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    assert kb("models", "pull", NAME, "--from", whence).code == 0  # every file is as it was recorded
    assert list_models(models)[0].format == "safetensors"


@pytest.mark.parametrize("origin", ["hf", "modelscope"])
def test_another_pickle_of_that_name_is_not_looked_into(
    kb: Callable[..., Any], hub: Hub, models: Path, as_pickle: dict[str, bytes], tmp_path: Path, origin: str
) -> None:
    class Attack:
        def __reduce__(self) -> tuple[Any, ...]:
            return (tmp_path.joinpath("harmed").touch, ())

    hub.models[REPO] = {**as_pickle, "pytorch_model.bin": pickle.dumps(Attack())}
    failed = kb("models", "pull", NAME, "--from", origin)
    assert (failed.code, "pytorch_model.bin is not the file that the catalogue accepts" in failed.err) == (3, True)
    assert list_models(models) == []
    assert not (tmp_path / "harmed").exists()
    assert bool(hub.fetched("pytorch_model.bin")) is (origin == "hf")  # ModelScope's listing tells it before


def test_safetensors_go_before_a_known_pickle(kb: Callable[..., Any], hub: Hub, as_pickle: dict[str, bytes]) -> None:
    hub.models[REPO] = {**as_pickle, **hub.models[REPO]}
    assert kb("models", "pull", NAME).code == 0
    assert not hub.fetched("pytorch_model.bin")


def test_the_catalogues_commit_is_taken_at_hugging_face_only(kb: Callable[..., Any], hub: Hub, models: Path) -> None:
    name, repo = "qwen2.5-0.5b-instruct", "Qwen/Qwen2.5-0.5B-Instruct"
    hub.models[repo] = hub.models[REPO]
    moved = kb("models", "pull", name)
    assert (moved.code, "try another --from or --revision" in moved.err) == (3, True)
    assert kb("models", "pull", name, "--from", "modelscope").code == 0
    assert kb("models", "remove", name).code == 0
    entry = find_entry(name)
    assert entry is not None
    hub.commit = str(entry.hf_revision)
    pulled = kb("models", "pull", name)
    assert (pulled.code, "no revision is pinned" in pulled.err) == (0, False)
    record = json.loads((models / name / "kb_model.json").read_text())
    assert record["revision"] == hub.commit


def test_names_that_are_none(kb: Callable[..., Any]) -> None:
    unknown = kb("models", "pull", "gpt-9")
    assert (unknown.code, "give OWNER/NAME, or one of: qwen2.5-0.5b-instruct" in unknown.err) == (2, True)
    for wanted in ("a/..", "a/b c", "a/b/c", "https://h/x"):
        failed = kb("models", "pull", wanted)
        assert failed.code == 2
    assert kb("models", "pull", "x", "--from", "/no/such/folder").code == 2


def test_the_catalogue_is_listed(kb: Callable[..., Any]) -> None:
    entries = {one["name"]: one for one in kb("models", "list", "--available", "--json").json()}
    assert entries["bge-small-zh-v1.5"]["hf"] == "BAAI/bge-small-zh-v1.5"
    assert entries["internlm2_5-7b-chat"]["languages"] == ["zh", "en"]
    assert {one["kind"] for one in entries.values()} == {"language", "embedding", "reranker"}
    assert all(re.fullmatch("[0-9a-f]{40}", one["hf_revision"] or "0" * 40) for one in entries.values())
    assert all(re.fullmatch("[0-9a-f]{64}", sha256) for one in entries.values() for sha256 in one["pickles"].values())
    assert "chatglm3-6b" in kb("models", "list", "--available").out


def test_a_proxy_of_a_kind_that_cannot_be_used_is_named(
    kb: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("all_proxy", "carrier-pigeon://192.0.2.1")
    failed = kb("models", "pull", REPO)
    assert (failed.code, "cannot use the proxy in the environment" in failed.err) == (3, True)
