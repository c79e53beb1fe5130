"""`kb eval`, `bench` and `doctor`: how good the answers are, how fast, and whether all is sound."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from kb_assistant.cli.options import COLLECTION, JSON, LANGUAGE_MODEL, open_assistant, with_options
from kb_assistant.cli.output import print_destination, print_message, print_outcome, print_result, progress_bar
from kb_assistant.errors import UsageError

if TYPE_CHECKING:
    from kb_assistant.doctor import Finding

__all__ = ["bench", "doctor", "evaluate"]


@click.command("eval")
@click.argument("file", metavar="FILE", type=click.Path(path_type=Path))
@click.option("--limit", type=click.IntRange(min=1), help="Ask at most so many questions, drawn with a fixed seed.")
@click.option("--compare", multiple=True, metavar="SETTING=VALUE", help="A second run with this setting. Repeatable.")
@click.option("--calibrate", is_flag=True, help="Fit the refusal threshold to your collection, and keep it in kb.toml.")
@with_options(COLLECTION, *LANGUAGE_MODEL, JSON)
def evaluate(
    file: Path,
    limit: int | None,
    compare: tuple[str, ...],
    calibrate: bool,
    collection: str | None,
    as_json: bool,
    home: Path | None,
    **language_model: str | None,
) -> None:
    """Measure quality on a question set: SQuAD JSON, JSON lines or RGB's lines."""
    from kb_assistant import serialization
    from kb_assistant.evaluation import calibration, report

    if calibrate and compare:
        raise UsageError("--calibrate and --compare do not go together; give one of them")
    changes = dict(_setting(argument) for argument in compare)
    with open_assistant(home, **language_model) as assistant, progress_bar() as progress:
        if not as_json:
            print_destination(assistant)
        if calibrate:
            fitted = assistant.calibrate(file, collection=collection, limit=limit, progress=progress)
            figures = calibration.calibration_json(fitted)
            print_result(serialization.to_json(figures) if as_json else calibration.calibration_text(fitted))
            return
        found = assistant.evaluate(file, collection=collection, limit=limit, compare=changes, progress=progress)
    print_result(serialization.to_json(report.comparison_json(found)) if as_json else report.comparison_text(found))


@click.command()
@click.option("--prompt-tokens", type=click.IntRange(16), multiple=True, help="Length of a prompt. Repeatable.")
@click.option("--new-tokens", type=click.IntRange(8), default=64, show_default=True, help="Length of an answer.")
@with_options(*LANGUAGE_MODEL, JSON)
def bench(
    prompt_tokens: tuple[int, ...],
    new_tokens: int,
    as_json: bool,
    home: Path | None,
    **language_model: str | None,
) -> None:
    """Measure the speed and memory of language and embedding models on this machine."""
    from dataclasses import asdict

    from kb_assistant import serialization
    from kb_assistant.bench.report import bench_text

    with open_assistant(home, **language_model) as assistant:
        print_destination(assistant)
        found = list(assistant.bench(prompt_tokens=prompt_tokens, new_tokens=new_tokens, progress=print_message))
    print_result(
        serialization.to_json([asdict(measurement) for measurement in found]) if as_json else bench_text(found)
    )


@click.command()
@with_options(*LANGUAGE_MODEL, JSON)
def doctor(as_json: bool, home: Path | None, **language_model: str | None) -> int:
    """Check that this machine and the store are sound."""
    from dataclasses import asdict

    from kb_assistant.doctor import examine

    findings = examine(home, **language_model)
    print_outcome([asdict(finding) for finding in findings], _findings_text(findings), as_json=as_json)
    return 0 if all(finding.ok for finding in findings) else 3


def _setting(argument: str) -> tuple[str, str]:
    name, equals, value = argument.partition("=")
    if not (name.strip() and equals):
        raise UsageError(f"--compare {argument}: not a setting; write it as SETTING=VALUE, such as passages=10")
    return name.strip(), value.strip()


def _findings_text(findings: Iterable[Finding]) -> str:
    from kb_assistant.messages import localized

    lines = []
    for finding in findings:
        mark = localized("ok  " if finding.ok else "FAIL")
        lines.append(f"{mark}  {localized(finding.check)}: {localized(finding.detail)}")
    return "\n".join(lines)
