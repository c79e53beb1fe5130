"""Nothing leaves the machine: ingest and ask with every connection refused, and none tried."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from paths import SAMPLES

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


@pytest.fixture
def refused(tmp_path: Path) -> dict[str, str]:
    """An environment in which Python refuses connections, and in which users may have tracing on."""
    folder = tmp_path / "sentinel"
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(SENTINEL)
    return {
        "PYTHONPATH": str(folder),
        "SENTINEL_LOG": str(tmp_path / "connections.log"),
        "LANGSMITH_TRACING": "true",
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
    elsewhere = {
        "CHROMA_API_IMPL": "chromadb.api.fastapi.FastAPI",
        "CHROMA_SERVER_HOST": "192.0.2.1",
        "CHROMA_SERVER_HTTP_PORT": "9977",
    }
    (tmp_path / ".env").write_text("".join(f"{name}={value}\n" for name, value in elsewhere.items()))
    environment = {**os.environ, "KB_HOME": str(own_home), **refused, **elsewhere}
    for arguments in (["ingest", str(SAMPLES)], ["ask", "How long is the warranty on rechargeable batteries?"]):
        command = [sys.executable, "-m", "kb_assistant", *arguments]
        run = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert run.returncode == 0, run.stderr
    assert not Path(refused["SENTINEL_LOG"]).exists()


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
