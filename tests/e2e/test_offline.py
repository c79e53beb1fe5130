"""Nothing leaves the machine: ingest and ask with every connection refused, and none tried."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from bilingual_model import make_bilingual_model
from paths import SAMPLES
from small_reranker import save_reranker

# Run before anything else in the process: refuses and writes down whatever wants out.
SENTINEL = """
import os, sys

def watch(event, arguments):
    if event in ("socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.sendto"):
        target = arguments[0] if event.startswith("socket.get") else arguments[1]
        with open(os.environ["SENTINEL_LOG"], "a") as log:
            log.write(f"{event} {target}\\n")
        raise ConnectionRefusedError(f"{event} {target}")

sys.addaudithook(watch)
"""


# A program of somebody else's that uses the library, with tracing and a Chroma server of its own set up.
HOST = """
import json, os, sys

before = dict(os.environ)
from kb_assistant import Assistant

with Assistant.open(sys.argv[1], **json.loads(sys.argv[3])) as kb:
    kb.ingest(sys.argv[2])
    answer = kb.ask("How long is the warranty on rechargeable batteries?")
    assert answer.text
    assert kb.search("annual leave")
    kb.suggestions()

from langchain_core.tracers.langchain import wait_for_all_tracers

wait_for_all_tracers()
changed = {name for name in before.keys() | os.environ.keys() if before.get(name) != os.environ.get(name)}
# transformers and PyTorch set these for themselves.
print(json.dumps(sorted(changed - {"KMP_DUPLICATE_LIB_OK", "KMP_INIT_AT_FORK", "TORCHINDUCTOR_CACHE_DIR"})))
"""
CHROMA_ELSEWHERE = {
    "CHROMA_API_IMPL": "chromadb.api.fastapi.FastAPI",
    "CHROMA_SERVER_HOST": "192.0.2.1",
    "CHROMA_SERVER_HTTP_PORT": "9977",
    "CHROMA_OTEL_COLLECTION_ENDPOINT": "http://192.0.2.1:4317",
    "CHROMA_OTEL_GRANULARITY": "all",
}


@pytest.fixture
def refused(tmp_path: Path) -> dict[str, str]:
    """An environment in which Python refuses connections, and in which users may have tracing on."""
    folder = tmp_path / "sentinel"
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(SENTINEL)
    return {
        "PYTHONPATH": os.pathsep.join(filter(None, [str(folder), os.environ.get("PYTHONPATH")])),
        "SENTINEL_LOG": str(tmp_path / "connections.log"),
        "LANGSMITH_TRACING": "true",
        "LANGCHAIN_TRACING_V2": "true",
        "LANGSMITH_API_KEY": "not-a-key",
        "ANONYMIZED_TELEMETRY": "True",
    }


def test_the_sentinel_sees_a_connection(refused: dict[str, str]) -> None:
    code = "import socket; socket.create_connection(('192.0.2.1', 9))"
    environment = {**os.environ, **refused}
    run = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    assert "ConnectionRefusedError" in run.stderr
    assert Path(refused["SENTINEL_LOG"]).read_text().startswith("socket.getaddrinfo 192.0.2.1")


def test_ingest_and_ask_try_no_connection(kb_process: Callable, refused: dict[str, str]) -> None:
    ingested = kb_process("ingest", SAMPLES, "--json", **refused)
    assert (ingested.code, ingested.json()["added"]) == (0, 10)
    asked = kb_process("ask", "How long is the warranty on rechargeable batteries?", "--json", **refused)
    assert (asked.code, asked.json()["refused"]) == (0, False)
    assert not Path(refused["SENTINEL_LOG"]).exists(), Path(refused["SENTINEL_LOG"]).read_text()


def test_a_dotenv_file_cannot_send_the_vectors_elsewhere(
    own_home: Path, tmp_path: Path, refused: dict[str, str]
) -> None:
    (tmp_path / ".env").write_text("".join(f"{name}={value}\n" for name, value in CHROMA_ELSEWHERE.items()))
    environment = {**os.environ, "KB_HOME": str(own_home), **refused, **CHROMA_ELSEWHERE}
    for arguments in (["ingest", str(SAMPLES)], ["ask", "How long is the warranty on rechargeable batteries?"]):
        command = [sys.executable, "-m", "kb_assistant", *arguments]
        run = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert run.returncode == 0, run.stderr
    assert not Path(refused["SENTINEL_LOG"]).exists()


def run_host(
    home: Path, environment: dict[str, str], *before: str, **settings: str
) -> subprocess.CompletedProcess[str]:
    command = [*before, sys.executable, "-c", HOST, str(home), str(SAMPLES), json.dumps(settings)]
    return subprocess.run(command, env=environment, cwd=home.parent, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("engine", ["extractive", "ipex", "openvino"])
def test_a_host_process_keeps_its_environment_and_nothing_goes_out(
    own_home: Path, tmp_path: Path, refused: dict[str, str], request: pytest.FixtureRequest, engine: str
) -> None:
    models = {"extractive": "", "ipex": "small_model_int4", "openvino": "small_model_gguf"}
    settings = {"model": str(request.getfixturevalue(models[engine]))} if models[engine] else {}
    if engine == "ipex":
        settings["embedding_model"] = str(make_bilingual_model(tmp_path / "bilingual"))
        settings["reranker"] = str(save_reranker(tmp_path / "reranker", ["annual leave", "warranty"]))
    (tmp_path / ".env").write_text("".join(f"{name}={value}\n" for name, value in CHROMA_ELSEWHERE.items()))
    environment = {**os.environ, **refused, **CHROMA_ELSEWHERE}
    for switch in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"):  # other tests may have set them here
        environment.pop(switch, None)
    run = run_host(own_home, environment, **settings)
    assert run.returncode == 0, run.stderr
    assert json.loads(run.stdout.splitlines()[-1]) == []
    assert not Path(refused["SENTINEL_LOG"]).exists(), Path(refused["SENTINEL_LOG"]).read_text()


def test_tracing_that_langchain_gave_up_is_told_in_one_line(own_home: Path) -> None:
    run = run_host(own_home, {**os.environ, "LANGCHAIN_TRACING": "true"})
    assert "LANGCHAIN_TRACING is set" in run.stderr.splitlines()[-1]


@pytest.mark.skipif(shutil.which("strace") is None, reason="needs strace, to see what native code does too")
def test_no_system_call_connects_anywhere(own_home: Path, tmp_path: Path, small_model_gguf: Path) -> None:
    log = tmp_path / "trace"
    ask = ["ask", "How long is the warranty on rechargeable batteries?"]
    # Importing openvino would report that, if it were allowed to.
    for arguments in (["ingest", str(SAMPLES)], ask, [*ask, "--model", str(small_model_gguf)]):
        command = ["strace", "-f", "-e", "trace=connect,sendto", "-o", str(log), sys.executable, "-m", "kb_assistant"]
        environment = {**os.environ, "KB_HOME": str(own_home)}
        run = subprocess.run([*command, *arguments], env=environment, capture_output=True, text=True, check=False)
        assert run.returncode == 0, run.stderr
        calls = log.read_text()
        assert "exited with 0" in calls  # it did trace
        assert not re.findall(r".*AF_INET6?.*", calls)
