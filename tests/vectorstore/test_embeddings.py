from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from paths import ROOT
from tokenizers import Tokenizer

from vectorstore import EmbeddingModelError, HashedEmbeddings, SentenceTransformerEmbeddings, load_embeddings

MODELS = Path(os.environ.get("KB_SHARED", ROOT.parent / "shared")) / "models"
TEXTS = ["年休假满五年的员工每年十七天。", "Rechargeable batteries are covered for 12 months.", "VPN 用 WireGuard", "a"]


# Built in


@given(st.lists(st.text(max_size=60), max_size=4))
@settings(deadline=None)
def test_built_in_vectors_have_length_one_or_zero(texts: list[str]) -> None:
    vectors = HashedEmbeddings().embed(texts)
    assert vectors.shape == (len(texts), HashedEmbeddings.dimensions)
    assert vectors.dtype == np.float32
    lengths = np.linalg.norm(vectors, axis=1)
    assert np.all((lengths == 0) | (np.abs(lengths - 1) < 1e-5))


def test_built_in_vectors_are_of_length_one_for_text_and_zero_without() -> None:
    embeddings = HashedEmbeddings()
    assert np.linalg.norm(embeddings.embed(TEXTS), axis=1) == pytest.approx(np.ones(len(TEXTS)))
    assert not embeddings.embed(["", " \n", "。！"]).any()
    assert embeddings.embed_query(TEXTS[0]) == embeddings.embed_documents(TEXTS)[0]


def test_built_in_vectors_are_the_same_in_every_process() -> None:
    code = (
        "import sys; from vectorstore import HashedEmbeddings; "
        "sys.stdout.buffer.write(HashedEmbeddings().embed(sys.argv[1:]).tobytes())"
    )
    runs = {
        subprocess.run(
            [sys.executable, "-c", code, *TEXTS],
            env={**os.environ, "PYTHONHASHSEED": seed},
            cwd=ROOT,
            capture_output=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert runs == {HashedEmbeddings().embed(TEXTS).tobytes()}


def test_built_in_vectors_are_nearer_for_like_words() -> None:
    asked, near, far = HashedEmbeddings().embed(["how long is the warranty", "warranties", "VPN access"])
    assert asked @ near > asked @ far


# sentence-transformers


@pytest.fixture(scope="module")
def static() -> SentenceTransformerEmbeddings:
    directory = MODELS / "potion-static-en-st"
    if not directory.is_dir():
        pytest.skip(f"no model at {directory}; set KB_SHARED to the folder that holds models")
    return SentenceTransformerEmbeddings.load(directory)


@pytest.fixture(scope="module")
def bge_directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bge folder: its real configuration and tokenizer, random weights."""
    given = MODELS / "bge-small-zh-v1.5-no-weights"
    if not given.is_dir():
        pytest.skip(f"no model at {given}; set KB_SHARED to the folder that holds models")
    import torch
    from transformers import BertConfig, BertModel

    directory = tmp_path_factory.mktemp("models") / "bge-small-zh-v1.5"
    for path in given.rglob("*.*"):
        copy = directory / path.relative_to(given)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, copy)
    torch.manual_seed(0)
    BertModel(BertConfig.from_pretrained(given)).save_pretrained(directory, safe_serialization=True)
    return directory


@pytest.fixture(scope="module")
def bge(bge_directory: Path) -> SentenceTransformerEmbeddings:
    return SentenceTransformerEmbeddings.load(bge_directory)


def test_a_trained_model_finds_what_is_alike(static: SentenceTransformerEmbeddings) -> None:
    vectors = static.embed(["a cat on the mat", "a kitten on a rug", "quarterly revenue"])
    assert vectors.shape == (3, 128)
    assert vectors.dtype == np.float32
    assert vectors[0] @ vectors[1] > 0.4 > vectors[0] @ vectors[2]
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(np.ones(3), abs=1e-5)


def test_a_model_that_looks_words_up_has_no_longest_text(static: SentenceTransformerEmbeddings) -> None:
    assert static.max_tokens is None
    assert static.tokenizer is None
    assert static.embed_query("hello") == pytest.approx(static.embed_documents(["hello"])[0])


def test_vectors_of_a_transformer_have_length_one(bge: SentenceTransformerEmbeddings) -> None:
    vectors = bge.embed(TEXTS)
    assert vectors.shape == (len(TEXTS), 512)
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(np.ones(len(TEXTS)), abs=1e-5)
    assert bge.max_tokens == 512
    assert bge.tokenizer is not None
    assert len(Tokenizer.from_str(bge.tokenizer).encode("你好世界").ids) == 6


def test_no_texts_give_no_vectors(bge: SentenceTransformerEmbeddings) -> None:
    assert bge.embed([]).shape == (0, 512)
    assert bge.embed_documents([]) == HashedEmbeddings().embed_documents([]) == []


def test_only_questions_get_the_instruction_of_bge(bge: SentenceTransformerEmbeddings) -> None:
    instructed, plain = bge.embed(["为这个句子生成表示以用于检索相关文章：年假几天", "年假几天"])
    asked = np.array(bge.embed_query("年假几天"), np.float32)
    assert asked == pytest.approx(instructed, abs=0.01)
    assert np.abs(asked - plain).max() > 0.01
    assert np.array(bge.embed_documents(["年假几天"])[0]) == pytest.approx(plain, abs=0.01)


def test_the_instruction_goes_by_the_folders_name(bge_directory: Path, tmp_path: Path) -> None:
    renamed = tmp_path / "some-model"
    shutil.copytree(bge_directory, renamed)
    model = SentenceTransformerEmbeddings.load(renamed)
    assert model.embed_query("年假") == pytest.approx(model.embed_documents(["年假"])[0], abs=1e-6)


def test_other_weights_are_another_model(
    bge: SentenceTransformerEmbeddings, bge_directory: Path, tmp_path: Path
) -> None:
    same, other = (shutil.copytree(bge_directory, tmp_path / n / bge_directory.name) for n in ("same", "other"))
    weights = bytearray((other / "model.safetensors").read_bytes())
    weights[-1] ^= 1
    (other / "model.safetensors").write_bytes(weights)
    assert SentenceTransformerEmbeddings.load(same).model_id == bge.model_id
    assert SentenceTransformerEmbeddings.load(other).model_id != bge.model_id
    assert bge.model_id.startswith("bge-small-zh-v1.5-")


@pytest.mark.parametrize("content", [b"", b"not safetensors at all", bytes(2000)])
def test_broken_weights(bge_directory: Path, tmp_path: Path, content: bytes) -> None:
    broken = tmp_path / "bge-small-zh-v1.5"
    shutil.copytree(bge_directory, broken)
    (broken / "model.safetensors").write_bytes(content)
    with pytest.raises(EmbeddingModelError, match=f"^cannot load the embedding model at {broken}: .+") as caught:
        SentenceTransformerEmbeddings.load(broken)
    assert "\n" not in str(caught.value)


def test_a_folder_without_weights(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "pytorch_model.bin").write_bytes(b"pickle")
    with pytest.raises(EmbeddingModelError, match=r"it holds no \.safetensors weights; copy the whole model folder"):
        SentenceTransformerEmbeddings.load(tmp_path)


def test_an_unknown_name(tmp_path: Path) -> None:
    with pytest.raises(EmbeddingModelError, match=r"no embedding model at no-such-model: no such folder; .*builtin"):
        load_embeddings("no-such-model", tmp_path)


def test_names(static: SentenceTransformerEmbeddings, tmp_path: Path) -> None:
    assert isinstance(load_embeddings("builtin", tmp_path), HashedEmbeddings)
    assert load_embeddings("potion-static-en-st", MODELS).model_id == static.model_id
    assert load_embeddings(str(MODELS / "potion-static-en-st"), tmp_path).model_id == static.model_id
