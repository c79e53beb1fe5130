"""Brings up OpenVINO GenAI without its telemetry, and builds its pipelines."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from kb_assistant.errors import ModelError
from kb_assistant.privacy import block_telemetry

__all__ = ["EXTRA", "generation_config", "import_genai", "input_tensor", "make_pipeline", "make_streamer", "reason"]

EXTRA = 'pip install -c constraints.txt -e ".[openvino]"'
# A short look back finds what an answer copies from its passages; GenAI's documentation suggests these.
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
    """Load the model in `path` with a prefix cache, and with prompt lookup where `lookup` says so.

    The cache keeps the passages' keys and values for the next question. Its size follows the longest
    request, and the oldest blocks make room for new ones. Prompt lookup proposes what followed the same
    words in the prompt, and the model checks it: several tokens at once, and the same answer.

    Raises:
        RuntimeError: GenAI cannot load it.
    """
    genai = import_genai()
    scheduler = genai.SchedulerConfig()
    scheduler.enable_prefix_caching = True
    scheduler.cache_size = 0  # as much as is needed
    properties = {} if threads is None else {"INFERENCE_NUM_THREADS": threads}
    return genai.LLMPipeline(str(path), "CPU", scheduler_config=scheduler, prompt_lookup=lookup, **properties)


def generation_config(
    limit: int, end_ids: frozenset[int], *, temperature: float = 0.0, top_p: float = 1.0, lookup: bool = False
) -> Any:
    """Return a configuration, whatever the model's own says: at temperature 0 the likeliest token.

    `lookup` is to be what the pipeline was made with.
    """
    drafts = _LOOKUP if lookup else {}
    config = import_genai().GenerationConfig(max_new_tokens=limit, apply_chat_template=False, **drafts)
    if temperature > 0:
        config.do_sample, config.temperature, config.top_p = True, temperature, top_p
    config.stop_token_ids = set(end_ids)
    return config


def input_tensor(ids: list[int]) -> Any:
    """Return token ids as what a pipeline takes."""
    import numpy
    from openvino import Tensor

    return Tensor(numpy.array([ids], dtype=numpy.int64))


def make_streamer(take: Callable[[list[int]], bool]) -> tuple[Any, list[BaseException]]:
    """Return a streamer that hands the new ids to `take` until that returns False, and what `take` raised.

    GenAI ends the process where a streamer raises, so it never does.
    """
    genai = import_genai()
    raised: list[BaseException] = []

    class Streamer(genai.StreamerBase):  # type: ignore[misc, name-defined]
        def write(self, ids: int | list[int]) -> Any:
            try:
                goes_on = take([ids] if isinstance(ids, int) else list(ids))
            except BaseException as error:  # noqa: BLE001 - it is raised again by whoever called generate()
                raised.append(error)
                goes_on = False
            return genai.StreamingStatus.RUNNING if goes_on else genai.StreamingStatus.CANCEL

        def end(self) -> None:
            pass

    return Streamer(), raised


def reason(error: Exception) -> str:
    """The last line of an error of OpenVINO; those before it name lines of its source."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines[-1] if lines else type(error).__name__).rstrip(".!")
