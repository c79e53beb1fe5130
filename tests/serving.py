"""A real `kb serve`, for the tests of the page and of the API."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def served(home: Path, logged: str = "") -> Iterator[str]:
    """Serve a home on a free port, yield the address, and check that the log matches the pattern."""
    command = [sys.executable, "-m", "kb_assistant", "serve", "--port", "0"]
    environment = {**os.environ, "KB_HOME": str(home)}
    server = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert server.stdout is not None
    try:
        announced = re.search(r"http://127\.0\.0\.1:\d+", server.stdout.readline())
        assert announced
        yield announced[0]
    finally:
        server.send_signal(signal.SIGINT)
        _, errors = server.communicate(timeout=20)
    assert server.returncode == 0
    assert re.fullmatch(logged, errors, re.DOTALL), errors
