"""Writes a model's folder whole or not at all."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from kb_assistant.errors import ModelError

__all__ = ["leftovers", "written_whole"]


@contextmanager
def written_whole(target: Path) -> Iterator[Path]:
    """Give a new folder to write into; it becomes `target` once all is written and on the disk.

    Until then it is hidden, under a name that tells of `target`, so that what a killed process has left
    is found and removed by the next that writes the same.

    Raises:
        ModelError: `target` exists already, or it cannot be written.
    """
    if target.exists():
        raise ModelError(f"cannot save the model as {target}: it exists already; remove it or take another name")
    unfinished = target.with_name(f".{target.name}.unfinished")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir()
        try:
            yield unfinished
            for file in unfinished.iterdir():
                file.chmod(0o644)  # safetensors makes its files for one user only
                with file.open("rb") as written:
                    os.fsync(written.fileno())
            unfinished.rename(target)
        finally:
            shutil.rmtree(unfinished, ignore_errors=True)
    except OSError as error:
        raise ModelError(f"cannot save the model as {target}: {error}; choose another place") from error


def leftovers(folder: Path, name: str) -> list[Path]:
    """Return what processes that were killed have left in `folder` of the model `name`, pulls excepted."""
    kinds = ("unfinished", "unpacked", "removed")
    return [path for kind in kinds if (path := folder / f".{name}.{kind}").exists()]
