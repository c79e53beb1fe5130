"""The figures that the README names: start-up, a cold question, ingesting 705 files, and again.

Run with `make bench`. Each figure is of whole processes, as a user starts them.
"""

from __future__ import annotations

import json
import os
import statistics
import tempfile
from pathlib import Path

from measuring import kb

ROOT = Path(__file__).parents[2]
SAMPLES = ROOT / "kb_assistant" / "demo" / "samples"
SHARED = Path(os.environ.get("KB_SHARED", ROOT.parent / "shared"))
CORPUS = SHARED / "data" / "corpora" / "internlm-docs"


def show(figure: str, target: str, runs: list[float], note: str = "") -> None:
    """Print one row: the median, and the range of the runs."""
    row = f"{statistics.median(runs):6.2f} s  ({min(runs):.2f} to {max(runs):.2f}, {len(runs)} runs)"
    print(f"{figure:<52} {row:<34} target {target}  {note}")


def main() -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        show("kb --help, CPU time", "< 0.4 s", [kb(home, "--help").cpu_s for _ in range(5)])
        kb(home / "samples", "ingest", SAMPLES)
        question = "How long is the warranty on rechargeable batteries?"
        cold = [kb(home / "samples", "ask", question, "--json").wall_s for _ in range(5)]
        show("kb ask on the sample documents, cold", "< 3 s", cold)
        if not CORPUS.is_dir():
            print(f"no {CORPUS}: the other figures need it; set KB_SHARED")
            return
        ingests, again = [], []
        for number in range(3):
            first = kb(home / str(number), "ingest", CORPUS, "--json")
            ingests.append(first.wall_s)
            unchanged = kb(home / str(number), "ingest", CORPUS, "--json")
            again.append(unchanged.wall_s)
        files, chunks = json.loads(first.out)["added"], json.loads(first.out)["chunks_embedded"]
        show("kb ingest internlm-docs", "< 60 s", ingests, f"{files} files, {chunks} chunks embedded")
        embedded = json.loads(unchanged.out)["chunks_embedded"]
        show("kb ingest internlm-docs again, unchanged", "< 3 s", again, f"{embedded} chunks embedded")


if __name__ == "__main__":
    main()
