"""Nothing leaves the machine by itself: the libraries' telemetry, tracing and update checks are off.

Two things of kb's own go out, and only where the user says so: the engine `openai` asks the server
that is set up, and `kb models pull` fetches a model.

Called before any of them is imported. What a user's environment says is overruled, but
for a hub mirror or proxy, which do nothing while the hub is off.
"""

from __future__ import annotations

import os
import sys

__all__ = ["block_telemetry", "keep_offline"]

_SWITCHES = {
    "OPENAI_LOG": "",  # would write whole requests to the log
    "ANONYMIZED_TELEMETRY": "False",  # Chroma
    "GRADIO_ANALYTICS_ENABLED": "False",
    "HF_HUB_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "TRANSFORMERS_OFFLINE": "1",
    "SCARF_NO_ANALYTICS": "true",  # unstructured
    "DO_NOT_TRACK": "true",
    # LangSmith would receive every question and passage.
    "LANGCHAIN_TRACING_V2": "false",
    "LANGSMITH_TRACING": "false",
    "LANGSMITH_TRACING_V2": "false",
    "LANGCHAIN_TRACING": "false",
    "OTEL_SDK_DISABLED": "true",
}

_SENDERS = ("openvino_telemetry",)
"""Packages that do nothing but report: importing openvino sends a message to Google Analytics through this one."""


def block_telemetry() -> None:
    """Make packages that only report impossible to import, which those that would use them allow for."""
    for name in _SENDERS:
        sys.modules.setdefault(name, None)  # type: ignore[arg-type]


def keep_offline() -> None:
    """Switch off everything in the libraries that would open a connection by itself."""
    os.environ.update(_SWITCHES)
    block_telemetry()
    for variable in [name for name in os.environ if name.upper().startswith("CHROMA_")]:
        del os.environ[variable]  # Chroma would take these for where its server is
