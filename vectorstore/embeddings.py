"""Turns texts into vectors, with any sentence-transformers folder or the built-in hashed n-grams.

Both are LangChain `Embeddings` and give unit vectors, so the dot product is the cosine similarity. `model_id`
identifies the weights: vectors of different ids never mix.
"""

from __future__ import annotations

import hashlib
import math
import threading
import zlib
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from langchain_core.embeddings import Embeddings

from vectorstore.analysis import ANALYSIS_VERSION, terms
from vectorstore.errors import EmbeddingModelError

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer
    from tokenizers import Tokenizer

__all__ = [
    "BUILT_IN",
    "Embedder",
    "HashedEmbeddings",
    "SentenceTransformerEmbeddings",
    "computes_bfloat16",
    "load_embeddings",
]

# From the model cards of BAAI/bge-*-v1.5: prepended to queries, never to documents.
_BGE_QUERY = {
    "zh": "为这个句子生成表示以用于检索相关文章：",
    "en": "Represent this sentence for searching relevant passages: ",
}
_SAMPLE_BYTES = 1 << 20
BUILT_IN = "builtin-"
"""The beginning of the model ids of built-in vectors, of every version."""

EmbeddingDtype = Literal["auto", "float32", "bfloat16"]


class Embedder(Embeddings):
    """LangChain `Embeddings` that know their model, and how much weight their similarities deserve.

    Attributes:
        model_id: the same for the same weights, different for others.
        weight: the share, 0 to 1, of its cosines in the ranking; full text has the rest.
        max_tokens: the longest text it reads, special tokens included; None for no limit.
        tokenizer: its tokenizer in the JSON form of the `tokenizers` library; None where tokens do not matter.
    """

    model_id: str
    weight: float
    max_tokens: int | None = None
    tokenizer: str | None = None

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        """Return a unit vector for each text, as lists."""
        vectors: list[list[float]] = self.embed(texts).tolist()
        return vectors

    def embed(self, texts: Sequence[str]) -> np.ndarray:
        """Return the texts' unit vectors, float32, of shape (len(texts), dimensions)."""
        raise NotImplementedError


class HashedEmbeddings(Embedder):
    """Built-in vectors: index terms and letter trigrams, hashed with sign into a fixed size.

    They need no download and no training. They find rewordings that share parts of words, but no synonyms. After
    Weinberger et al., 2009, "Feature Hashing for Large Scale Multitask Learning".
    """

    dimensions: ClassVar[int] = 512
    model_id = f"{BUILT_IN}{ANALYSIS_VERSION}"
    weight = 0.0  # full text weighs the same terms better, so they only add passages that it does not find

    def embed(self, texts: Sequence[str]) -> np.ndarray:
        """Return the texts' unit vectors, float32, of shape (len(texts), dimensions)."""
        vectors = np.zeros((len(texts), self.dimensions), dtype=np.float32)
        for row, text in zip(vectors, texts, strict=True):
            counts = Counter(_features(text))
            codes = np.fromiter((zlib.crc32(feature.encode()) for feature in counts), np.uint32, len(counts))
            signs = np.where(codes & 0x80000000, 1.0, -1.0)
            weights = 1.0 + np.log(np.fromiter(counts.values(), float, len(counts)))
            row[:] = np.bincount(codes % self.dimensions, signs * weights, self.dimensions)
        return _unit(vectors)

    def embed_query(self, text: str) -> list[float]:
        """Return the unit vector of a question."""
        vector: list[float] = self.embed([text])[0].tolist()
        return vector


def _unit(vectors: np.ndarray) -> np.ndarray:
    """Scale the rows to length 1; rows of zeros stay."""
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors / np.where(norms > 0, norms, 1.0)


def _features(text: str) -> list[str]:
    features: list[str] = []
    for term in terms(text):
        if term.isascii():
            features.append(term)
            marked = f"<{term}>"
            features.extend("#" + marked[i : i + 3] for i in range(len(marked) - 2))
        elif len(term) > 1:  # a single Han character says too little
            features.append(term)
    return features


class SentenceTransformerEmbeddings(Embedder):
    """A sentence-transformers directory on the CPU, with its own pooling.

    bge models get their query instruction, recognised by the folder's name. Batches are small and sorted by length, so
    little is padding; they are computed in bfloat16 where the CPU supports it, at a cosine of 0.9996 to float32. Each
    core takes a batch of its own: small models spend much time waiting when several cores share a batch.
    """

    weight = 0.2

    def __init__(
        self, model: SentenceTransformer, model_id: str, query_instruction: str = "", batch_size: int = 8
    ) -> None:
        """Take a loaded model; `load` loads it."""
        self._batch_size = batch_size
        self._model = model
        self.model_id = model_id
        self._query_instruction = query_instruction
        self._tokenizing = threading.Lock()
        self._counter: Tokenizer | None = None
        longest = model.max_seq_length  # infinite for static models
        if longest is not None and math.isfinite(longest):
            tokenizer = model.tokenizer
            self.max_tokens = int(longest)
            self.tokenizer = getattr(tokenizer, "backend_tokenizer", tokenizer).to_str()
            self._counter = _counting(self.tokenizer)
        else:
            self.weight = 0.1

    @classmethod
    def load(
        cls, directory: Path, *, dtype: EmbeddingDtype = "auto", batch_size: int = 8
    ) -> SentenceTransformerEmbeddings:
        """Load the model in `directory`, without downloads and without running code from it.

        Args:
            directory: the model's folder.
            dtype: the number format to compute in; auto: bfloat16 where the CPU supports it.
            batch_size: texts in a batch.

        Raises:
            EmbeddingModelError: there is no such directory, or it holds no usable model.
        """
        if not directory.is_dir():
            raise EmbeddingModelError(
                f"no embedding model at {directory}: no such folder; give the folder of a sentence-transformers "
                "model, or set embedding_model to builtin"
            )
        weights = sorted(directory.rglob("*.safetensors"))
        if not weights:
            raise EmbeddingModelError(
                f"no embedding model at {directory}: it holds no .safetensors weights; copy the whole model folder"
            )
        import torch
        from sentence_transformers import SentenceTransformer

        bfloat16 = computes_bfloat16() if dtype == "auto" else dtype == "bfloat16"
        try:
            model = SentenceTransformer(
                str(directory),
                device="cpu",
                local_files_only=True,
                trust_remote_code=False,
                model_kwargs={"torch_dtype": torch.bfloat16 if bfloat16 else torch.float32},
            )
        except Exception as error:
            raise EmbeddingModelError(
                f"cannot load the embedding model at {directory}: {type(error).__name__}: {error}".split("\n")[0]
            ) from error
        return cls(model, f"{directory.name}-{_digest(weights)}", _query_instruction(directory), batch_size)

    def embed(self, texts: Sequence[str]) -> np.ndarray:
        """Return the texts' unit vectors, float32, of shape (len(texts), dimensions)."""
        if not texts:
            return self.embed([""])[:0]
        lengths = self._lengths(texts)
        by_length = sorted(range(len(texts)), key=lambda place: -lengths[place])
        batches = [by_length[start : start + self._batch_size] for start in range(0, len(texts), self._batch_size)]
        found = self._each([[texts[place] for place in batch] for batch in batches])
        vectors = np.empty((len(texts), found[0].shape[1]), dtype=np.float32)
        for batch, rows in zip(batches, found, strict=True):
            vectors[batch] = rows
        # In bfloat16 the model's own unit vectors are off by up to a thousandth.
        return _unit(vectors)

    def _lengths(self, texts: Sequence[str]) -> list[int]:
        """Return the texts' lengths in tokens; characters are a poor measure for mixed Chinese and English."""
        if self._counter is None or len(texts) == 1:
            return [len(text) for text in texts]
        return [len(encoding.ids) for encoding in self._counter.encode_batch(list(texts))]

    def _each(self, batches: list[list[str]]) -> list[np.ndarray]:
        """Return each batch's vectors, computed with a thread for each core."""
        import torch

        if len(batches) == 1:
            return [self._forward(batches[0])]
        threads = torch.get_num_threads()
        try:
            with ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,)) as pool:
                return list(pool.map(self._forward, batches))
        finally:
            torch.set_num_threads(threads)  # else later threads would have one core each as well

    def _forward(self, texts: list[str]) -> np.ndarray:
        import torch

        with self._tokenizing:  # a tokenizer remembers its padding, and cannot serve two threads at once
            features = self._model.preprocess(list[Any](texts))
        with torch.inference_mode():
            return np.asarray(self._model.forward(features)["sentence_embedding"].float().numpy())

    def embed_query(self, text: str) -> list[float]:
        """Return the unit vector of a question, with the model's query instruction."""
        vector: list[float] = self.embed([self._query_instruction + text])[0].tolist()
        return vector


def load_embeddings(name: str, models: Path, *, dtype: EmbeddingDtype = "auto", batch_size: int = 8) -> Embedder:
    """Return the embeddings named "builtin", those of a folder in `models`, or those at a path.

    Args:
        name: "builtin", a folder's name in `models`, or a path.
        models: the folder where models are kept.
        dtype: the number format to compute in; auto: bfloat16 where the CPU supports it.
        batch_size: texts in a batch.

    Raises:
        EmbeddingModelError: there is no such model, or it cannot be loaded.
    """
    if name == "builtin":
        return HashedEmbeddings()
    inside = models / name
    directory = inside if inside.is_dir() else Path(name).expanduser()
    return SentenceTransformerEmbeddings.load(directory, dtype=dtype, batch_size=batch_size)


def _counting(tokenizer: str) -> Tokenizer:
    """Return a tokenizer that neither pads nor truncates."""
    from tokenizers import Tokenizer

    counter = Tokenizer.from_str(tokenizer)
    counter.no_padding()
    counter.no_truncation()
    return counter


def _query_instruction(directory: Path) -> str:
    name = directory.resolve().name.lower()
    if "bge" not in name or "m3" in name:
        return ""
    return next((text for language, text in _BGE_QUERY.items() if f"-{language}" in name), "")


def _digest(weights: list[Path]) -> str:
    """Return a digest of the files' sizes, beginnings and ends: reading whole files takes seconds."""
    digest = hashlib.sha256()
    for path in weights:
        size = path.stat().st_size
        digest.update(f"{path.name}:{size}:".encode())
        with path.open("rb") as stream:
            digest.update(stream.read(_SAMPLE_BYTES))
            stream.seek(max(0, size - _SAMPLE_BYTES))
            digest.update(stream.read(_SAMPLE_BYTES))
    return digest.hexdigest()[:12]


def computes_bfloat16() -> bool:
    """Return whether this CPU supports bfloat16, which is then faster than float32."""
    import torch

    return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
