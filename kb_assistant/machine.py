"""What this machine can carry, and what follows from it for a language model."""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Machine"]

INSTRUCTIONS = ("avx2", "avx512f", "avx512_vnni", "avx512_bf16", "amx_bf16", "amx_int8")
"""Those that make a language model faster, as Linux names them."""
_TOKENS_A_CORE = 500
"""Tokens of passages that a core reads in about two seconds in a model of 1.5 billion parameters."""


@dataclass(frozen=True, slots=True)
class Machine:
    """The part of this machine that this process may use.

    Attributes:
        cores: physical cores; hyper-threads add nothing to a model, which waits for memory.
        instructions: those of `INSTRUCTIONS` that it has; empty where the system does not tell.
        free_bytes: memory that is free, or can be at once.
    """

    cores: int
    instructions: frozenset[str]
    free_bytes: int

    @classmethod
    def read(cls, cgroup: Path = Path("/sys/fs/cgroup")) -> Machine:
        """Look at the machine, and at the limits of the container, if any, in the folder `cgroup`."""
        import psutil

        cores = psutil.cpu_count(logical=False) or os.cpu_count() or 1
        if hasattr(os, "sched_getaffinity"):
            cores = min(cores, len(os.sched_getaffinity(0)))
        free = psutil.virtual_memory().available
        quota, _, period = _text(cgroup / "cpu.max").partition(" ")
        if quota.isdigit() and period.strip().isdigit():
            cores = min(cores, max(1, int(quota) // int(period)))
        limit, used = _text(cgroup / "memory.max"), _text(cgroup / "memory.current")
        if limit.isdigit() and used.isdigit():
            statistics = dict(line.split() for line in _text(cgroup / "memory.stat").splitlines())
            files = int(statistics.get("inactive_file", 0))  # counted as used, and given back when wanted
            free = min(free, max(0, int(limit) - int(used) + files))
        return cls(cores, _instructions(), free)

    @property
    def computes_bfloat16(self) -> bool:
        """Whether bfloat16 is fast here: with AMX or AVX512-BF16 a prompt is read a quarter faster, without slower."""
        return bool(self.instructions & {"amx_bf16", "avx512_bf16"})

    @property
    def context_tokens(self) -> int:
        """How many tokens of passages a model on this machine reads in bearable time."""
        return min(4000, max(1000, self.cores * _TOKENS_A_CORE))

    def __str__(self) -> str:
        """Say it in a line."""
        known = ", ".join(name for name in INSTRUCTIONS if name in self.instructions) or "not known on this system"
        return f"{self.cores} cores; {self.free_bytes / 1e9:.1f} GB of memory free; instructions: {known}"


def _instructions() -> frozenset[str]:
    if platform.system() != "Linux":
        return frozenset()
    lines = _text(Path("/proc/cpuinfo")).splitlines()
    flags = next((line for line in lines if line.startswith("flags")), "")
    return frozenset(INSTRUCTIONS) & frozenset(flags.split())


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8").strip()
    except OSError:  # another system, or no such limit
        return ""
