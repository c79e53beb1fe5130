"""Every engine on random weights of one shape, beside plain ipex-llm and plain transformers."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from shapes import make_shape

from kb_assistant.bench.generation import Task, in_new_process, measure, measure_turns, peak_bytes
from kb_assistant.bench.measurements import LoadSpeed, Measurement
from kb_assistant.bench.suite import sample_chunks
from kb_assistant.models.convert import convert_model
from kb_assistant.settings import Settings

__all__ = ["compare"]


def compare(
    shape: str,
    tokenizer: Path,
    settings: Settings,
    prompt_tokens: Sequence[int],
    new_tokens: int,
    progress: Callable[[str], None] = print,
) -> Iterator[Measurement]:
    """Make a model of a shape, convert it for each engine, and measure all of them and the plain libraries.

    Raises:
        UsageError: there is no such shape.
        ModelError: there is no room for the model.
    """
    with tempfile.TemporaryDirectory(prefix="kb-bench-") as folder:
        models, full = Path(folder), "full"
        progress(f"making random weights of the shape {shape}")
        make_shape(shape, tokenizer, models / full)
        task = Task("", settings, models, "\n".join(sample_chunks()), tuple(prompt_tokens), new_tokens)
        for engine in ["ipex", *(["openvino"] if find_spec("openvino_genai") else [])]:
            started = time.perf_counter()
            convert_model(models / full, models, name=engine, to=engine, notify=progress)
            took = round(time.perf_counter() - started, 2)
            own = settings.model_copy(update={"engine": engine, "model": engine, "adapter": ""})
            progress(f"measuring {engine}")
            yield from measure(replace(task, name=engine, settings=own, convert_s=took))
        for library, model in (("ipex-llm", "ipex"), ("transformers", full)):
            own = settings.model_copy(update={"model": model})
            progress(f"measuring plain {library}")
            plain = replace(task, name=f"plain {library}", settings=own)
            yield from in_new_process(partial(_measure_plain, library), plain)


def _measure_plain(library: str, task: Task) -> list[Measurement]:
    from kb_assistant.privacy import keep_offline

    keep_offline()
    import torch
    import transformers  # as where an engine of ours is measured: loading is what comes after

    del torch, transformers
    started = time.perf_counter()
    model = _Plain(library, task)
    load_s = round(time.perf_counter() - started, 2)
    found = list(measure_turns(task, model, lookup=False, turns=("first",)))
    return [LoadSpeed(task.name, None, load_s, peak_bytes()), *found]


class _Plain:
    """A library alone: its own loader and its own generate()."""

    def __init__(self, library: str, task: Task) -> None:
        import torch
        from transformers import AutoModelForCausalLM, AutoTokenizer

        path = task.models / task.settings.model
        torch.set_num_threads(task.settings.threads or torch.get_num_threads())
        self._tokenizer = AutoTokenizer.from_pretrained(str(path), local_files_only=True)
        if library == "ipex-llm":
            from kb_assistant.llms.ipex.loading import load_low_bit

            self._model = load_low_bit(path, task.settings.low_bit, trust_remote_code=False)[0]
        else:
            self._model = AutoModelForCausalLM.from_pretrained(
                str(path), torch_dtype=torch.bfloat16, local_files_only=True, use_safetensors=True
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
    """A streamer, as transformers calls it, that notes when each token comes; the first call is the prompt."""

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
