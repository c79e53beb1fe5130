"""What the small model has learned, for the tests of the text engines."""

from __future__ import annotations

from pathlib import Path

import pytest
from handbook_model import Lesson, training_examples


@pytest.fixture(scope="session")
def lessons(taught: list[Lesson]) -> list[tuple[str, str]]:
    """The prompt of each question that the model has learned, and the answer to it."""
    return [training_examples([lesson])[0] for lesson in taught]


@pytest.fixture(scope="session")
def shared_models(shared: Path) -> Path:
    """The folder of real tokenizers and models beside the repository."""
    return shared / "models"
