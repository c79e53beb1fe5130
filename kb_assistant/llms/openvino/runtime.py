"""Imports OpenVINO GenAI without its telemetry, and builds its pipelines."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from kb_assistant.errors import ModelError
from kb_assistant.privacy import block_telemetry

__all__ = ["EXTRA", "generation_config", "import_genai", "input_tensor", "make_pipeline", "make_streamer", "reason"]

EXTRA = 'pip install -c constraints.txt -e ".[openvino]"'
# GenAI's documentation suggests these for answers that copy from their prompt.
_LOOKUP = {"max_ngram_size": 3, "num_assistant_tokens": 5}


def import_genai() -> Any:
    """Import and return `openvino_genai`.

    Raises:
        ModelError: it is not installed.
    """
    block_telemetry()
    try:
        import openvino_genai
    except ImportError as error:
        raise ModelError(f"the openvino engine cannot start: {error}; install it with `{EXTRA}`") from error
    return openvino_genai


def make_pipeline(path: Path, threads: int | None, *, lookup: bool) -> Any:
    """Load the model in `path` with a prefix cache and, if `lookup` is true, with prompt lookup.

    The cache keeps keys and values of the passages for the next question; it grows with the longest request, and new
    blocks replace the oldest. Prompt lookup drafts what followed the same words in the prompt, and the model verifies
    several tokens at once; the answer stays the same.

    Raises:
        RuntimeError: GenAI cannot load it.
    """
    genai = import_genai()
    scheduler = genai.SchedulerConfig()
    scheduler.enable_prefix_caching = True
    scheduler.cache_size = 0  # grows as needed
    properties = {} if threads is None else {"INFERENCE_NUM_THREADS": threads}
    return genai.LLMPipeline(str(path), "CPU", scheduler_config=scheduler, prompt_lookup=lookup, **properties)


def generation_config(
    limit: int, end_ids: frozenset[int], *, temperature: float = 0.0, top_p: float = 1.0, lookup: bool = False
) -> Any:
    """Return a generation configuration that overrides the model's own; at temperature 0 it picks the likeliest token.

    `lookup` must be the value that the pipeline was made with.
    """
    drafts = _LOOKUP if lookup else {}
    config = import_genai().GenerationConfig(max_new_tokens=limit, apply_chat_template=False, **drafts)
    if temperature > 0:
        config.do_sample, config.temperature, config.top_p = True, temperature, top_p
    config.stop_token_ids = set(end_ids)
    return config


def input_tensor(ids: list[int]) -> Any:
    """Return token ids as a pipeline's input."""
    import numpy
    from openvino import Tensor

    return Tensor(numpy.array([ids], dtype=numpy.int64))


def make_streamer(take: Callable[[list[int]], bool]) -> tuple[Any, list[BaseException]]:
    """Return a streamer that passes new ids to `take` until that returns False, and the list of errors it raised.

    A streamer that raises would end the process, so errors are collected instead.
    """
    genai = import_genai()
    raised: list[BaseException] = []

    class Streamer(genai.StreamerBase):  # type: ignore[misc, name-defined]
        def write(self, ids: int | list[int]) -> Any:
            try:
                running = take([ids] if isinstance(ids, int) else list(ids))
            except BaseException as error:  # noqa: BLE001 - the caller of generate() raises it again
                raised.append(error)
                running = False
            return genai.StreamingStatus.RUNNING if running else genai.StreamingStatus.CANCEL

        def end(self) -> None:
            pass

    return Streamer(), raised


def reason(error: Exception) -> str:
    """Return the last line of an OpenVINO error; the lines before name OpenVINO's source."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines[-1] if lines else type(error).__name__).rstrip(".!")
