"""`kb eval --calibrate`: what it fits, what it writes, and when it writes nothing."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from paths import DATA

from kb_assistant import Assistant
from kb_assistant.errors import UsageError
from kb_assistant.evaluation.calibration import FEWEST, REFUSED, fitted_threshold

SCORES = st.lists(st.floats(0, 1), min_size=1, max_size=60)


@given(SCORES, SCORES)
def test_no_more_than_3_percent_are_refused_and_no_threshold_catches_more(
    inside: list[float], outside: list[float]
) -> None:
    threshold = fitted_threshold(inside, outside)
    allowed = int(REFUSED * len(inside))
    assert sum(score < threshold for score in inside) <= allowed
    caught = sum(score < threshold for score in outside)
    for other in {*inside, *outside}:
        if sum(score < other for score in inside) <= allowed:
            assert sum(score < other for score in outside) <= caught


def test_the_threshold_leaves_room_on_both_sides() -> None:
    assert fitted_threshold([0.9] * 10, [0.1] * 10) == 0.5
    assert 0.1 < fitted_threshold([0.9] * 10, [0.01] * 10) < 0.4


@pytest.fixture
def own(shared: Path, tmp_path: Path, kb: Callable[..., Any]) -> Path:
    """XQuAD's Chinese paragraphs as files that are ingested, and its questions as lines about them."""
    path = shared / "data" / "eval" / "squad_xquad" / "xquad_zh_13articles_SHARE.json"
    lines = []
    (tmp_path / "docs").mkdir()
    for number, article in enumerate(json.loads(path.read_text(encoding="utf-8"))["data"]):
        for place, paragraph in enumerate(article["paragraphs"]):
            name = f"{number}-{place}.txt"
            (tmp_path / "docs" / name).write_text(paragraph["context"], encoding="utf-8")
            for one in paragraph["qas"][::3]:
                answers = [answer["text"] for answer in one["answers"]]
                lines.append({"question": one["question"], "answers": answers, "source": name})
    assert kb("ingest", tmp_path / "docs").code == 0
    questions = tmp_path / "questions.jsonl"
    questions.write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")
    return questions


def test_it_is_fitted_and_in_force_from_then_on(kb: Callable[..., Any], own: Path, own_home: Path) -> None:
    (own_home / "kb.toml").write_text("# mine\nrefuse_below = 0.995 # too much\npassages = 5\n", encoding="utf-8")
    found = kb("eval", own, "--calibrate", "--json").json()
    assert found["answerable"] > 2 * FEWEST
    assert found["unanswerable"] == found["left_out"] > FEWEST
    assert found["before"]["refuse_below"] == 0.995
    assert found["before"]["answerable_refused"] > 0.2
    assert found["after"]["answerable_refused"] < 0.1
    assert found["after"]["recall"] > 0.4
    written = (own_home / "kb.toml").read_text(encoding="utf-8")
    assert found["written"] == str(own_home / "kb.toml")
    assert tomllib.loads(written) == {"refuse_below": found["after"]["refuse_below"], "passages": 5}
    assert written.startswith("# mine\n")
    again = kb("eval", own, "--calibrate", "--json").json()
    assert again["before"]["refuse_below"] == found["after"]["refuse_below"], "it is what is set now"
    assert again["written"] is None, "and another run finds nothing better"
    assert "nothing was written" in kb("eval", own, "--calibrate").out


def test_too_few_questions_write_nothing(kb: Callable[..., Any], own: Path, own_home: Path) -> None:
    run = kb("eval", own, "--calibrate", "--limit", str(FEWEST - 1))
    assert run.code == 2
    assert f"it takes {FEWEST} of each" in run.err
    assert not (own_home / "kb.toml").exists()


def test_questions_that_bring_their_documents_are_refused(kb: Callable[..., Any], tmp_path: Path) -> None:
    paragraph = {"context": "Cats purr.", "qas": [{"question": "What do cats do?", "answers": [{"text": "purr"}]}]}
    (tmp_path / "squad.json").write_text(json.dumps({"data": [{"paragraphs": [paragraph]}]}))
    run = kb("eval", tmp_path / "squad.json", "--calibrate")
    assert (run.code, "about your collection" in run.err) == (2, True)


def test_options_may_be_left_out_from_python(handbook: Assistant) -> None:
    with pytest.raises(UsageError, match="too little to calibrate on"):
        handbook.calibrate(DATA / "handbook_questions.jsonl")


def test_it_does_not_go_with_compare(kb: Callable[..., Any], own: Path) -> None:
    assert kb("eval", own, "--calibrate", "--compare", "passages=3").code == 2


def test_a_variable_that_goes_before_the_file_is_told(
    kb: Callable[..., Any], own: Path, own_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KB_REFUSE_BELOW", "0.995")
    run = kb("eval", own, "--calibrate")
    assert (run.code, "KB_REFUSE_BELOW is set" in run.err) == (2, True)
    assert not (own_home / "kb.toml").exists()
