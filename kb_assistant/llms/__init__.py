"""Text engines by name; the module of an engine is imported when it is first asked for."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from kb_assistant.errors import UsageError

if TYPE_CHECKING:
    from kb_assistant.llms.base import Engine
    from kb_assistant.settings import Settings

__all__ = ["ENGINES", "engine_for", "load_engine", "local_options", "model_path", "placed"]

ENGINES = {
    "ipex": "kb_assistant.llms.ipex.engine:IpexEngine",
    "openai": "kb_assistant.llms.remote.engine:OpenAIEngine",
    "openvino": "kb_assistant.llms.openvino.engine:OpenVinoEngine",
}
"""Each has a class method `from_settings(settings, models)`."""


def engine_for(settings: Settings, models: Path) -> str:
    """Return the name of the engine that the settings' model is for; "extractive" where there is none.

    Args:
        settings: what model.
        models: the folder where models are kept.
    """
    from kb_assistant.llms.openvino.files import is_openvino

    if settings.base_url:
        return "openai"
    if not settings.model:
        return "extractive"
    return "openvino" if is_openvino(model_path(settings, models)) else "ipex"


def load_engine(name: str, settings: Settings, models: Path) -> Engine:
    """Load the settings' model with the engine `name`.

    Args:
        name: one of `ENGINES`.
        settings: what model, and how it is to answer.
        models: the folder where models are kept.

    Raises:
        UsageError: there is no such engine, or a setting does not hold.
        ModelError: the model is missing, incomplete or refused.
    """
    if name not in ENGINES:
        raise UsageError(f"unknown engine {name!r}; there are: {', '.join(sorted(ENGINES))}")
    module, _, class_name = ENGINES[name].partition(":")
    return cast("Engine", getattr(import_module(module), class_name).from_settings(settings, models))


def local_options(settings: Settings) -> dict[str, Any]:
    """Return what every engine that computes on this machine is loaded with, as options of its `load`."""
    from kb_assistant.machine import Machine

    return {
        "max_new_tokens": settings.max_new_tokens,
        "threads": settings.threads or Machine.read().cores,
        "system_prompt": settings.system_prompt or None,
        "temperature": settings.temperature,
        "top_p": settings.top_p,
        "prompt_lookup": settings.prompt_lookup,
    }


def model_path(settings: Settings, models: Path) -> Path:
    """Return where the settings' model lies: its name under `models`, else a path of its own.

    Raises:
        UsageError: no model is set.
    """
    if not settings.model:
        raise UsageError(
            f"engine {settings.engine} needs a model; give its folder or file with --model, KB_MODEL or in kb.toml"
        )
    return placed(settings.model, models)


def placed(name: str, models: Path) -> Path:
    """Return the folder or file of that name under `models`, else at the path that `name` is."""
    inside = models / name
    return inside if inside.exists() else Path(name).expanduser()
