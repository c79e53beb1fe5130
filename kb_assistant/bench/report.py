"""The results of `kb bench` as tables, which are also Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from kb_assistant.bench.measurements import EmbeddingSpeed, GenerationSpeed, LoadSpeed, Measurement

__all__ = ["bench_text", "table"]


def bench_text(found: Sequence[Measurement]) -> str:
    """Return a table for each kind of result that there is."""
    loads = [
        (speed.engine, _figure(speed.convert_s, 1), _figure(speed.load_s, 1), f"{speed.peak_bytes / 1e9:.1f}")
        for speed in found
        if isinstance(speed, LoadSpeed)
    ]
    answers = [
        (
            speed.engine,
            speed.turn + (", lookup" if speed.lookup else ""),
            f"{speed.prompt_tokens:,}",
            f"{speed.first_token_s:.2f}",
            f"{speed.prefill_tokens_per_s:.0f}",
            f"{speed.decode_tokens_per_s:.1f}",
        )
        for speed in found
        if isinstance(speed, GenerationSpeed)
    ]
    embeddings = [
        (
            each.model,
            each.dtype,
            each.batch_size,
            f"{each.chunks_per_s:.0f}",
            "fastest" if each.recommended else "",
        )
        for each in found
        if isinstance(each, EmbeddingSpeed)
    ]
    parts = []
    if loads:
        parts.append(table(("engine", "convert, s", "load, s", "most memory, GB"), loads))
    if answers:
        heads = ("engine", "turn", "prompt tokens", "first token, s", "prompt tokens/s", "new tokens/s")
        parts.append(table(heads, answers))
    if embeddings:
        parts.append(table(("embedding model", "computes in", "batch", "chunks/s", ""), embeddings))
        best = next(speed for speed in found if isinstance(speed, EmbeddingSpeed) and speed.recommended)
        if best.model != "builtin":
            parts.append(f'fastest: embedding_dtype = "{best.dtype}", embedding_batch = {best.batch_size}')
    return "\n\n".join(parts)


def table(heads: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return a table in Markdown, its columns as wide as what is in them."""
    lines = [list(heads), *([str(cell) for cell in row] for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(heads))]
    shown = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) + " |" for line in lines
    ]
    return "\n".join([shown[0], "|" + "|".join("-" * (width + 2) for width in widths) + "|", *shown[1:]])


def _figure(value: float | None, digits: int) -> str:
    return "" if value is None else f"{value:.{digits}f}"
