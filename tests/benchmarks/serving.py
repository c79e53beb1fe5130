"""How a server bears up: search while a model answers, the end at Ctrl-C, memory over 1,000 questions.

Run with `make bench-serving`; the model has random weights of Qwen2-1.5B's shape. Takes two minutes.
"""

from __future__ import annotations

import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx
import psutil
from measuring import kb
from shapes import make_shape

ROOT = Path(__file__).parents[2]
SAMPLES = ROOT / "kb_assistant" / "demo" / "samples"
SHARED = Path(os.environ.get("KB_SHARED", ROOT.parent / "shared"))
QUESTIONS = (
    "How long is the warranty on rechargeable batteries?",
    "气象站的防护等级是多少？",
    "How many days of annual leave do staff get?",
    "备份保存多久？",
    "What is the zebra quota?",
)
SEARCHES = 150


@contextmanager
def served(home: Path, **settings: str) -> Iterator[tuple[httpx.Client, psutil.Popen]]:
    """A server over the sample documents, with its process."""
    command = [sys.executable, "-m", "kb_assistant", "serve", "--port", "0"]
    process = psutil.Popen(
        command, env={**os.environ, "KB_HOME": str(home), **settings}, stdout=subprocess.PIPE, text=True
    )
    try:
        address = process.stdout.readline().split()[3]
        with httpx.Client(base_url=address, timeout=600) as client:
            yield client, process
    finally:
        with suppress(psutil.Error):
            process.kill()
        process.wait()


def searched(client: httpx.Client, count: int) -> list[float]:
    """Milliseconds that each of so many searches took."""
    took = []
    for number in range(count):
        started = time.perf_counter()
        client.get("/api/search", params={"q": QUESTIONS[number % len(QUESTIONS)]}).raise_for_status()
        took.append((time.perf_counter() - started) * 1000)
        time.sleep(0.05)
    return took


def show(what: str, took: list[float]) -> None:
    """Print the median, the 95th percentile and the most."""
    p95 = statistics.quantiles(took, n=20)[-1]
    print(f"{what:<44} median {statistics.median(took):4.0f} ms, 95 % {p95:4.0f} ms, most {max(took):4.0f} ms")


def while_a_model_answers(home: Path) -> None:
    """Search beside an answer, from the reading of its prompt on, and interrupt the server in the middle."""
    models = home / "models"
    models.mkdir(exist_ok=True)
    make_shape("qwen2-1.5b", SHARED / "models" / "qwen2-tokenizer", models / "full")
    kb(home, "models", "convert", models / "full", "--name", "int4")
    with served(home, KB_ENGINE="ipex", KB_MODEL="int4", KB_MAX_NEW_TOKENS="500") as (client, process):
        searched(client, 5)
        show("search, nothing else at work", searched(client, SEARCHES))

        def ask() -> None:
            with suppress(httpx.HTTPError):
                client.post("/api/ask", json={"question": QUESTIONS[0]})

        asking = threading.Thread(target=ask, daemon=True)
        asking.start()
        time.sleep(1)
        took = searched(client, SEARCHES)
        assert asking.is_alive(), "the answer was there too soon"
        show("search while a model answers", took)
        started = time.perf_counter()
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 0
        print(f"{'Ctrl-C while a model answers':<44} {time.perf_counter() - started:.1f} s")


def over_a_thousand_questions(home: Path) -> None:
    """Ask, and look at the memory that is the server's own."""
    with served(home) as (client, process):
        for number in range(1001):
            if number in (50, 200, 500, 1000):
                own = process.memory_full_info().uss / 1e6
                print(f"{f'memory after {number:,} questions':<44} {own:.0f} MB")
            reply = client.post("/api/ask", json={"question": f"{QUESTIONS[number % len(QUESTIONS)]} {number}"})
            assert json.loads(reply.text.strip().split("data: ")[-1])


def main() -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        kb(home, "ingest", SAMPLES)
        over_a_thousand_questions(home)
        while_a_model_answers(home)


if __name__ == "__main__":
    main()
