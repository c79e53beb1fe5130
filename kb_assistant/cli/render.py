"""Results to what people and programs read: text for a terminal, dictionaries for JSON."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from kb_assistant.language import language_of

if TYPE_CHECKING:
    from pathlib import Path

    from kb_assistant.answering.types import Answer, Citation
    from kb_assistant.bench import Measurement
    from kb_assistant.doctor import Finding
    from kb_assistant.evaluation import Comparison
    from kb_assistant.evaluation.calibration import Calibration
    from kb_assistant.models.catalogue import CatalogueEntry
    from kb_assistant.models.registry import ModelInfo
    from kb_assistant.sync.indexer import IngestReport
    from vectorstore import CollectionInfo, Hit, SourceInfo

__all__ = [
    "CHECKED",
    "LEAVES",
    "bench_json",
    "bench_text",
    "catalogue_text",
    "citations_text",
    "collections_text",
    "evaluation_json",
    "evaluation_text",
    "findings_text",
    "hits_text",
    "models_text",
    "pulled_text",
    "report_text",
    "sources_text",
]

_QUOTED_CHARACTERS = 160
_WORDS = {
    "zh": {"nearest": "最接近的段落：", "page": "第 {page} 页 "},
    "en": {"nearest": "The nearest passages:", "page": "p. {page} "},
}
_QUIET = frozenset({"ready", "unsupported", "deleted", "added", "updated", "renamed"})


CHECKED = {"zh": "（对照文档核对后：）", "en": "(checked against the documents:)"}
"""What stands before an answer that reads otherwise than it was streamed."""

LEAVES = {
    "zh": "（问题和相关段落会离开本机，发送到 {host}）",
    "en": "(questions and passages leave this machine: they are sent to {host})",
}
"""What says that answers are made elsewhere."""


def models_text(models: Sequence[ModelInfo], folder: Path) -> str:
    """Return the models, one a line."""
    lines = [f"{one.name}  {one.kind}, {one.format}, {one.bytes / 1e6:,.0f} MB" for one in models]
    return "\n".join(lines) or f"no models in {folder}; kb models pull NAME brings one (kb models list --available)"


def catalogue_text(entries: Iterable[CatalogueEntry]) -> str:
    """Return the models that can be pulled, one a line; sizes are approximate."""
    lines = []
    for one in entries:
        what = f"{one.kind}, {'+'.join(one.languages)}, about {one.size_gb:g} GB, memory about {one.memory_gb:g} GB"
        lines.append(f"{one.name:<24} {what}" + (f"; for {one.engine}" if one.engine else ""))
    return "\n".join(lines)


def pulled_text(model: ModelInfo) -> str:
    """Return what a model that was pulled is, and how it is used."""
    ready = f"kb ask QUESTION --model {model.name}"
    use = {
        "language": ready if model.format == "openvino" else f"kb models convert {model.name}",
        "embedding": f'embedding_model = "{model.name}" in kb.toml, and kb ingest again',
        "reranker": f'reranker = "{model.name}" in kb.toml',
        "unknown": "kb models list shows what it is",
    }
    return f"{model.name}: {model.bytes / 1e6:,.0f} MB; next: {use[model.kind]}"


def citations_text(answer: Answer) -> str:
    """Return the citations under an answer, one a line pair; a refusal offers them as the nearest passages."""
    words = _WORDS[language_of(answer.question)]
    lines = [words["nearest"]] if answer.refused and answer.citations else []
    for citation in answer.citations:
        lines.append(f"[{citation.number}] {_place(citation, words['page'])}")
        lines.append(f"    “{_folded(citation.quote)}”")
    return "\n".join(lines)


def hits_text(hits: Iterable[Hit]) -> str:
    """Return search results for a terminal."""
    lines = []
    for hit in hits:
        page = f"p. {hit.page} " if hit.page else ""
        heading = f"  {' › '.join(hit.heading)}" if hit.heading else ""
        lines.append(f"{hit.rank:>2}. {hit.score:.2f}  {page}{_folded(hit.source)}:{_lines(hit)}{heading}")
        lines.append(f"      {_folded(hit.text)}")
    return "\n".join(lines) or "nothing found"


def report_text(report: IngestReport, *, dry_run: bool) -> str:
    """Return what a run of `kb ingest` did, with a line for each file that needs one."""
    counts = ("added", "updated", "renamed", "unchanged", "deleted", "failed")
    done = ", ".join(f"{getattr(report, name)} {name}" for name in counts if getattr(report, name)) or "no documents"
    lines = []
    for file in report.files:
        if dry_run and file.status in ("added", "updated", "renamed", "deleted"):
            lines.append(f"{file.status:>9}  {_folded(file.path)}")
        elif file.status not in _QUIET:
            lines.append(f"{file.status:>9}  {_folded(file.path)}: {_noted(file.notes)}")
    unsupported = sum(file.status == "unsupported" for file in report.files)
    if unsupported:
        lines.append(f"{unsupported} files of other kinds were passed over (--json lists them)")
    if dry_run:
        return "\n".join([*lines, f"would be: {done}"])
    return "\n".join([*lines, f"{done}; {report.chunks_embedded} chunks embedded in {report.seconds:.1f} s"])


def sources_text(sources: Iterable[SourceInfo]) -> str:
    """Return the documents of a collection for a terminal."""
    lines = []
    for source in sources:
        size = f"{source.pages} pages, " if source.pages else ""
        notes = f"  {_noted(source.notes)}" if source.notes else ""
        lines.append(f"{source.status:>14}  {_folded(source.name)}  ({size}{source.chunks} chunks){notes}")
    return "\n".join(lines) or "no documents"


def collections_text(collections: Iterable[CollectionInfo]) -> str:
    """Return the collections for a terminal."""
    lines = [f"{one.name}: {one.sources} documents, {one.chunks} chunks ({one.embedding})" for one in collections]
    return "\n".join(lines) or "no collections yet; kb ingest FOLDER makes one"


def findings_text(findings: Iterable[Finding]) -> str:
    """Return the findings of `kb doctor` for a terminal."""
    return "\n".join(f"{'ok  ' if one.ok else 'FAIL'}  {one.check}: {one.detail}" for one in findings)


def evaluation_json(comparison: Comparison) -> dict[str, Any]:
    """Return the figures in the form that `kb eval --json` prints."""
    from kb_assistant.evaluation.report import comparison_json

    return comparison_json(comparison)


def calibration_json(calibration: Calibration) -> dict[str, Any]:
    """Return the figures in the form that `kb eval --calibrate --json` prints."""
    from kb_assistant.evaluation import calibration as tables

    return tables.calibration_json(calibration)


def calibration_text(calibration: Calibration) -> str:
    """Return the figures of `kb eval --calibrate` for a terminal."""
    from kb_assistant.evaluation import calibration as tables

    return tables.calibration_text(calibration)


def evaluation_text(comparison: Comparison) -> str:
    """Return the figures of `kb eval` for a terminal."""
    from kb_assistant.evaluation.report import comparison_text

    return comparison_text(comparison)


def bench_json(found: Iterable[Measurement]) -> list[dict[str, Any]]:
    """Return one object a measurement; its `kind` says what it is of."""
    return [asdict(one) for one in found]


def bench_text(found: Sequence[Measurement]) -> str:
    """Return the tables of `kb bench`."""
    from kb_assistant.bench import report as tables

    return tables.bench_text(found)


def _place(citation: Citation, page: str) -> str:
    heading = f"  {citation.heading}" if citation.heading else ""
    before = page.format(page=citation.page) if citation.page else ""
    return f"{before}{_folded(citation.source)}:{_lines(citation)}{heading}"


def _lines(located: Citation | Hit) -> str:
    first, last = located.line_start, located.line_end
    return str(first) if first == last else f"{first}-{last}"


def _folded(text: str) -> str:
    words = " ".join(text.split())
    return words if len(words) <= _QUOTED_CHARACTERS else words[:_QUOTED_CHARACTERS] + "…"


def _noted(notes: Iterable[str]) -> str:
    return "; ".join(" ".join(note.split()) for note in notes)
