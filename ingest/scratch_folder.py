"""Temporary folders of worker processes, marked so that nothing else is ever removed in their place."""

from __future__ import annotations

import tempfile
from pathlib import Path

__all__ = ["belongs_to", "make_scratch_folder"]

_PREFIX = "kb-worker-"
_MARKER = ".kb-worker"


def make_scratch_folder(owner: int) -> tempfile.TemporaryDirectory[str]:
    """Return a new temporary folder for a worker of the process `owner`."""
    folder = tempfile.TemporaryDirectory(prefix=_PREFIX, ignore_cleanup_errors=True)
    Path(folder.name, _MARKER).write_text(str(owner))
    return folder


def belongs_to(folder: Path, owner: int) -> bool:
    """Return whether `make_scratch_folder` made the folder for a worker of `owner`."""
    marker = folder / _MARKER
    try:
        return folder.name.startswith(_PREFIX) and not folder.is_symlink() and marker.read_text() == str(owner)
    except (OSError, UnicodeDecodeError):
        return False
