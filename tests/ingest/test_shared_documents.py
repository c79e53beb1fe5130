"""Documents that nobody here wrote, each with what must come out of it."""

from __future__ import annotations

import csv
import os
import shutil
import unicodedata
from pathlib import Path

import pytest
from paths import ROOT

from ingest import ChunkSettings, Limits, LoadOptions, Reading, WorkerPool

DOCUMENTS = Path(os.environ.get("KB_SHARED", ROOT.parent / "shared")) / "data" / "docs"

# What the loaders cannot do, by file.
NOT_YET = {"csv/semicolon-delimited.csv": "the words are of two rows, and a table's marks stand between them"}

WITH_TEXT = {"ready", "partial"}
OUTCOMES = {
    "ok": WITH_TEXT,
    "ok_after_NFKC": WITH_TEXT,
    "needs_ocr": {"needs_ocr"},
    "needs_password": {"needs_password"},
    "error_expected": {"failed"},
    "empty_text": {"empty"},
    "garbled": {"garbled"},
    "partial": {*WITH_TEXT, "empty", "needs_ocr", "garbled", "failed"},
    "error_or_partial": {*WITH_TEXT, "failed"},
    "unsupported_or_ok": {*WITH_TEXT, "unsupported", "empty"},
}
"""By what the manifest expects: the statuses without OCR and passwords that it allows."""


def manifest() -> list[dict[str, str]]:
    path = DOCUMENTS / "manifest.csv"
    if not path.is_file():
        return []
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def rows() -> list[pytest.ParameterSet]:
    found = manifest()
    if not found:
        reason = f"no documents at {DOCUMENTS}; set KB_SHARED to the folder that holds data/docs"
        return [pytest.param({}, marks=pytest.mark.skip(reason=reason), id="absent")]
    return [pytest.param(row, id=row["file"], marks=marks(row["file"])) for row in found]


def marks(name: str) -> list[pytest.MarkDecorator]:
    return [pytest.mark.xfail(strict=True, reason=NOT_YET[name])] if name in NOT_YET else []


def password(row: dict[str, str]) -> str:
    """The password that opens the file, where the manifest tells it."""
    given = row["expect"].partition(":")[2]
    return "" if given in ("unknown", "(unicode)") else given


def readings(options: LoadOptions) -> dict[str, Reading]:
    with WorkerPool(ChunkSettings(), options) as reader:
        return dict(reader.read((row["file"], DOCUMENTS / row["file"]) for row in manifest()))


@pytest.fixture(scope="module")
def plain() -> dict[str, Reading]:
    """What comes out without OCR and without passwords."""
    return readings(LoadOptions(ocr=False))


@pytest.fixture(scope="module")
def helped() -> dict[str, Reading]:
    """What comes out with both."""
    limits = Limits(memory_bytes=2_000_000_000)
    return readings(LoadOptions(limits, tuple(filter(None, map(password, manifest())))))


def folded(text: str) -> str:
    return "".join(unicodedata.normalize("NFKC", text).split())


def says(reading: Reading, words: str) -> bool:
    return folded(words) in folded(" ".join(chunk.text for chunk in reading.chunks))


@pytest.mark.parametrize("row", rows())
def test_what_the_manifest_says_comes_out(row: dict[str, str], plain: dict[str, Reading]) -> None:
    reading = plain[row["file"]]
    expected = row["expect"].partition(":")[0]
    assert reading.status in OUTCOMES[expected], reading.notes
    assert reading.chunks or reading.status not in WITH_TEXT
    if not reading.chunks:
        assert reading.notes[0]
    elif row["must_contain"] and expected != "error_or_partial" and "password" not in expected:
        assert says(reading, row["must_contain"])


@pytest.mark.parametrize("row", rows())
def test_ocr_and_passwords_bring_out_the_rest(row: dict[str, str], helped: dict[str, Reading]) -> None:
    reading = helped[row["file"]]
    expected = row["expect"].partition(":")[0]
    if expected == "needs_ocr" or (expected == "needs_password" and password(row)):
        assert reading.status in (WITH_TEXT if row["must_contain"] else {*WITH_TEXT, "empty"}), reading.notes
        assert says(reading, row["must_contain"])
    elif expected in ("ok", "ok_after_NFKC"):
        assert says(reading, row["must_contain"])
    elif expected == "unsupported_or_ok" and shutil.which("soffice"):
        assert reading.status in (WITH_TEXT if row["must_contain"] else {*WITH_TEXT, "empty"}), reading.notes
        assert says(reading, row["must_contain"])
