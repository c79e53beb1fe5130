"""What the small model has learned, for the tests of the text engines."""

from __future__ import annotations

from pathlib import Path

import pytest
from handbook_model import Lesson, training_examples
from paths import DATA
from sentencepiece import SentencePieceTrainer


@pytest.fixture(scope="session")
def lessons(taught: list[Lesson]) -> list[tuple[str, str]]:
    """The prompt of each question that the model has learned, and the answer to it."""
    return [training_examples([lesson])[0] for lesson in taught]


@pytest.fixture(scope="session")
def shared_models(shared: Path) -> Path:
    """The folder of real tokenizers and models beside the repository."""
    return shared / "models"


@pytest.fixture(scope="session")
def baichuan2_vocabulary(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small vocabulary whose marks are pieces with the numbers that they have in Baichuan2's."""
    folder = tmp_path_factory.mktemp("baichuan2")
    SentencePieceTrainer.train(
        input=str(DATA / "handbook_questions.jsonl"),
        model_prefix=str(folder / "tokenizer"),
        vocab_size=700,
        hard_vocab_limit=False,
        byte_fallback=True,
        user_defined_symbols=[f"<x{number}>" for number in range(86)] + [f"<reserved_{n}>" for n in range(110)],
        minloglevel=2,
    )
    return folder / "tokenizer.model"
