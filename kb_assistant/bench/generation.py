"""Measures the speed of a language model and the memory that it takes, in a process of its own."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Protocol, TypeVar

from kb_assistant.bench.measurements import GenerationSpeed, LoadSpeed, Measurement, Turn
from kb_assistant.llms import load_engine
from kb_assistant.llms.base import Engine, Piece
from kb_assistant.llms.ipex.decoding import Sampling
from kb_assistant.llms.ipex.engine import IpexEngine
from kb_assistant.settings import Settings

__all__ = ["Measurable", "Task", "in_new_process", "measure", "measure_turns", "peak_bytes"]

T = TypeVar("T")

_MORE_TOKENS = 64
"""How much longer a follow-up's prompt is."""


@dataclass(frozen=True, slots=True)
class Task:
    """What a process measures.

    Attributes:
        name: the engine's name in the results.
        text: what prompts are made of.
        convert_s: how long converting the model took, where it was converted for this.
        lookups: settings of prompt lookup to measure, one after the other.
    """

    name: str
    settings: Settings
    models: Path
    text: str
    prompt_tokens: tuple[int, ...]
    new_tokens: int
    convert_s: float | None = None
    lookups: tuple[bool, ...] = (False, True)


class Measurable(Protocol):
    """A model that can be measured."""

    def count(self, text: str) -> int:
        """Return how many tokens a prompt has."""

    def answer(self, prompt: str, new_tokens: int, *, copying: bool = False) -> list[float]:
        """Return when each token came, in seconds from the start; tokens that came together share a time."""


def in_new_process(measuring: Callable[[Task], T], task: Task) -> T:
    """Call a function of a module in a new process, so that its memory is its own."""
    # Spawned: a fork would count this process's memory as its own.
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(measuring, task).result()


def measure(task: Task) -> list[Measurement]:
    """Load a model in a new process, ask it, and return what was measured.

    Raises:
        KbError: the model cannot be used.
    """
    return in_new_process(_measure, task)


def _measure(task: Task) -> list[Measurement]:
    from kb_assistant.privacy import keep_offline

    keep_offline()
    import torch
    import transformers  # the process that converts a model has them too: loading is what comes after

    del torch, transformers
    found: list[Measurement] = []
    load_s = 0.0
    for lookup in task.lookups:
        started = time.perf_counter()
        settings = task.settings.model_copy(update={"prompt_lookup": lookup})
        engine = load_engine(settings.engine, settings, task.models)
        load_s = load_s or time.perf_counter() - started
        turns: tuple[Turn, ...] = ("first",) if lookup else ("first", "follow-up", "again")
        if isinstance(engine, IpexEngine):
            turns = (*turns, "copying")
        found += measure_turns(task, _EngineClock(engine), lookup=lookup, turns=turns)
        del engine
    return [LoadSpeed(task.name, task.convert_s, round(load_s, 2), peak_bytes()), *found]


def measure_turns(task: Task, model: Measurable, *, lookup: bool, turns: Sequence[Turn]) -> Iterator[GenerationSpeed]:
    """Yield the speed of each kind of turn at each length of the prompt."""
    model.answer("?", 2)  # the first answer of a process does work that later ones do not
    for wanted in task.prompt_tokens:
        prompt = _prompt(task.text, wanted, model.count)
        longer = _prompt(task.text, wanted + _MORE_TOKENS, model.count)
        for turn in turns:
            asked = longer if turn == "follow-up" else prompt
            tokens = model.count(asked)
            times = model.answer(asked, task.new_tokens, copying=turn == "copying")
            after = [moment for moment in times if moment > times[0]]
            decode = len(after) / (times[-1] - times[0]) if after else 0.0
            yield GenerationSpeed(
                engine=task.name,
                turn=turn,
                prompt_tokens=tokens,
                new_tokens=len(times),
                first_token_s=round(times[0], 6),
                prefill_tokens_per_s=round(tokens / times[0], 1),
                decode_tokens_per_s=round(decode, 2),
                lookup=lookup,
            )


def _prompt(text: str, tokens: int, count: Callable[[str], int]) -> str:
    """Return a prompt of about that many tokens, from `text` repeated as often as needed."""
    whole = text
    while count(whole) < tokens:
        whole += text
    short, long = 0, len(whole)
    while short < long:
        middle = (short + long) // 2
        short, long = (middle + 1, long) if count(whole[:middle]) < tokens else (short, middle)
    return whole[:short]


class _EngineClock:
    """Times an engine's tokens."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.count = engine.count_prompt_tokens

    def answer(self, prompt: str, new_tokens: int, *, copying: bool = False) -> list[float]:
        if copying:
            return self._copy(prompt, new_tokens)
        started = time.perf_counter()
        times: list[float] = []
        pieces = self._engine.generate_pieces(prompt, stop=(), max_new_tokens=new_tokens, cancelled=threading.Event())
        for piece in pieces:
            if isinstance(piece, Piece):
                now = time.perf_counter() - started
                times += [now] * (piece.completion_tokens - len(times))
        return times

    def _copy(self, prompt: str, new_tokens: int) -> list[float]:
        """Time an answer that is a part of its prompt: the model computes as ever, and its words are dictated."""
        assert isinstance(self._engine, IpexEngine)
        ids = self._engine.prompt_ids(prompt)
        dictation = _Dictation(ids[len(ids) // 3 :][:new_tokens])
        started = time.perf_counter()
        for _ in self._engine.decoder.tokens(ids, frozenset(), dictation, threading.Event()):
            dictation.times.append(time.perf_counter() - started)
            if len(dictation.times) == len(dictation.tokens):
                break
        return dictation.times


class _Dictation(Sampling):
    """Picks the given tokens, after computing the likely ones as usual."""

    def __init__(self, tokens: Sequence[int]) -> None:
        super().__init__()
        self.tokens = tokens
        self.times: list[float] = []

    def pick(self, logits: Any) -> list[int]:
        written = len(self.times)
        return list(self.tokens[written:][: len(super().pick(logits))])


def peak_bytes() -> int:
    """Return the most memory that this process has had."""
    if sys.platform == "win32":
        import psutil

        return int(psutil.Process().memory_info().peak_wset)
    status = Path("/proc/self/status")
    if status.is_file():  # getrusage would count the peak of the parent process, if that is higher
        line = next(line for line in status.read_text(encoding="utf-8").splitlines() if line.startswith("VmHWM:"))
        return int(line.split()[1]) * 1024
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # bytes on macOS
