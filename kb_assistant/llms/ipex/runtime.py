"""Imports ipex-llm offline and quietly, and sets torch's threads and number format for this CPU."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from kb_assistant.errors import ModelError, UsageError
from kb_assistant.machine import Machine

__all__ = ["activation_dtype", "import_ipex", "quiet", "set_threads"]


def import_ipex() -> Any:
    """Import ipex-llm and return its `AutoModelForCausalLM`.

    Raises:
        ModelError: ipex-llm or one of its dependencies is not installed.
    """
    with _root_logger_kept(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            from ipex_llm.transformers import AutoModelForCausalLM
        except ImportError as error:
            raise ModelError(
                f"the ipex engine cannot start: {error}; install it with `pip install ipex-llm==2.2.0`"
            ) from error
    # ipex-llm logs every error in a frame of stars besides raising it.
    logger = logging.getLogger("ipex_llm")
    logger.propagate = False
    if not logger.handlers:
        logger.addHandler(logging.NullHandler())
    return AutoModelForCausalLM


@contextmanager
def quiet() -> Iterator[None]:
    """Silence warnings and progress bars of transformers while a model is loaded."""
    from transformers.utils import logging as transformers_logging

    verbosity = transformers_logging.get_verbosity()
    bars = transformers_logging.is_progress_bar_enabled()
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        transformers_logging.set_verbosity(verbosity)
        if bars:
            transformers_logging.enable_progress_bar()


def activation_dtype() -> Any:
    """Return torch.bfloat16 if the CPU computes it fast, otherwise torch.float32."""
    import torch

    return torch.bfloat16 if Machine.read().computes_bfloat16 else torch.float32


def set_threads(threads: int) -> None:
    """Set how many threads torch uses in this process.

    Raises:
        UsageError: the number is not positive.
    """
    import torch

    if threads < 1:
        raise UsageError(f"threads must be at least 1, not {threads}; it is the number of CPU cores to use")
    torch.set_num_threads(threads)


@contextmanager
def _root_logger_kept() -> Iterator[None]:
    """Undo the `logging.basicConfig` call that importing ipex-llm makes."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    try:
        yield
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)
