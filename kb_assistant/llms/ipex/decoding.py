"""Writes an answer token by token: greedy or sampled, without computing again what the last prompt began with.

Two ways to fewer steps, both of which leave a greedy answer as it is:

- The keys and values of the last prompt and answer stay, and a prompt that begins alike starts from there.
- Prompt lookup: answers copy from their passages, so what followed the last words before is tried as
  a draft, and one step of the model tells how much of it is right.
"""

from __future__ import annotations

import threading
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

__all__ = ["Decoder", "Sampling"]

LONGEST_DRAFT = 3
"""Torch's kernel computes four tokens together: a step over four takes 1.7 times one over one, over five 3 times."""
_LONGEST_MATCH, _SHORTEST_MATCH = 4, 2
_LONGEST_PAUSE = 32
_KEPT_TOKENS = 8192
"""Longest prefix kept between prompts; for a model of 1.5B parameters that is some 0.25 GB."""


@dataclass
class Sampling:
    """How a token is chosen: at temperature 0 the likeliest, else drawn from the likeliest that make `top_p`."""

    temperature: float = 0.0
    top_p: float = 0.8

    def pick(self, logits: Any) -> list[int]:
        """Return a token id for each row of `logits`, a tensor of shape (rows, vocabulary)."""
        import torch

        if self.temperature <= 0:
            return [int(one) for one in logits.argmax(-1)]
        chances, order = (logits.float() / self.temperature).softmax(-1).sort(dim=-1, descending=True)
        before = chances.cumsum(-1) - chances
        drawn = torch.multinomial(chances.masked_fill(before > self.top_p, 0.0), 1)
        return [int(one) for one in order.gather(-1, drawn)[:, 0]]


class Decoder:
    """Decodes with one model, one prompt at a time."""

    def __init__(self, model: Any, *, lookup: bool) -> None:
        """Take a causal language model of transformers; `lookup` switches prompt lookup on."""
        self._model = model
        self._lookup = lookup
        # Others, such as ChatGLM3's own code, keep keys and values in forms that cannot be cut here.
        self._reuses = bool(getattr(model, "_supports_cache_class", False))
        self._cache: Any = None
        self._cached: list[int] = []

    def tokens(
        self, prompt: Sequence[int], ends: frozenset[int], sampling: Sampling, cancelled: threading.Event
    ) -> Generator[int]:
        """Yield the tokens after `prompt`, with the one of `ends` that ends them; early once `cancelled` is set.

        What is computed runs in the thread that reads.
        """
        steps = self._reusing(list(prompt), sampling) if self._reuses else self._plain(list(prompt), sampling)
        with _stoppable(self._model, cancelled):
            for token in steps:
                yield token
                if token in ends or cancelled.is_set():
                    return

    def _reusing(self, prompt: list[int], sampling: Sampling) -> Iterator[int]:
        self._keep(min(_common_length(self._cached, prompt), len(prompt) - 1, _KEPT_TOKENS))
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
                drafts.judge(right)
                self._keep(len(self._cached))
            for token in chosen[: right + 1]:
                written.append(token)
                yield token

    def _forward(self, ids: list[int]) -> Any:
        """Compute `ids` after what is cached, and return the last logits, of shape (at most ids, vocabulary)."""
        import torch

        with torch.inference_mode():
            output = self._model(
                input_ids=torch.tensor([ids]), past_key_values=self._cache, use_cache=True, return_dict=True
            )
        self._cache = output.past_key_values
        return output.logits[0]

    def _keep(self, length: int) -> None:
        """Cut what is cached to `length` tokens; a step that was broken off left some layers longer."""
        self._cached = self._cached[:length]
        if not length or self._cache is None:
            from transformers import DynamicCache

            self._cache, self._cached = DynamicCache(), []
            return
        for states in (self._cache.key_cache, self._cache.value_cache):
            states[:] = [layer[:, :, :length] for layer in states]
        self._cache._seen_tokens = length

    def _plain(self, prompt: list[int], sampling: Sampling) -> Iterator[int]:
        """Decode as transformers does, for models whose cache is a matter of their own."""
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
    """What followed, earlier in the prompt or the answer, the words that the answer ends with."""

    def __init__(self, prompt: Sequence[int]) -> None:
        self._after: dict[tuple[int, ...], int] = {}
        self._indexed = 0
        self._next_at = 0
        self._pause = 0
        self._index(prompt)

    def next(self, written: Sequence[int]) -> list[int]:
        """Return what may come next, nothing where the last words are new."""
        self._index(written)
        if len(written) < self._next_at:
            return []
        for size in range(_LONGEST_MATCH, _SHORTEST_MATCH - 1, -1):
            start = self._after.get(tuple(written[-size:]))
            if start is not None:
                return list(written[start : start + LONGEST_DRAFT])
        return []

    def judge(self, right: int) -> None:
        """Take note of how many tokens of the last draft were right: after ones all wrong, wait longer and longer."""
        self._pause = 0 if right else min(_LONGEST_PAUSE, max(2, self._pause * 2))
        self._next_at = self._indexed + self._pause

    def _index(self, written: Sequence[int]) -> None:
        """Note where each run of words that has something after it ends; the last place counts."""
        for end in range(max(1, self._indexed), len(written)):
            for size in range(_SHORTEST_MATCH, _LONGEST_MATCH + 1):
                if size <= end:
                    self._after[tuple(written[end - size : end])] = end
        self._indexed = len(written)


def _common_length(one: Sequence[int], other: Sequence[int]) -> int:
    """How many elements both begin with."""
    length = 0
    for a, b in zip(one, other, strict=False):
        if a != b:
            break
        length += 1
    return length


class _StoppedError(Exception):
    """Raised inside a model to leave it."""


@contextmanager
def _stoppable(model: Any, cancelled: threading.Event) -> Iterator[None]:
    """Leave the model within one layer of `cancelled` being set: the first token of a long prompt takes seconds."""

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
