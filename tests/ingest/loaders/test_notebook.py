from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from contract import check_document

from ingest import ParsedDocument, load
from ingest.errors import NoTextError, UnreadableError


def notebook(path: Path, cells: list[dict[str, Any]], *, indent: int | None = 1) -> ParsedDocument:
    made = {"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
    path.write_text(json.dumps(made, indent=indent, sort_keys=True, ensure_ascii=False), encoding="utf-8")
    document = load(path)
    check_document(document)
    return document


def blocks(document: ParsedDocument) -> list[tuple[str, int, str]]:
    return [(b.kind.value, b.level, document.text[b.start : b.end]) for b in document.blocks]


CELLS: list[dict[str, Any]] = [
    {"cell_type": "markdown", "source": ["# 停泊费\n", "\n", "按米计算。\n", "- 冬季\n"]},
    {
        "cell_type": "code",
        "source": ["fee = 9\n", "\n", "print(fee)"],
        "outputs": [
            {"text": ["9\n"]},
            {"data": {"text/plain": "<Axes>", "image/png": "AAAA"}},
        ],
    },
    {"cell_type": "code", "source": "fee = 9", "outputs": []},
]


def test_a_notebook_is_its_text_its_code_and_what_the_code_printed(tmp_path: Path) -> None:
    document = notebook(tmp_path / "a.ipynb", CELLS)
    assert document.title == "停泊费"
    assert blocks(document) == [
        ("heading", 1, "停泊费"),
        ("paragraph", 0, "按米计算。"),
        ("list_item", 0, "- 冬季"),
        ("code", 0, "fee = 9\n\nprint(fee)"),
        ("code", 0, "9"),
        ("code", 0, "<Axes>"),
        ("code", 0, "fee = 9"),
    ]


def test_lines_are_those_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "a.ipynb"
    document = notebook(path, CELLS)
    source = path.read_text(encoding="utf-8").split("\n")
    for block in document.blocks:
        for words, (_, line) in zip(
            document.text[block.start : block.end].split("\n"), document.lines_of(block.start, block.end), strict=True
        ):
            assert words in source[line - 1]


def test_a_notebook_on_a_single_line_is_read_too(tmp_path: Path) -> None:
    document = notebook(tmp_path / "a.ipynb", CELLS, indent=None)
    assert {line for _, line in document.line_marks} == {1}


@pytest.mark.parametrize("content", ["{}", "[1]", "{", '{"cells": 3}', "# no notebook"])
def test_an_invalid_notebook_is_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "a.ipynb"
    path.write_text(content)
    with pytest.raises(UnreadableError, match=r"^a\.ipynb: not a Jupyter notebook, or broken; "):
        load(path)


def test_a_notebook_without_cells_holds_no_text(tmp_path: Path) -> None:
    with pytest.raises(NoTextError):
        notebook(tmp_path / "a.ipynb", [])
