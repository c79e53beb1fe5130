"""`kb models`: convert the small test model for real, list it, answer with it, remove it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kb_assistant.models import list_models, remove_model


def test_a_converted_model_answers_and_is_listed_and_removed(
    kb: Callable[..., Any], small_model: Path, taught: list[Any], own_home: Path
) -> None:
    made = kb("models", "convert", small_model, "--name", "small", "--json")
    assert made.code == 0
    assert made.json()["format"] == "sym_int4"
    assert made.json()["made_from"] == str(small_model.resolve())
    record = json.loads((own_home / "models" / "small" / "kb_model.json").read_text())
    assert set(record) == {"made_from", "weights_sha256", "low_bit", "ipex_llm"}
    (listed,) = kb("models", "list", "--json").json()
    assert (listed["name"], listed["kind"], listed["format"]) == ("small", "language", "sym_int4")
    assert listed["bytes"] < sum(file.stat().st_size for file in small_model.glob("*.safetensors"))

    kb("ingest", Path(__file__).parents[2] / "kb_assistant" / "samples")
    asked = kb("ask", taught[0].question.text, "--model", "small", "--json").json()
    assert asked["engine"] == "ipex"
    assert asked["usage"]["completion_tokens"] > 0

    again = kb("models", "convert", small_model, "--name", "small")
    assert again.code == 2
    assert "exists already" in again.err
    twice = kb("models", "convert", own_home / "models" / "small", "--name", "twice")
    assert twice.code == 3
    assert "in sym_int4 already" in twice.err
    assert kb("models", "remove", "small").code == 0
    assert kb("models", "list").out.startswith("no models in ")


@pytest.mark.parametrize("name", ["", "..", "../elsewhere", "a/b", ".hidden", "a\\b"])
def test_a_name_is_no_path(kb: Callable[..., Any], tmp_path: Path, name: str) -> None:
    for command in (("convert", tmp_path, "--name"), ("remove",)):
        done = kb("models", *command, name) if name else kb("models", "remove", name)
        assert done.code == 2
        assert "cannot be a model's name" in done.err


def test_what_is_no_model_is_not_converted(kb: Callable[..., Any], tmp_path: Path, own_home: Path) -> None:
    done = kb("models", "convert", tmp_path / "nothing")
    assert done.code == 3
    assert "no model directory" in done.err
    assert kb("models", "convert", tmp_path, "--low-bit", "int3").code == 2
    assert not (own_home / "models").exists()


def test_a_conversion_that_was_broken_off_is_no_model(tmp_path: Path) -> None:
    (tmp_path / ".small.x1").mkdir()
    assert list_models(tmp_path) == []


def test_a_linked_model_is_only_unlinked(tmp_path: Path, small_model: Path) -> None:
    brought = tmp_path / "brought"
    shutil.copytree(small_model, brought)
    folder = tmp_path / "models"
    folder.mkdir()
    (folder / "linked").symlink_to(brought)
    assert remove_model(folder, "linked").kind == "language"
    assert list_models(folder) == []
    assert (brought / "config.json").is_file()
