"""The results of `kb bench`: speeds of loading, generating and embedding."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["EmbeddingSpeed", "GenerationSpeed", "LoadSpeed", "Measurement", "Turn"]

Turn = Literal["first", "follow-up", "again", "copying"]


@dataclass(frozen=True, slots=True)
class LoadSpeed:
    """Loading a language model in a process of its own.

    Attributes:
        convert_s: seconds to load, convert and write the full weights; None if nothing was converted.
        load_s: seconds to load the model, once torch and transformers are imported.
        peak_bytes: the peak memory of the process, including generation.
    """

    engine: str
    convert_s: float | None
    load_s: float
    peak_bytes: int
    kind: Literal["load"] = "load"


@dataclass(frozen=True, slots=True)
class GenerationSpeed:
    """The speed of an answer.

    Attributes:
        turn: the first answer; a follow-up, whose prompt is the first with 64 tokens more; the first prompt again;
            or the first prompt with an answer that copies from it.
        first_token_s: seconds to the first token.
        prefill_tokens_per_s: prompt tokens divided by the seconds to the first token.
        decode_tokens_per_s: tokens per second after the first.
        lookup: whether prompt lookup was on.
    """

    engine: str
    turn: Turn
    prompt_tokens: int
    new_tokens: int
    first_token_s: float
    prefill_tokens_per_s: float
    decode_tokens_per_s: float
    lookup: bool = False
    kind: Literal["generation"] = "generation"


@dataclass(frozen=True, slots=True)
class EmbeddingSpeed:
    """The speed of embedding chunks; `recommended` marks the fastest setting."""

    model: str
    dtype: str
    batch_size: int
    chunks_per_s: float
    recommended: bool = False
    kind: Literal["embedding"] = "embedding"


Measurement = LoadSpeed | GenerationSpeed | EmbeddingSpeed
