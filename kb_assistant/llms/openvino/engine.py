"""The openvino engine: int4 folders in OpenVINO's format and GGUF files, through OpenVINO GenAI."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from pydantic import Field, PrivateAttr

from kb_assistant.errors import ModelError, UsageError
from kb_assistant.llms import local_options, model_path
from kb_assistant.llms.base import Engine, Heartbeat, Piece
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
"""A prompt is read in steps of this many tokens, and can be interrupted between them; the cache has blocks of 32."""


class OpenVinoEngine(Engine):
    """Answers with a model in OpenVINO GenAI; at temperature 0 the same prompt gives the same answer."""

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
        """Load a folder in OpenVINO's format, a GGUF file, or a folder with a single GGUF file.

        Args:
            path: the folder or file.
            max_new_tokens: the longest answer, unless a call gives another limit.
            threads: CPU threads; None for OpenVINO's default.
            system_prompt: instructions before every prompt.
            temperature: 0 picks the likeliest token; above 0, tokens are sampled.
            top_p: samples from the likeliest tokens that together have this probability.
            prompt_lookup: draft tokens from the prompt; None: only at temperature 0.

        Raises:
            ModelError: the model is missing, incomplete or broken, or openvino-genai is not installed.
            UsageError: threads is not positive.
        """
        if threads is not None and threads < 1:
            raise UsageError(f"threads must be at least 1, not {threads}; it is the number of CPU cores to use")
        import_genai()
        model = inspect_openvino(path)
        try:
            lookup = temperature == 0 and prompt_lookup is not False
            pipeline = make_pipeline(model.path, threads, lookup=lookup)
        except RuntimeError as error:
            raise ModelError(
                f"cannot load the model {model.path}: {reason(error)}; "
                "it may be broken, or of a kind that OpenVINO GenAI does not support"
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
        """The longest text that the model supports, in tokens."""
        return self.model.context_tokens

    def get_token_ids(self, text: str) -> list[int]:
        """Return the token ids of `text` alone."""
        return self._tokenizer.encode(text)

    def count_prompt_tokens(self, prompt: str) -> int:
        """Return how many tokens `prompt` takes in the model's chat format."""
        return len(self._encode(prompt))

    def generate_pieces(
        self, prompt: str, *, stop: Sequence[str], max_new_tokens: int, cancelled: threading.Event
    ) -> Iterator[Piece | Heartbeat]:
        """Generate in a thread; the base class handles stop strings."""
        del stop
        ids = self._encode(prompt)

        def produce(emit: Callable[[Piece], None]) -> None:
            sink = AnswerSink(len(ids), max_new_tokens, self._end_ids, Detokenizer(self._tokenizer.decode), emit)
            if self._prefill(ids, cancelled):
                self._answer(ids, max_new_tokens, sink, cancelled)
            sink.finish()

        return self._in_background(produce, cancelled)

    def _prefill(self, ids: list[int], cancelled: threading.Event) -> bool:
        """Read all but the end of the prompt into the prefix cache; return False if cancelled.

        GenAI can be stopped from the first token on only, which may take seconds.
        """
        one = self._config(1)
        for end in range(_PREFILL_TOKENS, len(ids), _PREFILL_TOKENS):
            if cancelled.is_set():
                return False
            if self._read[:end] != ids[:end]:  # else the cache has it from the previous prompt
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
        """All tokens that end an answer."""
        return self.model.end_ids | self._format.end_ids()

    def _check_vocabulary(self) -> None:
        """Check that the model has the chat format's tokens; a missing one would give nonsense."""
        rows, largest = self.model.vocabulary, max(self._encode("."))
        if rows is not None and largest >= rows:
            raise ModelError(
                f"the tokenizer in {self.model.path} does not belong to the model: it uses token {largest:,}, "
                f"and the model has {rows:,}; download both from the same place"
            )

    def _encode(self, prompt: str) -> list[int]:
        return self._format.encode(prompt, system=self.system_prompt)
