"""Keeps everything on this machine: telemetry, tracing, update checks and hubs are off.

Only two things go out, and only if the user sets them up: the engine `openai` asks its server, and
`kb models pull` downloads a model.

The `kb` process switches the libraries off by their environment variables, with `keep_offline`. As a
library kb leaves the host's environment alone: the objects it makes are offline by their own options,
and `untraced` keeps LangSmith out of the chains it runs.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from kb_assistant.errors import UsageError

__all__ = ["block_telemetry", "keep_offline", "untraced"]

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
    "LANGCHAIN_HANDLER": "",
    "OTEL_SDK_DISABLED": "true",
}

_SENDERS = ("openvino_telemetry",)
"""Packages that only report: importing openvino sends a message to Google Analytics through this package."""


def block_telemetry() -> None:
    """Make packages that only report impossible to import; the libraries do without them."""
    for name in _SENDERS:
        sys.modules.setdefault(name, None)  # type: ignore[arg-type]


def keep_offline() -> None:
    """Switch off, for this whole process, whatever in the libraries would open a connection by itself.

    Call it before any of them is imported. It overrides the user's environment, except for a hub
    mirror and proxies, which do nothing while the hub is off.
    """
    os.environ.update(_SWITCHES)
    block_telemetry()
    for variable in [name for name in os.environ if name.upper().startswith("CHROMA_")]:
        del os.environ[variable]  # Chroma would look for a server there


@contextmanager
def untraced() -> Iterator[None]:
    """Run LangChain in this thread without LangSmith, which would receive every question and passage.

    Raises:
        UsageError: the environment asks for LangChain's former tracing, with which LangChain refuses to run untraced.
    """
    from langchain_core.utils.env import env_var_is_set
    from langsmith import tracing_context

    for variable in ("LANGCHAIN_TRACING", "LANGCHAIN_HANDLER"):
        if env_var_is_set(variable):
            raise UsageError(f"{variable} is set, which LangChain no longer supports; set LANGSMITH_TRACING instead")
    with tracing_context(enabled=False):
        yield
