"""Writes docs/speed.md: every engine on random weights of Qwen2-1.5B's shape, beside the plain libraries.

Run with `make bench-speed`; a round takes about ten minutes, 10 GB of disk and 7 GB of memory. What is
compared is compared within a round, and of several rounds the median is given.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from measuring import kb
from plain_libraries import compare

from kb_assistant.bench.report import table
from kb_assistant.machine import Machine
from kb_assistant.settings import Settings

ROOT = Path(__file__).parents[2]
SHARED = Path(os.environ.get("KB_SHARED", ROOT.parent / "shared"))
SHAPE = "qwen2-1.5b"
ENGINES = ("ipex", "openvino", "plain ipex-llm", "plain transformers")
LENGTH = 1024
"""The prompt, in tokens, that ratios are of: what a question with its passages takes."""

TURNS = (
    ("first", False),
    ("follow-up", False),
    ("again", False),
    ("first", True),
    ("copying", False),
    ("copying", True),
)
Round = list[dict[str, Any]]


def main() -> None:
    """Measure, and write the page."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--prompt-tokens", type=int, action="append")
    given = parser.parse_args()
    lengths = given.prompt_tokens or [128, LENGTH, 4096]
    rounds = [measure(lengths) for _ in range(given.rounds)]
    (ROOT / "docs" / "speed.md").write_text(page(rounds, lengths), encoding="utf-8")


def measure(lengths: list[int]) -> Round:
    """One run over all engines, and `kb bench` over an embedding model."""
    tokenizer = SHARED / "models" / "qwen2-tokenizer"
    embedding = SHARED / "models" / "bge-small-zh-v1.5-no-weights"
    found = [asdict(one) for one in compare(SHAPE, tokenizer, Settings(), lengths, new_tokens=32)]
    with tempfile.TemporaryDirectory() as folder:
        model = with_random_weights(embedding, Path(folder) / "bge-small-zh-v1.5-shape")
        run = kb(Path(folder) / "home", "bench", "--json", KB_EMBEDDING_MODEL=str(model))
    return [*found, *json.loads(run.out)]


def with_random_weights(source: Path, target: Path) -> Path:
    """An embedding model without weights, with random ones: as fast as with its own."""
    import shutil

    import torch
    from transformers import AutoConfig, AutoModel

    shutil.copytree(source, target)
    torch.manual_seed(0)
    AutoModel.from_config(AutoConfig.from_pretrained(target)).save_pretrained(target)
    return target


def page(rounds: list[Round], lengths: list[int]) -> str:
    """The text of docs/speed.md."""
    machine = Machine.read()
    instructions = ", ".join(sorted(machine.instructions))
    measured = f"{len(rounds)} round{'s' if len(rounds) > 1 else ''}"
    return f"""# Speed of language models

Written by `make bench-speed` (medians of {measured}) on {machine.cores} cores with {instructions}.
Random weights in the shape of {SHAPE}, with Qwen2's tokenizer: speed does not depend on the values of the weights.
`kb bench` measures the models in your own settings.

## Answers

Seconds to the first token, and tokens per second after it; 32 new tokens. "follow-up" is the first turn's prompt
with 64 tokens added, "again" the first turn's prompt a second time. "copying" is an answer copied from the prompt:
random weights would never copy, so the answer's tokens are prescribed, while the model computes as usual.

{answers(rounds, lengths)}

## Loading

{loading(rounds)}

"convert" loads the full weights, converts them and writes the result. "plain transformers" loads the full weights
in bfloat16. Times do not include importing torch and transformers. Peak memory covers loading and answering, and
includes the mapped model file.

## Targets

{ratios(rounds)}

In the rows "first, prompt lookup" no drafted token is accepted, so they show what prompt lookup costs at worst.

## Embedding

{embedding(rounds)}
"""


def answers(rounds: list[Round], lengths: list[int]) -> str:
    """The table of all turns."""
    rows = []
    for length in lengths:
        for engine in ENGINES:
            for turn, lookup in TURNS:
                found = list(turns(rounds, engine, turn, lookup, length))
                if found:
                    first = statistics.median(one["first_token_s"] for one in found)
                    decode = statistics.median(one["decode_tokens_per_s"] for one in found)
                    prefill = statistics.median(one["prefill_tokens_per_s"] for one in found)
                    named = turn + (", prompt lookup" if lookup else "")
                    shown = f"{prefill:.0f}" if turn == "first" else ""
                    rows.append(
                        (f"{found[0]['prompt_tokens']:,}", engine, named, f"{first:.2f}", shown, f"{decode:.1f}")
                    )
    return table(("prompt tokens", "engine", "turn", "first token, s", "prompt tokens/s", "new tokens/s"), rows)


def turns(rounds: list[Round], engine: str, turn: str, lookup: bool, length: int) -> Iterator[dict[str, Any]]:
    """What was measured of one kind of turn, a round each."""
    for found in rounds:
        for one in found:
            kind = (one["kind"], one.get("engine"), one.get("turn"), one.get("lookup"))
            if kind == ("generation", engine, turn, lookup) and abs(one["prompt_tokens"] - length) < length // 4 + 70:
                yield one


def loading(rounds: list[Round]) -> str:
    """The table of seconds and memory."""
    rows = []
    for engine in ENGINES:
        found = [one for each in rounds for one in each if one["kind"] == "load" and one["engine"] == engine]
        converts = [one["convert_s"] for one in found if one["convert_s"] is not None]
        convert = f"{statistics.median(converts):.1f}" if converts else ""
        load = statistics.median(one["load_s"] for one in found)
        peak = statistics.median(one["peak_bytes"] for one in found) / 1e9
        rows.append((engine, convert, f"{load:.1f}", f"{peak:.1f}"))
    return table(("engine", "convert, s", "load, s", "peak memory, GB"), rows)


def ratios(rounds: list[Round]) -> str:
    """What the engines are held to, each as a ratio within a round."""

    def of(engine: str, turn: str, key: str, lookup: bool = False) -> Callable[[Round], float]:
        return lambda found: next(turns([found], engine, turn, lookup, LENGTH))[key]

    def load(key: str, engine: str) -> Callable[[Round], float]:
        return lambda found: next(o[key] for o in found if o["kind"] == "load" and o["engine"] == engine)

    decode, first = "decode_tokens_per_s", "first_token_s"
    plain = "plain ipex-llm"
    wanted = [
        (f"ipex, new tokens/s, relative to {plain}", "≥ 0.97", of("ipex", "first", decode), of(plain, "first", decode)),
        (f"ipex, first token, relative to {plain}", "≤ 1.05", of("ipex", "first", first), of(plain, "first", first)),
    ]
    for engine in ("ipex", "openvino"):
        wanted += [
            (
                f"{engine}, first token of a follow-up, relative to the first turn",
                "≤ 0.2",
                of(engine, "follow-up", first),
                of(engine, "first", first),
            ),
            (f"{engine}, loading, relative to converting", "≤ 0.3", load("load_s", engine), load("convert_s", engine)),
        ]
    what = "ipex, new tokens/s of a copied answer, relative to no prompt lookup"
    wanted.append((what, "≥ 1.3", of("ipex", "copying", decode, True), of("ipex", "copying", decode)))
    rows = []
    for what, aim, above, below in wanted:
        each = [above(found) / below(found) for found in rounds]
        spread = f" ({min(each):.2f} to {max(each):.2f})" if len(each) > 1 else ""
        rows.append((what, aim, f"{statistics.median(each):.2f}{spread}"))
    return table((f"at {LENGTH:,} prompt tokens", "target", "measured"), rows)


def embedding(rounds: list[Round]) -> str:
    """The table of chunks a second."""
    rows = []
    settings = {(one["dtype"], one["batch_size"]): None for one in rounds[0] if one["kind"] == "embedding"}
    for dtype, size in settings:
        speeds = [
            one["chunks_per_s"]
            for found in rounds
            for one in found
            if one["kind"] == "embedding" and (one["dtype"], one["batch_size"]) == (dtype, size)
        ]
        rows.append((dtype, size, f"{statistics.median(speeds):.0f}"))
    return "Random weights in the shape of bge-small-zh-v1.5, 256 chunks of the sample documents:\n\n" + table(
        ("precision", "batch", "chunks/s"), rows
    )


if __name__ == "__main__":
    main()
