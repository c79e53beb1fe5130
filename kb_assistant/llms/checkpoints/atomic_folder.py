"""Writes a model's folder completely or not at all."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from kb_assistant.errors import ModelError

__all__ = ["leftovers", "write_atomically"]


@contextmanager
def write_atomically(target: Path) -> Iterator[Path]:
    """Give a new folder to write into, which becomes `target` once everything is on disk.

    Until then it is hidden under a name derived from `target`, so that the next process that writes `target` finds and
    removes what a killed one left.

    Raises:
        ModelError: `target` exists already or cannot be written.
    """
    if target.exists():
        raise ModelError(f"cannot save the model as {target}: it already exists; remove it or choose another name")
    unfinished = target.with_name(f".{target.name}.unfinished")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir()
        try:
            yield unfinished
            for file in unfinished.iterdir():
                file.chmod(0o644)  # safetensors makes files readable by their owner only
                with file.open("rb") as written:
                    os.fsync(written.fileno())
            unfinished.rename(target)
        finally:
            shutil.rmtree(unfinished, ignore_errors=True)
    except OSError as error:
        raise ModelError(f"cannot save the model as {target}: {error}; choose another folder") from error


def leftovers(folder: Path, name: str) -> list[Path]:
    """Return what killed processes left of the model `name` in `folder`, except unfinished downloads."""
    kinds = ("unfinished", "unpacked", "removed")
    return [path for kind in kinds if (path := folder / f".{name}.{kind}").exists()]
