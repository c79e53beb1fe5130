"""Decodes an answer token by token, greedily or by sampling.

Two things save steps without changing a greedy answer:

- Prefix reuse: keys and values of the last prompt and answer are kept, and the next prompt reuses the prefix it shares.
- Prompt lookup: answers copy from their passages, so the tokens that followed the last words before serve as a draft,
  and one step of the model verifies all of it.
"""

from __future__ import annotations

import threading
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

__all__ = ["Decoder", "Sampling"]

MAX_DRAFT_TOKENS = 3
"""Torch's kernel handles four tokens at once: a step over four takes 1.7 times one over one, over five 3 times."""
_MAX_MATCH, _MIN_MATCH = 4, 2
_MAX_PAUSE = 32
_MAX_PREFIX_TOKENS = 8192
"""Longest prefix kept between prompts; about 0.25 GB for a model of 1.5B parameters."""


@dataclass
class Sampling:
    """How a token is chosen: at temperature 0 the likeliest, else sampled from the likeliest of `top_p` together."""

    temperature: float = 0.0
    top_p: float = 0.8

    def pick(self, logits: Any) -> list[int]:
        """Return a token id for each row of `logits`, a tensor of shape (rows, vocabulary)."""
        import torch

        if self.temperature <= 0:
            return [int(token) for token in logits.argmax(-1)]
        chances, order = (logits.float() / self.temperature).softmax(-1).sort(dim=-1, descending=True)
        before = chances.cumsum(-1) - chances
        drawn = torch.multinomial(chances.masked_fill(before > self.top_p, 0.0), 1)
        return [int(token) for token in order.gather(-1, drawn)[:, 0]]


class Decoder:
    """Decodes with one model, one prompt at a time."""

    def __init__(self, model: Any, *, lookup: bool) -> None:
        """Take a causal language model of transformers; `lookup` turns prompt lookup on."""
        self._model = model
        self._lookup = lookup
        # Other models, such as ChatGLM3's own code, keep keys and values in forms that cannot be cut here.
        self._reuses = bool(getattr(model, "_supports_cache_class", False))
        self._cache: Any = None
        self._cached: list[int] = []

    def tokens(
        self, prompt: Sequence[int], ends: frozenset[int], sampling: Sampling, cancelled: threading.Event
    ) -> Generator[int]:
        """Yield the tokens after `prompt`, up to and including one of `ends`; stop early once `cancelled` is set.

        The reader's thread does the computing.
        """
        steps = self._reusing(list(prompt), sampling) if self._reuses else self._plain(list(prompt), sampling)
        with _stoppable(self._model, cancelled):
            for token in steps:
                yield token
                if token in ends or cancelled.is_set():
                    return

    def _reusing(self, prompt: list[int], sampling: Sampling) -> Iterator[int]:
        self._keep(min(_common_length(self._cached, prompt), len(prompt) - 1, _MAX_PREFIX_TOKENS))
        written = list(prompt)
        drafts = _Drafts(prompt) if self._lookup and sampling.temperature <= 0 else None
        while True:
            draft = drafts.next(written) if drafts and len(written) > len(prompt) else []
            new = written[len(self._cached) :] + draft
            chosen = sampling.pick(self._forward(new)[-len(draft) - 1 :])
            right = _common_length(draft, chosen)
            self._cached = written + draft[:right]
            if draft:
                assert drafts is not None
                drafts.record(right)
                self._keep(len(self._cached))
            for token in chosen[: right + 1]:
                written.append(token)
                yield token

    def _forward(self, ids: list[int]) -> Any:
        """Compute `ids` after the cached prefix, and return the last logits, of shape (at most ids, vocabulary)."""
        import torch

        with torch.inference_mode():
            output = self._model(
                input_ids=torch.tensor([ids]), past_key_values=self._cache, use_cache=True, return_dict=True
            )
        self._cache = output.past_key_values
        return output.logits[0]

    def _keep(self, length: int) -> None:
        """Cut the cache to `length` tokens; an interrupted step leaves some layers longer."""
        self._cached = self._cached[:length]
        if not length or self._cache is None:
            from transformers import DynamicCache

            self._cache, self._cached = DynamicCache(), []
            return
        for states in (self._cache.key_cache, self._cache.value_cache):
            states[:] = [layer[:, :, :length] for layer in states]
        self._cache._seen_tokens = length

    def _plain(self, prompt: list[int], sampling: Sampling) -> Iterator[int]:
        """Decode as transformers does, for models with a cache of their own form."""
        import torch

        ids = torch.tensor([prompt])
        kwargs: dict[str, Any] = {"attention_mask": torch.ones_like(ids), "use_cache": True}
        kwargs["cache_position"] = torch.arange(len(prompt))
        while True:
            with torch.inference_mode():
                inputs = self._model.prepare_inputs_for_generation(ids, **kwargs)
                output = self._model(**inputs, return_dict=True)
            (token,) = sampling.pick(output.logits[:, -1])
            yield token
            ids = torch.cat([ids, torch.tensor([[token]])], dim=1)
            kwargs = self._model._update_model_kwargs_for_generation(output, kwargs)


class _Drafts:
    """Drafts: the tokens that followed the answer's last words earlier in the prompt or answer."""

    def __init__(self, prompt: Sequence[int]) -> None:
        self._after: dict[tuple[int, ...], int] = {}
        self._indexed = 0
        self._next_at = 0
        self._pause = 0
        self._index(prompt)

    def next(self, written: Sequence[int]) -> list[int]:
        """Return a draft of the next tokens; empty if the last words are new."""
        self._index(written)
        if len(written) < self._next_at:
            return []
        for size in range(_MAX_MATCH, _MIN_MATCH - 1, -1):
            start = self._after.get(tuple(written[-size:]))
            if start is not None:
                return list(written[start : start + MAX_DRAFT_TOKENS])
        return []

    def record(self, right: int) -> None:
        """Note how many tokens of the last draft were right; after wrong drafts, pause longer and longer."""
        self._pause = 0 if right else min(_MAX_PAUSE, max(2, self._pause * 2))
        self._next_at = self._indexed + self._pause

    def _index(self, written: Sequence[int]) -> None:
        """Note where each run of tokens ends that has a successor; the last place counts."""
        for end in range(max(1, self._indexed), len(written)):
            for size in range(_MIN_MATCH, _MAX_MATCH + 1):
                if size <= end:
                    self._after[tuple(written[end - size : end])] = end
        self._indexed = len(written)


def _common_length(one: Sequence[int], other: Sequence[int]) -> int:
    """How many elements both start with."""
    length = 0
    for a, b in zip(one, other, strict=False):
        if a != b:
            break
        length += 1
    return length


class _StoppedError(Exception):
    """Raised inside a model to interrupt it."""


@contextmanager
def _stoppable(model: Any, cancelled: threading.Event) -> Iterator[None]:
    """Interrupt the model within one layer once `cancelled` is set: the first token of a long prompt takes seconds."""

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
    """Return the model's layers, or the model itself if they cannot be identified."""
    from torch.nn import ModuleList

    for module in model.modules():
        if isinstance(module, ModuleList) and len(module) == model.config.num_hidden_layers:
            return list(module)
    return [model]
