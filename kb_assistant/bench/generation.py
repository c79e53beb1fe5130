"""Measures a language model: each in a process of its own, so that its memory is its own."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Protocol

from kb_assistant.bench.measurements import GenerationSpeed, LoadSpeed, Measurement, Turn
from kb_assistant.llms import load_engine
from kb_assistant.llms.base import Engine, Piece
from kb_assistant.llms.ipex.decoding import Sampling
from kb_assistant.llms.ipex.engine import IpexEngine
from kb_assistant.settings import Settings

__all__ = ["Task", "measure"]

_MORE_TOKENS = 64
"""How much longer a follow-up's prompt is."""


@dataclass(frozen=True, slots=True)
class Task:
    """What a process measures.

    Attributes:
        name: what the engine is called in the results.
        text: what prompts are made of.
        plain: measure the library itself with the model's folder instead of our engine: "ipex" or "transformers".
        lookups: settings of prompt lookup to be measured, one after the other.
    """

    name: str
    settings: Settings
    models: Path
    text: str
    prompt_tokens: tuple[int, ...]
    new_tokens: int
    convert_s: float | None = None
    plain: str | None = None
    lookups: tuple[bool, ...] = (False, True)


class _Answers(Protocol):
    """What can be measured."""

    def count(self, text: str) -> int:
        """How many tokens a prompt has."""

    def answer(self, prompt: str, new_tokens: int, *, copying: bool = False) -> list[float]:
        """The time of each token, from the start, in seconds; those that came at once have the same."""


def measure(task: Task) -> list[Measurement]:
    """Load a model in a new process, ask it, and return what was measured.

    Raises:
        KbError: the model cannot be used.
    """
    # Spawned: a fork would count this process's memory as its own.
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(_measure, task).result()


def _measure(task: Task) -> list[Measurement]:
    from kb_assistant.privacy import keep_offline

    keep_offline()
    import torch
    import transformers  # the process that converts a model has them too: loading is what comes after

    del torch, transformers
    started = time.perf_counter()
    found: list[Measurement] = []
    if task.plain:
        plain = _Plain(task)
        load_s = time.perf_counter() - started
        found += _speeds(task, plain, lookup=False, turns=("first",))
    else:
        load_s = 0.0
        for lookup in task.lookups:
            started = time.perf_counter()
            settings = task.settings.model_copy(update={"prompt_lookup": lookup})
            engine = load_engine(settings.engine, settings, task.models)
            load_s = load_s or time.perf_counter() - started
            turns: tuple[Turn, ...] = ("first",) if lookup else ("first", "follow-up", "again")
            if isinstance(engine, IpexEngine):
                turns = (*turns, "copying")
            found += _speeds(task, _Ours(engine), lookup=lookup, turns=turns)
            del engine
    return [LoadSpeed(task.name, task.convert_s, round(load_s, 2), _peak_bytes()), *found]


def _speeds(task: Task, model: _Answers, *, lookup: bool, turns: Sequence[Turn]) -> Iterator[GenerationSpeed]:
    model.answer("?", 2)  # what is done once, at the first answer of a process, is not the answer's
    for wanted in task.prompt_tokens:
        prompt = _prompt(task.text, wanted, model.count)
        longer = _prompt(task.text, wanted + _MORE_TOKENS, model.count)
        for turn in turns:
            asked = longer if turn == "follow-up" else prompt
            tokens = model.count(asked)
            times = model.answer(asked, task.new_tokens, copying=turn == "copying")
            after = [one for one in times if one > times[0]]
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
    """The beginning of `text`, over and over, that has about so many tokens."""
    whole = text
    while count(whole) < tokens:
        whole += text
    short, long = 0, len(whole)
    while short < long:
        middle = (short + long) // 2
        short, long = (middle + 1, long) if count(whole[:middle]) < tokens else (short, middle)
    return whole[:short]


class _Ours:
    """An engine of ours, asked as everything else asks it."""

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
        """Time an answer that is a part of its prompt: what a model computes, it computes; what it says, it is told."""
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
    """Picks given tokens, whatever is likely, once it has found out what is."""

    def __init__(self, tokens: Sequence[int]) -> None:
        super().__init__()
        self.tokens = tokens
        self.times: list[float] = []

    def pick(self, logits: Any) -> list[int]:
        written = len(self.times)
        return list(self.tokens[written:][: len(super().pick(logits))])


class _Plain:
    """The library alone: its own loader and its own generate()."""

    def __init__(self, task: Task) -> None:
        import torch
        from transformers import AutoModelForCausalLM, AutoTokenizer

        path = str(task.models / task.settings.model)
        torch.set_num_threads(task.settings.threads or torch.get_num_threads())
        self._tokenizer = AutoTokenizer.from_pretrained(path, local_files_only=True)
        if task.plain == "ipex":
            from kb_assistant.llms.ipex.loading import load_low_bit

            self._model = load_low_bit(Path(path), task.settings.low_bit, trust_remote_code=False)[0]
        else:
            self._model = AutoModelForCausalLM.from_pretrained(
                path, torch_dtype=torch.bfloat16, local_files_only=True, use_safetensors=True
            ).eval()

    def count(self, text: str) -> int:
        return len(self._encode(text))

    def answer(self, prompt: str, new_tokens: int, *, copying: bool = False) -> list[float]:
        import torch

        assert not copying

        ids = torch.tensor([self._encode(prompt)])
        clock = _Clock()
        self._model.generate(
            ids,
            attention_mask=torch.ones_like(ids),
            max_new_tokens=new_tokens,
            do_sample=False,
            eos_token_id=None,
            pad_token_id=0,
            streamer=clock,
        )
        return clock.times

    def _encode(self, text: str) -> list[int]:
        chat = [{"role": "user", "content": text}]
        return list(self._tokenizer.apply_chat_template(chat, add_generation_prompt=True))


class _Clock:
    """What transformers calls a streamer: notes when each token comes; the first call is the prompt."""

    def __init__(self) -> None:
        self._started = time.perf_counter()
        self._prompt_seen = False
        self.times: list[float] = []

    def put(self, ids: Any) -> None:
        if self._prompt_seen:
            self.times += [time.perf_counter() - self._started] * ids.numel()
        self._prompt_seen = True

    def end(self) -> None:
        pass


def _peak_bytes() -> int:
    """The most memory that this process has had."""
    if sys.platform == "win32":
        import psutil

        return int(psutil.Process().memory_info().peak_wset)
    status = Path("/proc/self/status")
    if status.is_file():  # getrusage's figure is that of the process that started this one, where that is greater
        line = next(line for line in status.read_text(encoding="utf-8").splitlines() if line.startswith("VmHWM:"))
        return int(line.split()[1]) * 1024
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # bytes on macOS
