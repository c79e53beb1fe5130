"""The language-model engines by name; an engine's module is imported when it is first used."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from kb_assistant.errors import UsageError

if TYPE_CHECKING:
    from kb_assistant.llms.base import Engine
    from kb_assistant.settings import Settings

__all__ = ["ENGINES", "engine_for", "find_model", "load_engine", "local_options", "model_path"]

ENGINES = {
    "ipex": "kb_assistant.llms.ipex.engine:IpexEngine",
    "openai": "kb_assistant.llms.remote.engine:OpenAIEngine",
    "openvino": "kb_assistant.llms.openvino.engine:OpenVinoEngine",
}
"""Where each engine's class is; it has a class method `from_settings(settings, models)`."""


def engine_for(settings: Settings, models: Path) -> str:
    """Return the name of the engine that runs the settings' model; "extractive" if there is no model.

    Args:
        settings: name the model.
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
        settings: name the model and say how it answers.
        models: the folder where models are kept.

    Raises:
        UsageError: the engine is unknown, or a setting is invalid.
        ModelError: the model is missing, incomplete or refused.
    """
    if name not in ENGINES:
        raise UsageError(f"unknown engine {name!r}; choose one of: {', '.join(sorted(ENGINES))}")
    module, _, class_name = ENGINES[name].partition(":")
    return cast("Engine", getattr(import_module(module), class_name).from_settings(settings, models))


def local_options(settings: Settings) -> dict[str, Any]:
    """Return the options of `load` that every engine on this machine shares."""
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
    """Return the path of the settings' model; see `find_model`.

    Raises:
        UsageError: no model is set.
    """
    if not settings.model:
        raise UsageError(f"engine {settings.engine} needs a model; name one with --model, KB_MODEL or model in kb.toml")
    return find_model(settings.model, models)


def find_model(name: str, models: Path) -> Path:
    """Return the path of the model installed as `name` in `models`, or else `name` as a path."""
    inside = models / name
    return inside if inside.exists() else Path(name).expanduser()
