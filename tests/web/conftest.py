"""A real `kb serve` over the sample handbook."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from kb_assistant import Assistant

SAMPLES = Path(__file__).parents[2] / "kb_assistant" / "samples"


@pytest.fixture(scope="package")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Where it listens; collection "other" holds one note."""
    home, other = tmp_path_factory.mktemp("home"), tmp_path_factory.mktemp("other")
    (other / "zebra.md").write_text("# Zebra notice\n\nThe zebra quota is 42 per year.\n")
    with Assistant.open(home) as kb:
        kb.ingest(SAMPLES)
        kb.ingest(other, collection="other")
    command = [sys.executable, "-m", "kb_assistant", "serve", "--port", "0"]
    environment = {**os.environ, "KB_HOME": str(home)}
    server = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert server.stdout is not None
    announced = re.search(r"http://127\.0\.0\.1:\d+", server.stdout.readline())
    assert announced
    yield announced[0]
    server.send_signal(signal.SIGINT)
    _, errors = server.communicate(timeout=20)
    assert (server.returncode, errors) == (0, "")
