"""Ingestion beside the lesson's plain script on the same files, and its memory on large inputs.

Run with `make bench-ingestion`. The model has bge-small-zh's shape and tokenizer and random
weights: speed does not depend on what the weights are. Prints the tables of docs/ingestion.md.
"""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from measuring import Measured, kb, run

ROOT = Path(__file__).parents[2]
SHARED = Path(os.environ.get("KB_SHARED", ROOT.parent / "shared"))
CORPUS = SHARED / "data" / "corpora" / "internlm-docs"
MODEL = SHARED / "models" / "bge-small-zh-v1.5-no-weights"
EVERY = 8
"""Of the corpus's files one in so many is taken: the plain script needs ten minutes for all."""

ROUNDS = 3


def bge(folder: Path) -> Path:
    """Return a model folder of bge-small-zh's shape, with random weights."""
    import torch
    from transformers import BertConfig, BertModel

    model = folder / "bge-small-zh-v1.5"
    shutil.copytree(MODEL, model)
    torch.manual_seed(0)
    BertModel(BertConfig.from_pretrained(MODEL)).save_pretrained(model, safe_serialization=True)
    return model


def sample(folder: Path) -> Path:
    """Copy a part of the corpus."""
    files = sorted(path for path in CORPUS.rglob("*") if path.suffix in (".md", ".txt"))
    for path in files[::EVERY]:
        copy = folder / path.relative_to(CORPUS)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, copy)
    return folder


def beside_the_lesson(scratch: Path) -> None:
    """Print chunks and characters a second of both, in turns."""
    model, docs = bge(scratch), sample(scratch / "docs")
    lesson_rates, own_rates, ratios, character_ratios = [], [], [], []
    for number in range(ROUNDS):
        script = Path(__file__).with_name("lesson.py")
        printed = run(sys.executable, script, docs, model, scratch / f"chroma-{number}").out.split()
        chunks, characters, seconds = int(printed[0]), int(printed[1]), float(printed[2])
        home = scratch / f"home-{number}"
        report = json.loads(kb(home, "ingest", docs, "--json", KB_EMBEDDING_MODEL=str(model)).out)
        own_chunks = sum(file["chunks"] for file in report["files"])
        lesson_rates.append(chunks / seconds)
        own_rates.append(own_chunks / report["seconds"])
        ratios.append(own_rates[-1] / lesson_rates[-1])
        character_ratios.append(seconds / report["seconds"])
    print("| | chunks | chunks/s | characters/s |\n| --- | --- | --- | --- |")
    print(f"| the lesson's script | {chunks} | {statistics.median(lesson_rates):.1f} | {characters / seconds:,.0f} |")
    rate = characters / report["seconds"]
    print(f"| kb ingest | {own_chunks} | {statistics.median(own_rates):.1f} | {rate:,.0f} |")
    spread = f"{min(ratios):.2f} to {max(ratios):.2f}"
    print(f"\nchunks a second: {statistics.median(ratios):.2f} times (of {ROUNDS} rounds: {spread}); ", end="")
    print(f"the same files in 1/{statistics.median(character_ratios):.2f} of the time\n")


def large_inputs(scratch: Path) -> None:
    """Print time and peak memory for one long PDF, and for very many small files."""
    rows = [("a PDF of 5,000 pages", long_pdf(scratch / "long", 5_000))]
    rows.append(("100,000 small files", many_files(scratch / "many", 100_000)))
    print("| | first run | peak memory | again, unchanged |\n| --- | --- | --- | --- |")
    for name, folder in rows:
        home = scratch / f"home-{folder.name}"
        first = kb(home, "ingest", folder, "--json")
        report = json.loads(first.out)
        again = kb(home, "ingest", folder, "--json")
        chunks = sum(file["chunks"] for file in report["files"])
        size = f"{first.wall_s:.0f} s, {chunks:,} chunks"
        print(f"| {name} | {size} | {peak(first)} | {again.wall_s:.1f} s, {peak(again)} |", flush=True)


def peak(measured: Measured) -> str:
    """Return the peak memory for a table."""
    return f"{measured.peak_mb:,.0f} MB"


def long_pdf(folder: Path, pages: int) -> Path:
    """Write a PDF with 40 lines of words on each page, no two pages alike."""
    folder.mkdir()
    objects = [b"<< /Type /Catalog /Pages 2 0 R >>", b"", b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>"]
    kids = []
    for page in range(pages):
        lines = [f"Page {page} line {line}: {words(page * 40 + line)}" for line in range(40)]
        shown = " ".join(f"({line}) Tj T*" for line in lines)
        stream = f"BT /F1 10 Tf 14 TL 40 760 Td {shown} ET".encode("ascii")
        objects.append(b"<< /Length %d >>\nstream\n%s\nendstream" % (len(stream), stream))
        objects.append(
            b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 600 800] /Contents %d 0 R "
            b"/Resources << /Font << /F1 3 0 R >> >> >>" % len(objects)
        )
        kids.append(b"%d 0 R" % len(objects))
    objects[1] = b"<< /Type /Pages /Kids [%s] /Count %d >>" % (b" ".join(kids), pages)
    body, offsets = bytearray(b"%PDF-1.4\n"), []
    for number, content in enumerate(objects, start=1):
        offsets.append(len(body))
        body += b"%d 0 obj\n%s\nendobj\n" % (number, content)
    table = b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    end = b"xref\n0 %d\n0000000000 65535 f \n%s" % (len(objects) + 1, table)
    trailer = b"trailer\n<< /Root 1 0 R /Size %d >>\nstartxref\n%d\n%%%%EOF\n" % (len(objects) + 1, len(body))
    (folder / "long.pdf").write_bytes(bytes(body) + end + trailer)
    return folder


def many_files(folder: Path, count: int) -> Path:
    """Write small notes, a thousand to a folder."""
    for number in range(count):
        path = folder / str(number // 1000) / f"note {number}.md"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"# Note {number}\n\n{words(number)}\n\n{words(number + 7)}\n")
    return folder


def words(seed: int) -> str:
    """Return a dozen words, told by the number."""
    stems = ("ledger", "valve", "harbour", "orchard", "lantern", "ticket", "granite", "meadow", "signal", "copper")
    return " ".join(f"{stems[(seed * 7 + i * i) % 10]}{(seed * 31 + i * 17) % 997}" for i in range(10))


def main() -> None:
    """Measure and print."""
    if not MODEL.is_dir():
        sys.exit(f"no {MODEL}: set KB_SHARED")
    with tempfile.TemporaryDirectory() as folder:
        beside_the_lesson(Path(folder))
        large_inputs(Path(folder))
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False)
    print(f"\n(measured at {commit.stdout.strip()})")


if __name__ == "__main__":
    main()
