"""What was measured, as tables that read as Markdown too."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from kb_assistant.bench.measurements import EmbeddingSpeed, GenerationSpeed, LoadSpeed, Measurement

__all__ = ["bench_text", "table"]


def bench_text(found: Sequence[Measurement]) -> str:
    """Return a table each of loading, generating and embedding, of what there is."""
    loads = [
        (one.engine, _figure(one.convert_s, 1), _figure(one.load_s, 1), f"{one.peak_bytes / 1e9:.1f}")
        for one in found
        if isinstance(one, LoadSpeed)
    ]
    answers = [
        (
            one.engine,
            one.turn + (", lookup" if one.lookup else ""),
            f"{one.prompt_tokens:,}",
            f"{one.first_token_s:.2f}",
            f"{one.prefill_tokens_per_s:.0f}",
            f"{one.decode_tokens_per_s:.1f}",
        )
        for one in found
        if isinstance(one, GenerationSpeed)
    ]
    embeddings = [
        (one.model, one.dtype, one.batch_size, f"{one.chunks_per_s:.0f}", "fastest" if one.recommended else "")
        for one in found
        if isinstance(one, EmbeddingSpeed)
    ]
    parts = []
    if loads:
        parts.append(table(("engine", "convert, s", "load, s", "most memory, GB"), loads))
    if answers:
        heads = ("engine", "turn", "prompt tokens", "first token, s", "prompt tokens/s", "new tokens/s")
        parts.append(table(heads, answers))
    if embeddings:
        parts.append(table(("embedding model", "computes in", "batch", "chunks/s", ""), embeddings))
        best = next(one for one in found if isinstance(one, EmbeddingSpeed) and one.recommended)
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
