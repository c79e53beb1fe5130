"""A small cross-encoder that is a real one in all but what it has learned: its weights are random."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import torch
from sentence_transformers import CrossEncoder
from transformers import BertConfig, BertForSequenceClassification, BertTokenizerFast


def save_reranker(folder: Path, texts: Iterable[str], labels: int = 1, seed: int = 0) -> Path:
    """Save one whose tokenizer knows every character of the texts, and return its folder."""
    characters = sorted({character for text in texts for character in text.casefold() if not character.isspace()})
    folder.mkdir(parents=True)
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *characters, *(f"##{one}" for one in characters)]
    (folder / "vocab.txt").write_text("\n".join(vocabulary), encoding="utf-8")
    torch.manual_seed(seed)
    config = BertConfig(
        vocab_size=len(vocabulary),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=128,
        num_labels=labels,
        initializer_range=0.5,
    )
    BertForSequenceClassification(config).save_pretrained(folder)
    BertTokenizerFast(
        str(folder / "vocab.txt"), model_max_length=128, clean_up_tokenization_spaces=False
    ).save_pretrained(folder)
    return folder


def scores(folder: Path, question: str, texts: list[str]) -> list[float]:
    """Return what the cross-encoder in a folder says of each text, through sentence-transformers alone."""
    model = CrossEncoder(str(folder), device="cpu", local_files_only=True)
    found: list[float] = model.predict([(question, text) for text in texts], show_progress_bar=False).tolist()
    return found
