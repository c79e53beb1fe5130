"""The ipex engine: Qwen, InternLM2 and Llama models in int4 on an Intel CPU, through ipex-llm."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from functools import cached_property
from importlib import import_module
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, cast

from pydantic import Field

from kb_assistant.errors import ModelError
from kb_assistant.llms import find_model, local_options, model_path
from kb_assistant.llms.base import Engine, Heartbeat, Piece
from kb_assistant.llms.chat_format import ChatFormat
from kb_assistant.llms.checkpoints.lora import apply_adapter
from kb_assistant.llms.checkpoints.model_files import FAMILY
from kb_assistant.llms.detokenizer import AnswerSink, Detokenizer
from kb_assistant.llms.ipex.decoding import Decoder, Sampling
from kb_assistant.llms.ipex.loading import CPU_LOW_BITS, load_low_bit
from kb_assistant.llms.ipex.runtime import set_threads

if TYPE_CHECKING:
    from kb_assistant.settings import Settings

__all__ = ["CPU_LOW_BITS", "IpexEngine"]


class IpexEngine(Engine):
    """Answers with a low-bit model in ipex-llm; at temperature 0 the same prompt gives the same answer."""

    model: Any = Field(repr=False, exclude=True)
    tokenizer: Any = Field(repr=False, exclude=True)
    path: Path
    low_bit: str
    threads: int | None = None
    system_prompt: str | None = Field(default=None, repr=False)
    prompt_lookup: bool | None = None
    adapter: Path | None = None

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
        temperature: float = 0.0,
        top_p: float = 0.8,
        prompt_lookup: bool | None = None,
        adapter: Path | None = None,
    ) -> Self:
        """Load a Hugging Face model directory, or one that `kb models convert` wrote.

        Args:
            path: the directory.
            low_bit: the format to convert the weights to; a saved directory keeps its own.
            max_new_tokens: the longest answer, unless a call gives another limit.
            threads: CPU threads for all of torch in this process; None for torch's default.
            trust_remote_code: run Python code from the model's folder.
            system_prompt: instructions before every prompt.
            temperature: 0 picks the likeliest token; above 0, tokens are sampled.
            top_p: samples from the likeliest tokens that together have this probability.
            prompt_lookup: draft tokens from the prompt; None: only if the answer is sure to stay the same.
            adapter: the folder of a LoRA adapter in peft's format, if any.

        Raises:
            ModelError: the model is missing, incomplete, broken or refused.
            UsageError: low_bit is unknown, or threads is not positive.
        """
        if threads is not None:
            set_threads(threads)
        model, tokenizer, low_bit = load_low_bit(path, low_bit, trust_remote_code=trust_remote_code)
        from kb_assistant.llms.ipex.kernels import use_fast_attention, use_fast_products

        use_fast_attention()
        use_fast_products(model)
        if adapter is not None:
            apply_adapter(model, adapter)
        engine = cls(
            model=model,
            tokenizer=tokenizer,
            path=path,
            low_bit=low_bit,
            threads=threads,
            max_new_tokens=max_new_tokens,
            system_prompt=system_prompt,
            temperature=temperature,
            top_p=top_p,
            prompt_lookup=prompt_lookup,
            adapter=adapter,
        )
        engine._check_vocabulary()
        # The first forward pass imports torch's compiler, only to see that it is off: 2 s, so import it meanwhile.
        threading.Thread(target=import_module, args=("torch._dynamo",)).start()
        return engine

    @classmethod
    def from_settings(cls, settings: Settings, models: Path) -> Self:
        """Load the model that the settings name; see `load`."""
        return cls.load(
            model_path(settings, models),
            low_bit=settings.low_bit,
            trust_remote_code=settings.trust_remote_code,
            adapter=find_model(settings.adapter, models) if settings.adapter else None,
            **local_options(settings),
        )

    @property
    def engine_name(self) -> str:
        """Always "ipex"."""
        return "ipex"

    @property
    def context_tokens(self) -> int:
        """The longest text that the model supports, in tokens."""
        return int(self.model.config.max_position_embeddings)

    def get_token_ids(self, text: str) -> list[int]:
        """Return the token ids of `text` alone."""
        return cast("list[int]", self.tokenizer.encode(text, add_special_tokens=False))

    def count_prompt_tokens(self, prompt: str) -> int:
        """Return how many tokens `prompt` takes in the model's chat format."""
        return len(self.prompt_ids(prompt))

    def generate_pieces(
        self, prompt: str, *, stop: Sequence[str], max_new_tokens: int, cancelled: threading.Event
    ) -> Iterator[Piece | Heartbeat]:
        """Generate in a thread; the base class handles stop strings."""
        del stop
        ids = self.prompt_ids(prompt)

        def produce(emit: Callable[[Piece], None]) -> None:
            if self.threads is not None:
                set_threads(self.threads)  # OpenMP counts per thread, and this thread is new
            sink = AnswerSink(len(ids), max_new_tokens, self._end_ids, Detokenizer(self._decode), emit)
            sampling = Sampling(self.temperature, self.top_p)
            with closing(self.decoder.tokens(ids, self._end_ids, sampling, cancelled)) as tokens:
                for token in islice(tokens, max_new_tokens):
                    sink.take([token])
            sink.finish()

        return self._in_background(produce, cancelled)

    @property
    def _identifying_params(self) -> Mapping[str, Any]:
        own: dict[str, Any] = {"model": str(self.path), "low_bit": self.low_bit, "system_prompt": self.system_prompt}
        own["adapter"] = self.adapter and str(self.adapter)
        return {**super()._identifying_params, **own}

    @cached_property
    def decoder(self) -> Decoder:
        """Decodes answers token by token, one prompt at a time."""
        from kb_assistant.llms.ipex.kernels import steps_are_exact

        # In bfloat16 a step over several tokens may round differently, which can swap nearly equal tokens.
        exact = (steps_are_exact(self.model) and self.adapter is None) or self.model.dtype.itemsize > 2
        return Decoder(self.model, lookup=exact if self.prompt_lookup is None else self.prompt_lookup)

    @cached_property
    def _format(self) -> ChatFormat:
        config = self.model.config
        return ChatFormat(self.tokenizer, getattr(config, FAMILY, config.model_type))

    @cached_property
    def _end_ids(self) -> frozenset[int]:
        """All tokens that end an answer; a config names none, one or several."""
        ends = self._format.end_ids()
        for config in (self.model.config, self.model.generation_config):
            ids = config.eos_token_id
            ends.update(ids if isinstance(ids, list) else [] if ids is None else [ids])
        return frozenset(ends)

    def _check_vocabulary(self) -> None:
        """Check that the model has the chat format's tokens; a missing one would fail in the middle of an answer."""
        rows, largest = self.model.get_input_embeddings().weight.shape[0], max(self.prompt_ids("."))
        if largest >= rows:
            raise ModelError(
                f"the tokenizer in {self.path} does not belong to the model: it uses token {largest:,}, "
                f"and the model has {rows:,}; download both from the same place"
            )

    def prompt_ids(self, prompt: str) -> list[int]:
        """Return the token ids of `prompt` in the model's chat format."""
        return self._format.encode(prompt, system=self.system_prompt)

    def _decode(self, ids: Sequence[int]) -> str:
        known = [number for number in ids if number < len(self.tokenizer)]  # a model may have more rows than tokens
        text = self.tokenizer.decode(known, skip_special_tokens=True, clean_up_tokenization_spaces=False)
        return cast("str", text)
