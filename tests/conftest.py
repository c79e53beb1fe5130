"""What all tests share: a home that is thrown away, the sample handbook, the shared documents."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock
from paths import DATA, ROOT, SAMPLES

from kb_assistant import Assistant

QUESTIONS = DATA / "handbook_questions.jsonl"

# In the background of a shell Ctrl-C is ignored, and by every process that is started there.
signal.signal(signal.SIGINT, signal.default_int_handler)


@dataclass(frozen=True)
class Run:
    """What a run of `kb` printed, and its exit code."""

    code: int
    out: str
    err: str

    def json(self) -> Any:
        """The one JSON document on stdout."""
        return json.loads(self.out)


@pytest.fixture(autouse=True)
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """No test sees the real home, or settings from the environment."""
    for variable in [name for name in os.environ if name.startswith("KB_") and name != "KB_SHARED"]:
        monkeypatch.delenv(variable)
    monkeypatch.setenv("LC_ALL", "C.UTF-8")  # messages are English
    home = tmp_path / "kb-home"
    monkeypatch.setenv("KB_HOME", str(home))
    return home


@pytest.fixture
def kb(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Callable[..., Run]:
    """Run the command line in this process: `kb("ask", "…")`."""
    from kb_assistant import entry

    def run(*arguments: str | Path) -> Run:
        monkeypatch.setattr(sys, "argv", ["kb", *map(str, arguments)])
        capfd.readouterr()
        with pytest.raises(SystemExit) as stop:
            entry.main()
        out, err = capfd.readouterr()
        return Run(int(stop.value.code or 0), out, err)

    return run


@pytest.fixture
def kb_process(own_home: Path) -> Callable[..., Run]:
    """Run the command line in a process of its own."""

    def run(*arguments: str | Path, stdin: str | None = None, **environment: str) -> Run:
        done = subprocess.run(
            [sys.executable, "-m", "kb_assistant", *map(str, arguments)],
            input=stdin,
            capture_output=True,
            text=True,
            encoding="utf-8",
            env={**os.environ, "KB_HOME": str(own_home), **environment},
            timeout=120,
            check=False,
        )
        return Run(done.returncode, done.stdout, done.stderr)

    return run


@pytest.fixture(scope="session")
def handbook(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Assistant]:
    """An assistant that has the sample handbook; not to be written to."""
    with Assistant.open(tmp_path_factory.mktemp("handbook")) as assistant:
        assistant.ingest(SAMPLES)
        yield assistant


@pytest.fixture(scope="session")
def handbook_questions() -> list[dict[str, Any]]:
    """Questions about the handbook: question, answers (none: not in it), source, language."""
    return [json.loads(line) for line in QUESTIONS.read_text(encoding="utf-8").splitlines()]


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real documents and models that is not part of this project."""
    folder = Path(os.environ.get("KB_SHARED", ROOT.parent / "shared"))
    if not folder.is_dir():
        pytest.skip(f"no shared documents and models at {folder}; set KB_SHARED")
    return folder


@pytest.fixture(scope="session")
def taught(tmp_path_factory: pytest.TempPathFactory, handbook_questions: list[dict[str, Any]]) -> list[Any]:
    """What the small model has learned to answer."""
    from handbook_model import lessons

    return lessons(tmp_path_factory.mktemp("taught"), SAMPLES, handbook_questions)


@pytest.fixture(scope="session")
def small_model(taught: list[Any], pytestconfig: pytest.Config) -> Path:
    """A very small Qwen2 that answers questions about the handbook, trained on the spot (a minute or so).

    Kept in pytest's cache for the next run, under a name that changes with what makes it.
    """
    import small_model
    from handbook_model import training_examples

    examples = training_examples(taught)
    made_of = hashlib.sha256(repr(examples).encode() + Path(small_model.__file__).read_bytes()).hexdigest()[:16]
    folder = pytestconfig.cache.mkdir("small-qwen2") / made_of
    with FileLock(f"{folder}.lock"):  # tests of two files run at a time, and train it once
        if not folder.exists():
            unfinished = folder.with_name(f"unfinished-{os.getpid()}")
            small_model.train_small_qwen2(examples, unfinished)
            unfinished.rename(folder)
    return folder


@pytest.fixture(scope="session")
def small_model_int4(small_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same in int4, as ipex-llm saves it."""
    from kb_assistant.llms.ipex.loading import convert

    folder = tmp_path_factory.mktemp("small-qwen2") / "int4"
    convert(small_model, folder)
    return folder


@pytest.fixture(scope="session")
def small_model_gguf(small_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same in int4, as llama.cpp saves it."""
    from kb_assistant.llms.checkpoints.model_files import inspect_model
    from kb_assistant.llms.openvino.gguf_writer import write_gguf

    file = tmp_path_factory.mktemp("small-qwen2") / "小模型-q4_0.gguf"
    write_gguf(inspect_model(small_model), file)
    return file


@pytest.fixture(scope="session")
def small_model_openvino(small_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same in int4, as OpenVINO saves it."""
    from kb_assistant.models.convert import convert_model

    folder = tmp_path_factory.mktemp("small-qwen2")
    return folder / convert_model(small_model, folder, to="openvino").name
