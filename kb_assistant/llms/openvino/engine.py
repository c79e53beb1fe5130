"""The openvino engine: int4 folders of OpenVINO's own files, and GGUF files, through OpenVINO GenAI."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from pydantic import Field, PrivateAttr

from kb_assistant.errors import ModelError, UsageError
from kb_assistant.llms import local_options, model_path
from kb_assistant.llms.base import Engine, Piece, Waiting
from kb_assistant.llms.chat_format import ChatFormat
from kb_assistant.llms.detokenizer import AnswerSink, Detokenizer
from kb_assistant.llms.openvino.files import OpenVinoModel, inspect_openvino
from kb_assistant.llms.openvino.runtime import (
    generation_config,
    import_genai,
    input_tensor,
    make_pipeline,
    make_streamer,
    reason,
)
from kb_assistant.llms.openvino.tokenizer import OpenVinoTokenizer

if TYPE_CHECKING:
    from kb_assistant.settings import Settings

__all__ = ["OpenVinoEngine"]

_PREFILL_TOKENS = 256
"""A long prompt is read in steps of so many tokens, between which it can be left; the cache has blocks of 32."""


class OpenVinoEngine(Engine):
    """Answers with a model that OpenVINO GenAI runs, at temperature 0 always alike."""

    pipeline: Any = Field(repr=False, exclude=True)
    model: OpenVinoModel
    threads: int | None = None
    system_prompt: str | None = Field(default=None, repr=False)
    prompt_lookup: bool | None = None

    _read: list[int] = PrivateAttr(default_factory=list)

    @classmethod
    def load(
        cls,
        path: Path,
        *,
        max_new_tokens: int = 512,
        threads: int | None = None,
        system_prompt: str | None = None,
        temperature: float = 0.0,
        top_p: float = 0.8,
        prompt_lookup: bool | None = None,
    ) -> Self:
        """Load a folder of OpenVINO's own files, a GGUF file, or a folder that holds just one.

        Args:
            path: the folder or file.
            max_new_tokens: the longest answer, where a call gives no other.
            threads: CPU threads; None leaves OpenVINO's choice.
            system_prompt: what the model is told before every prompt.
            temperature: 0 takes the likeliest token; above it, tokens are drawn.
            top_p: the share of the likeliest tokens that are drawn from.
            prompt_lookup: try what the prompt says next; None: where nothing is drawn.

        Raises:
            ModelError: the model is missing, incomplete or broken, or openvino-genai is not installed.
            UsageError: threads is not positive.
        """
        if threads is not None and threads < 1:
            raise UsageError(f"threads is {threads}; give the number of CPU cores to use, from 1 up")
        import_genai()
        model = inspect_openvino(path)
        try:
            lookup = temperature == 0 and prompt_lookup is not False
            pipeline = make_pipeline(model.path, threads, lookup=lookup)
        except RuntimeError as error:
            raise ModelError(
                f"cannot load the model {model.path}: {reason(error)}; "
                "it may be broken, or of a kind that OpenVINO GenAI does not know"
            ) from error
        engine = cls(
            pipeline=pipeline,
            model=model,
            threads=threads,
            max_new_tokens=max_new_tokens,
            system_prompt=system_prompt,
            temperature=temperature,
            top_p=top_p,
            prompt_lookup=lookup,
        )
        engine._check_vocabulary()
        return engine

    @classmethod
    def from_settings(cls, settings: Settings, models: Path) -> Self:
        """Load the model that the settings name; see `load`."""
        return cls.load(model_path(settings, models), **local_options(settings))

    @property
    def engine_name(self) -> str:
        """Always "openvino"."""
        return "openvino"

    @property
    def context_tokens(self) -> int:
        """The longest text the model was made for, in tokens."""
        return self.model.context_tokens

    def get_token_ids(self, text: str) -> list[int]:
        """Return the ids of the tokens of `text` alone."""
        return self._tokenizer.encode(text)

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
            sink = AnswerSink(len(ids), max_new_tokens, self._end_ids, Detokenizer(self._tokenizer.decode), emit)
            if self._prefill(ids, cancelled):
                self._answer(ids, max_new_tokens, sink, cancelled)
            sink.finish()

        return self._in_background(produce, cancelled)

    def _prefill(self, ids: list[int], cancelled: threading.Event) -> bool:
        """Read all but the end of the prompt into the prefix cache; False if it was left before that.

        GenAI hears of a stop with the first token only, which may take seconds.
        """
        one = self._config(1)
        for end in range(_PREFILL_TOKENS, len(ids), _PREFILL_TOKENS):
            if cancelled.is_set():
                return False
            if self._read[:end] != ids[:end]:  # what it shares with the prompt before is in the cache
                self.pipeline.generate(input_tensor(ids[:end]), one)
                self._read = ids[:end]
        return not cancelled.is_set()

    def _answer(self, ids: list[int], limit: int, sink: AnswerSink, cancelled: threading.Event) -> None:
        def take(new: list[int]) -> bool:
            if not cancelled.is_set():
                sink.take(new)
            return not cancelled.is_set()

        streamer, raised = make_streamer(take)
        self.pipeline.generate(input_tensor(ids), self._config(limit), streamer)
        self._read = ids
        if raised:
            raise raised[0]

    def _config(self, limit: int) -> Any:
        sampling = {"temperature": self.temperature, "top_p": self.top_p}
        return generation_config(limit, self._end_ids, lookup=bool(self.prompt_lookup), **sampling)

    @property
    def _identifying_params(self) -> Mapping[str, Any]:
        own = {"model": str(self.model.path), "system_prompt": self.system_prompt}
        return {**super()._identifying_params, **own}

    @cached_property
    def _tokenizer(self) -> OpenVinoTokenizer:
        return OpenVinoTokenizer(self.pipeline.get_tokenizer(), self.model.added)

    @cached_property
    def _format(self) -> ChatFormat:
        return ChatFormat(self._tokenizer, self.model.family)

    @cached_property
    def _end_ids(self) -> frozenset[int]:
        """Every token that ends an answer."""
        return self.model.end_ids | self._format.end_ids()

    def _check_vocabulary(self) -> None:
        """Check the tokens of an empty conversation: one the model does not have would give nonsense."""
        rows, largest = self.model.vocabulary, max(self._encode("."))
        if rows is not None and largest >= rows:
            raise ModelError(
                f"the tokenizer of {self.model.path} is not that of the model: it gives token {largest:,}, "
                f"and the model has {rows:,}; fetch both from the same place"
            )

    def _encode(self, prompt: str) -> list[int]:
        return self._format.encode(prompt, system=self.system_prompt)
