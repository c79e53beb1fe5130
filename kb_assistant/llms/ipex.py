"""The ipex engine: Qwen, InternLM2 and Llama models in int4 on an Intel CPU, through ipex-llm."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, cast

from pydantic import Field

from kb_assistant.errors import ModelError
from kb_assistant.llms import model_path
from kb_assistant.llms.base import Engine, Piece, Waiting
from kb_assistant.llms.chat_format import ChatFormat
from kb_assistant.llms.detokenizer import AnswerSink, Detokenizer
from kb_assistant.llms.ipex_loading import CPU_LOW_BITS, load_low_bit, save_low_bit
from kb_assistant.llms.ipex_runtime import set_threads

if TYPE_CHECKING:
    from kb_assistant.settings import Settings

__all__ = ["CPU_LOW_BITS", "IpexEngine"]


class IpexEngine(Engine):
    """Answers with a model that ipex-llm holds in low bits. Greedy: the same prompt, the same answer."""

    model: Any = Field(repr=False, exclude=True)
    tokenizer: Any = Field(repr=False, exclude=True)
    path: Path
    low_bit: str
    threads: int | None = None
    system_prompt: str | None = Field(default=None, repr=False)

    @classmethod
    def load(
        cls,
        path: Path,
        *,
        low_bit: str = "sym_int4",
        max_new_tokens: int = 512,
        threads: int | None = None,
        trust_remote_code: bool = False,
        system_prompt: str | None = None,
    ) -> Self:
        """Load a Hugging Face model directory, or one that `save_low_bit` wrote.

        Args:
            path: the directory.
            low_bit: the format to convert the weights to; a saved directory keeps its own.
            max_new_tokens: the longest answer, where a call gives no other.
            threads: CPU threads, for all of torch in this process; None leaves torch's choice.
            trust_remote_code: run Python code that the model brings along.
            system_prompt: what the model is told before every prompt.

        Raises:
            ModelError: the model is missing, incomplete, broken or refused.
            UsageError: there is no such low_bit, or threads is not positive.
        """
        if threads is not None:
            set_threads(threads)
        model, tokenizer, low_bit = load_low_bit(path, low_bit, trust_remote_code=trust_remote_code)
        engine = cls(
            model=model,
            tokenizer=tokenizer,
            path=path,
            low_bit=low_bit,
            threads=threads,
            max_new_tokens=max_new_tokens,
            system_prompt=system_prompt,
        )
        engine._check_vocabulary()
        return engine

    @classmethod
    def from_settings(cls, settings: Settings, models: Path) -> Self:
        """Load the model that the settings name; see `load`."""
        return cls.load(
            model_path(settings, models),
            low_bit=settings.low_bit,
            max_new_tokens=settings.max_new_tokens,
            threads=settings.threads,
            trust_remote_code=settings.trust_remote_code,
        )

    def save_low_bit(self, path: Path, extra: Mapping[str, str] | None = None) -> None:
        """Write the converted model to the new directory `path`, from where it loads in seconds.

        Args:
            path: the directory, which must not exist.
            extra: texts of further files to write with it, by name.

        Raises:
            ModelError: `path` exists already, or it cannot be written.
        """
        save_low_bit(self.model, self.tokenizer, path, extra or {})

    @property
    def engine_name(self) -> str:
        """Always "ipex"."""
        return "ipex"

    @property
    def context_tokens(self) -> int:
        """The longest text the model was made for, in tokens."""
        return int(self.model.config.max_position_embeddings)

    def get_token_ids(self, text: str) -> list[int]:
        """Return the ids of the tokens of `text` alone."""
        return cast("list[int]", self.tokenizer.encode(text, add_special_tokens=False))

    def count_prompt_tokens(self, prompt: str) -> int:
        """Return how many tokens `prompt` takes in the model's chat format."""
        return len(self._encode(prompt))

    def generate_pieces(
        self, prompt: str, *, stop: Sequence[str], max_new_tokens: int, cancelled: threading.Event
    ) -> Iterator[Piece | Waiting]:
        """Generate in a thread; the stop strings are left to the base."""
        del stop
        ids = self._encode(prompt)

        def produce(emit: Callable[[Piece], None]) -> None:
            sink = _Sink(len(ids), max_new_tokens, self._end_ids, Detokenizer(self._decode), emit)
            self._run(ids, max_new_tokens, sink, cancelled)
            sink.finish()

        return self._in_background(produce, cancelled)

    def _run(self, ids: list[int], limit: int, sink: _Sink, cancelled: threading.Event) -> None:
        import torch
        from transformers import GenerationConfig

        if self.threads is not None:
            set_threads(self.threads)  # OpenMP keeps the number by thread, and this one is new
        ends = sorted(self._end_ids)
        # The model's own settings may sample, or penalise repetition, which spoils quotations.
        greedy = GenerationConfig(
            do_sample=False,
            max_new_tokens=limit,
            eos_token_id=ends or None,
            pad_token_id=ends[0] if ends else 0,
        )
        prompt = torch.tensor([ids])
        with _stoppable(self.model, cancelled):
            self.model.generate(
                prompt,
                attention_mask=torch.ones_like(prompt),
                generation_config=greedy,
                streamer=sink,
                lookahead=0,  # else IPEX_LLM_PERFORMANCE_MODE=1 takes a path that fails
            )

    @property
    def _identifying_params(self) -> Mapping[str, Any]:
        own = {"model": str(self.path), "low_bit": self.low_bit, "system_prompt": self.system_prompt}
        return {**super()._identifying_params, **own}

    @cached_property
    def _format(self) -> ChatFormat:
        return ChatFormat(self.tokenizer, self.model.config.model_type)

    @cached_property
    def _end_ids(self) -> frozenset[int]:
        """Every token that ends an answer; a config names none, one or several."""
        ends = self._format.end_ids()
        for config in (self.model.config, self.model.generation_config):
            ids = config.eos_token_id
            ends.update(ids if isinstance(ids, list) else [] if ids is None else [ids])
        return frozenset(ends)

    def _check_vocabulary(self) -> None:
        """Check the tokens of an empty conversation: one the model does not have would fail in the middle."""
        rows, largest = self.model.get_input_embeddings().weight.shape[0], max(self._encode("."))
        if largest >= rows:
            raise ModelError(
                f"the tokenizer in {self.path} is not that of the model: it gives token {largest:,}, "
                f"and the model has {rows:,}; fetch both from the same place"
            )

    def _encode(self, prompt: str) -> list[int]:
        return self._format.encode(prompt, system=self.system_prompt)

    def _decode(self, ids: Sequence[int]) -> str:
        text = self.tokenizer.decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False)
        return cast("str", text)


class _Sink(AnswerSink):
    """What transformers calls a streamer: takes the prompt once, then every token."""

    _prompt_seen = False

    def put(self, ids: Any) -> None:
        """Take the prompt, or the next token."""
        if self._prompt_seen:
            self.take(ids.flatten().tolist())
        self._prompt_seen = True

    def end(self) -> None:
        """Part of the streamer interface; `finish` does the work, since this call may not come."""


class _StoppedError(Exception):
    """Raised inside a model to leave its generate()."""


@contextmanager
def _stoppable(model: Any, cancelled: threading.Event) -> Iterator[None]:
    """Leave the model within one layer of `cancelled` being set.

    transformers itself looks between tokens only, and the first token of a long prompt takes seconds.
    """

    def check(*_: object) -> None:
        if cancelled.is_set():
            raise _StoppedError

    hooks = [layer.register_forward_pre_hook(check) for layer in _layers(model)]
    try:
        yield
    except _StoppedError:
        pass
    finally:
        for hook in hooks:
            hook.remove()


def _layers(model: Any) -> list[Any]:
    """Return the model's layers, or the model itself where they cannot be told."""
    from torch.nn import ModuleList

    for module in model.modules():
        if isinstance(module, ModuleList) and len(module) == model.config.num_hidden_layers:
            return list(module)
    return [model]
