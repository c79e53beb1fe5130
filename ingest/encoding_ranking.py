"""Ranks the encodings that bytes other than Unicode may be in, by how likely a text each makes of them."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from math import inf

from ingest.broken_bytes import decode_leniently, decodes
from ingest.charsets import BROKEN, MODELS, WIDE, Model
from ingest.eight_bit import MOST_PER_CHARACTER, eight_bit_cost, guess_eight_bit

__all__ = ["rank_encodings"]

_HIGH = re.compile(rb"[\x80-\xff]")
_SAMPLE_BYTES = 1 << 16
# How much plain ASCII before the sample chardet is given: it tells languages by their plain letters too.
_LEAD_BYTES = 1 << 12
_WESTERN = "cp1252"
_UNSURE_PRIOR = 2.0
# A declared encoding is believed unless another is cheaper by this, and by that for each character beyond ASCII.
_BELIEVED, _BELIEVED_PER_CHARACTER = 4.0, 2.0


@dataclass(frozen=True, slots=True)
class _Candidate:
    """An encoding, and how likely a text it makes of a sample.

    Attributes:
        cost: the negative logarithm of that likelihood.
        foreign: how many characters beyond ASCII the text has.
        encoding: its name.
        is_sensible: whether a person may have written the text.
    """

    cost: float
    foreign: int
    encoding: str
    is_sensible: bool


def rank_encodings(data: bytes, declared: str | None) -> list[str]:
    """Return the encodings that make sense of `data`, the likeliest first.

    Args:
        data: bytes that are neither Unicode nor ASCII.
        declared: the encoding that the file names. It comes first where it decodes, unless another
            makes much more sense. Of two eight-bit encodings the declared one is always believed.
    """
    first_high = _HIGH.search(data)
    start = first_high.start() if first_high else 0
    sample = data[max(0, start - 1) : start + _SAMPLE_BYTES]
    lead = data[max(0, start - 1 - _LEAD_BYTES) : max(0, start - 1)]
    whole = start + _SAMPLE_BYTES >= len(data)
    multi_byte = [_multi_byte(model, sample, whole) for model in MODELS]
    if len(data) % 2 == 0:
        multi_byte += [_multi_byte(model, data[start & ~1 :][:_SAMPLE_BYTES], whole) for model in WIDE]
    rivals = [candidate for candidate in multi_byte if candidate.is_sensible]
    found = sorted(
        (one for one in (*rivals, _best_eight_bit(sample, lead)) if one.is_sensible), key=lambda one: one.cost
    )
    ranked = [candidate.encoding for candidate in found]
    if declared is None:
        return ranked
    model = next((model for model in MODELS if declared in model.codecs), None)
    if model is None and not decodes(data, declared):
        return ranked
    mine, rivals = (_multi_byte(model, sample, whole), found) if model else (_eight_bit(declared, sample), rivals)
    best = min(rivals, key=lambda one: one.cost, default=mine)
    if mine.cost <= best.cost + _BELIEVED + _BELIEVED_PER_CHARACTER * best.foreign:
        return [mine.encoding, *ranked]
    return ranked


def _multi_byte(model: Model, sample: bytes, whole: bool) -> _Candidate:
    """Return the codec of a model that reads the sample with the fewest broken bytes."""
    found: list[_Candidate] = []
    for codec in model.codecs:
        text, broken = decode_leniently(sample, codec, limit=len(sample) // 8, ignore_cut=not whole)
        foreign = _count_foreign(text)
        cost = model.cost(text, codec) + BROKEN * broken
        found.append(
            _Candidate(
                cost if text else inf, foreign, codec, foreign > 0 and cost <= model.prior + model.most * foreign
            )
        )
        if not broken:
            break
    return min(found, key=lambda one: one.cost)


def _best_eight_bit(sample: bytes, lead: bytes) -> _Candidate:
    guess = guess_eight_bit(lead + sample)
    guessed, western = _eight_bit(guess.encoding, sample), _eight_bit(_WESTERN, sample)
    # Letters without case cost so little that any bytes are cheap in some encoding: a guess that
    # nothing speaks for competes with what Western text costs.
    cost = min(western.cost + _UNSURE_PRIOR, guessed.cost if guess.is_sure else inf)
    return replace(guessed if guessed.is_sensible else western, cost=cost)


def _eight_bit(encoding: str, sample: bytes) -> _Candidate:
    text, broken = decode_leniently(sample, encoding, limit=len(sample) // 8)
    foreign = _count_foreign(text)
    cost = eight_bit_cost(text) + BROKEN * broken
    return _Candidate(cost if text else inf, foreign, encoding, foreign > 0 and cost <= MOST_PER_CHARACTER * foreign)


def _count_foreign(text: str) -> int:
    return sum(character > "\x7f" for character in text)
