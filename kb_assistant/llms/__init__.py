"""Text engines by name; the module of an engine is imported when it is first asked for."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from kb_assistant.errors import UsageError

if TYPE_CHECKING:
    from kb_assistant.llms.base import Engine

__all__ = ["ENGINES", "load_engine"]

ENGINES = {
    "ipex": "kb_assistant.llms.ipex:IpexEngine",
}


def load_engine(name: str, path: Path, **options: Any) -> Engine:
    """Load the model at `path` with the engine `name`; the options are those of its `load`.

    Raises:
        UsageError: there is no such engine.
        ModelError: the model is missing, incomplete or refused.
    """
    if name not in ENGINES:
        raise UsageError(f"unknown engine {name!r}; there are: {', '.join(sorted(ENGINES))}")
    module, _, class_name = ENGINES[name].partition(":")
    return cast("Engine", getattr(import_module(module), class_name).load(path, **options))
