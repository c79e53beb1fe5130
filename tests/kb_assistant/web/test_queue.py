"""Many clients and one model: each gets its own answer, knows its place, and can leave."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest
from paths import ROOT

from kb_assistant import Assistant

SERVER = Path(__file__).with_name("echo_server.py")
CLIENTS = 20


@pytest.fixture
def process(tmp_path: Path, own_home: Path) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """The address of a server whose model repeats what the documents say, and its process."""
    lines = [f"Quota number {number} is {number * 7} animals." for number in range(1, CLIENTS + 1)]
    for number, line in enumerate(lines, start=1):
        (tmp_path / f"quota{number}.md").write_text(f"{line}\n")
    with Assistant.open() as kb:
        kb.ingest(*tmp_path.glob("quota*.md"))
    path = os.pathsep.join([str(ROOT / "tests"), os.environ.get("PYTHONPATH", "")])
    server = subprocess.Popen(
        [sys.executable, str(SERVER), str(own_home)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": path},
    )
    assert server.stdout is not None
    yield server.stdout.readline().strip(), server
    server.send_signal(signal.SIGINT)
    _, errors = server.communicate(timeout=20)
    assert errors == ""


def question(number: int) -> str:
    return f"What is quota number {number}?"


def ask(address: str, number: int) -> list[tuple[str, Any]]:
    reply = httpx.post(f"{address}/api/ask", json={"question": question(number)}, timeout=120)
    blocks = [block.split("\n") for block in reply.text.strip().split("\n\n") if not block.startswith(":")]
    return [(name.removeprefix("event: "), json.loads(data.removeprefix("data: "))) for name, data in blocks]


def was_cut_off(asked: Future[list[tuple[str, Any]]]) -> bool:
    """Whether the client was disconnected, or told that the server is stopping."""
    if isinstance(asked.exception(), httpx.HTTPError):
        return True
    name, said = asked.result()[-1]
    return name == "error" and said["error"]["code"] == "stopped"


def in_queue(address: str, count: int) -> None:
    """Wait until that many questions are at the model or wait for it."""
    counted(address, f"\nkb_queue_length {float(count)}\n")


def counted(address: str, line: str) -> None:
    """Wait until the metrics contain a line."""
    until = time.monotonic() + 60
    while line not in (said := httpx.get(f"{address}/metrics", timeout=30).text):
        assert time.monotonic() < until, said
        time.sleep(0.1)


@pytest.mark.alone
def test_twenty_clients_wait_their_turns_and_get_their_own_answers(process: Any, own_home: Path) -> None:
    address, _ = process
    (own_home / "wait").touch()
    with ThreadPoolExecutor(CLIENTS) as pool:
        asked = [pool.submit(ask, address, number) for number in range(1, CLIENTS + 1)]
        in_queue(address, CLIENTS)
        began = time.perf_counter()  # search does not wait for the model
        assert httpx.get(f"{address}/api/search", params={"q": question(3)}, timeout=20).status_code == 200
        assert time.perf_counter() - began < 3
        (own_home / "wait").unlink()
        told = [one.result() for one in asked]
    for number, events in enumerate(told, start=1):
        assert events[-1][0] == "answer"
        assert f"Quota number {number} is {number * 7} animals." in events[-1][1]["answer"]
    waited = [[value["ahead"] for name, value in events if name == "waiting"] for events in told]
    assert sorted(max(ahead, default=0) for ahead in waited) == list(range(CLIENTS))
    assert all(ahead == sorted(ahead, reverse=True) for ahead in waited)


def test_the_connection_stays_open_while_an_openai_client_waits(process: Any, own_home: Path) -> None:
    address, _ = process
    (own_home / "wait").touch()
    client = openai.OpenAI(base_url=f"{address}/v1", api_key="unused", max_retries=0)

    def chat(number: int) -> dict[str, Any]:
        return {"model": "kb", "stream": True, "messages": [{"role": "user", "content": question(number)}]}

    def streamed() -> str:
        stream = client.chat.completions.create(**chat(8))
        return "".join(chunk.choices[0].delta.content or "" for chunk in stream)

    with ThreadPoolExecutor(3) as pool:
        first = pool.submit(ask, address, 1)
        in_queue(address, 1)
        raw = pool.submit(httpx.post, f"{address}/v1/chat/completions", json=chat(7), timeout=60)
        in_queue(address, 2)
        text = pool.submit(streamed)
        in_queue(address, 3)
        (own_home / "wait").unlink()
        assert first.result()[-1][0] == "answer"
        assert "\n: 1 ahead\n" in raw.result().text
        assert "Quota number 8 is 56 animals." in text.result()


def test_clients_that_leave_the_queue_are_not_answered(process: Any, own_home: Path) -> None:
    address, _ = process
    (own_home / "wait").touch()
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(ask, address, 1)
        in_queue(address, 1)
        for number in range(3, 8):  # they ask, and hang up
            with httpx.stream("POST", f"{address}/api/ask", json={"question": question(number)}, timeout=20) as reply:
                next(reply.iter_lines())
        (own_home / "wait").unlink()
        assert first.result()[-1][0] == "answer"
    assert ask(address, 9)[-1][0] == "answer"
    in_queue(address, 0)
    counted(address, '\nkb_questions_total{outcome="stopped"} 5.0\n')
    counted(address, '\nkb_questions_total{outcome="answered"} 2.0\n')


@pytest.mark.alone
def test_an_interrupted_server_ends_soon_despite_answers_and_an_upload(process: Any, own_home: Path) -> None:
    address, server = process
    (own_home / "wait").touch()
    with ThreadPoolExecutor(6) as pool:
        asked = [pool.submit(ask, address, number) for number in range(1, 7)]
        in_queue(address, 6)
        text = "\n\n".join(f"Paragraph {number} {'padding words ' * 60}" for number in range(40))
        files = [("files", (f"{number}.md", f"{number}\n{text}".encode())) for number in range(100)]
        assert httpx.post(f"{address}/api/sources", files=files, timeout=60).status_code == 202
        began = time.perf_counter()
        server.send_signal(signal.SIGINT)
        server.wait(timeout=20)
        assert time.perf_counter() - began < 5
        assert server.returncode == 0
        assert all(was_cut_off(one) for one in asked)
    with Assistant.open() as kb:
        assert all(ok for _, ok, _ in kb.check())
        kb.remove("quota1.md")  # what had not come to be a document goes when something is written next
        assert len(list((own_home / "uploads").glob("*"))) == len(kb.sources()) - (CLIENTS - 1)


def test_threads_end_with_their_clients(process: Any) -> None:
    address, server = process
    with ThreadPoolExecutor(10) as pool:
        list(pool.map(lambda number: ask(address, number), range(1, 11)))
    time.sleep(1)
    names = [name.read_text().strip() for name in Path(f"/proc/{server.pid}/task").glob("*/comm")]
    assert len(names) < 60


@pytest.mark.parametrize("version", ["2025-06-18", "2026-07-28"])
def test_mcp_clients_that_leave_are_not_answered_and_block_nobody(process: Any, own_home: Path, version: str) -> None:
    address, _ = process
    (own_home / "wait").touch()
    named = "io.modelcontextprotocol/"
    meta = {f"{named}protocolVersion": version, f"{named}clientCapabilities": {}}
    call = {"name": "ask", "arguments": {"question": question(2)}, "_meta": meta}
    body = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": call}
    kind = {"Accept": "application/json, text/event-stream", "MCP-Protocol-Version": version}
    kind |= {"Mcp-Method": "tools/call", "Mcp-Name": "ask"}

    def leave(_: int) -> None:
        with pytest.raises(httpx.TimeoutException):
            httpx.post(f"{address}/mcp", json=body, headers=kind, timeout=httpx.Timeout(30, read=3))

    with ThreadPoolExecutor(45) as pool:  # more than a server has threads for what is not asynchronous
        list(pool.map(leave, range(45)))
    in_queue(address, 0)
    (own_home / "wait").unlink()
    assert ask(address, 4)[-1][0] == "answer"
