"""What is measured: loading, generating, embedding."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["EmbeddingSpeed", "GenerationSpeed", "LoadSpeed", "Measurement", "Turn"]

Turn = Literal["first", "follow-up", "again", "copying"]


@dataclass(frozen=True, slots=True)
class LoadSpeed:
    """Loading a language model in a process of its own.

    Attributes:
        convert_s: seconds to load and convert the full weights and write the result; None where none were converted.
        load_s: seconds to load it; both in a process that has torch and transformers.
        peak_bytes: the most memory that the process had, generating included.
    """

    engine: str
    convert_s: float | None
    load_s: float
    peak_bytes: int
    kind: Literal["load"] = "load"


@dataclass(frozen=True, slots=True)
class GenerationSpeed:
    """One answer.

    Attributes:
        turn: the first with its prompt; a follow-up, whose prompt begins with that of the first and has
            64 tokens more; the first again; or the first with an answer that copies from its prompt.
        first_token_s: seconds to the first token.
        prefill_tokens_per_s: prompt tokens by seconds to the first token.
        decode_tokens_per_s: tokens a second after the first.
        lookup: whether what the prompt says next was tried.
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
    """Embedding chunks of documents; `recommended` marks the fastest setting."""

    model: str
    dtype: str
    batch_size: int
    chunks_per_s: float
    recommended: bool = False
    kind: Literal["embedding"] = "embedding"


Measurement = LoadSpeed | GenerationSpeed | EmbeddingSpeed
