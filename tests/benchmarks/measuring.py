"""Runs whole processes, as a user starts them, and says what they took."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import psutil


@dataclass(frozen=True)
class Measured:
    """One run: seconds, CPU seconds of the process itself, and the most memory it and its children held at once."""

    wall_s: float
    cpu_s: float
    peak_mb: float
    out: str


def run(*command: str | Path, **environment: str) -> Measured:
    """Run a command to its end.

    Raises:
        subprocess.CalledProcessError: it failed; its errors have gone to standard error.
    """
    started = time.perf_counter()
    process = psutil.Popen(
        [str(part) for part in command], env={**os.environ, **environment}, stdout=subprocess.PIPE, text=True
    )
    peak = 0

    def watch() -> None:
        nonlocal peak
        while process.is_running():
            try:
                family = [process, *process.children(recursive=True)]
                peak = max(peak, sum(one.memory_info().rss for one in family))
            except psutil.Error:
                pass
            time.sleep(0.05)

    threading.Thread(target=watch, daemon=True).start()
    before = os.times()
    out, _ = process.communicate()
    after = os.times()
    if process.returncode not in (0, 1):  # 1: a document could not be read
        raise subprocess.CalledProcessError(process.returncode, command)
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    return Measured(time.perf_counter() - started, cpu, peak / 1e6, out)


def kb(home: Path, *arguments: str | Path, **environment: str) -> Measured:
    """Run `kb` in a process of its own."""
    return run(sys.executable, "-m", "kb_assistant", *arguments, KB_HOME=str(home), **environment)
