"""Reranks passages with a cross-encoder, which reads the question and a passage together."""

from __future__ import annotations

import json
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from vectorstore.embeddings import computes_bfloat16
from vectorstore.errors import RerankerError

if TYPE_CHECKING:
    from sentence_transformers import CrossEncoder

__all__ = ["Reranker", "find_reranker"]


class Reranker:
    """A sentence-transformers cross-encoder on the CPU, such as bge-reranker-base; loaded at the first use."""

    candidates: ClassVar[int] = 30
    """How many of the best passages it reads."""
    _batch_size: ClassVar[int] = 8

    def __init__(self, directory: Path) -> None:
        """Take the folder of a cross-encoder.

        Raises:
            RerankerError: it holds no cross-encoder.
        """
        self.directory = directory
        self._model: CrossEncoder | None = None
        self._lock = threading.Lock()
        if not directory.is_dir():
            raise RerankerError(
                f"no reranker at {directory}: no such folder; give the folder of a sentence-transformers "
                "cross-encoder, or leave the setting reranker empty"
            )
        if not any(directory.glob("*.safetensors")):
            raise RerankerError(f"no reranker at {directory}: it holds no .safetensors weights; copy the whole folder")
        try:
            kinds = json.loads((directory / "config.json").read_text(encoding="utf-8")).get("architectures") or []
        except (OSError, ValueError, AttributeError) as error:
            raise RerankerError(f"no reranker at {directory}: cannot read its config.json: {error}") from error
        if not any(str(kind).endswith("ForSequenceClassification") for kind in kinds):
            raise RerankerError(  # sentence-transformers would give it a head of random weights
                f"no reranker at {directory}: it is a {', '.join(map(str, kinds)) or 'model of no named kind'}, not a "
                "cross-encoder; give one such as bge-reranker-base"
            )

    def scores(self, question: str, texts: Sequence[str]) -> list[float]:
        """Return how well each text answers the question, 0 to 1, higher is better.

        Raises:
            RerankerError: the model cannot be loaded.
        """
        if not texts:
            return []
        import torch

        with self._lock:  # a tokenizer cannot serve two threads at once
            model = self._loaded()
            found = model.predict(
                list[Any]([(question, text) for text in texts]),
                batch_size=self._batch_size,
                show_progress_bar=False,
                activation_fn=torch.nn.Sigmoid(),
                convert_to_tensor=True,
            )
        scores: list[float] = found.float().tolist()
        return scores

    def load(self) -> None:
        """Load the model now, without downloads and without running code from its folder.

        Raises:
            RerankerError: it cannot be loaded, or gives more than a score for each pair.
        """
        with self._lock:
            self._loaded()

    def _loaded(self) -> CrossEncoder:
        if self._model is None:
            import torch
            from sentence_transformers import CrossEncoder

            try:
                model = CrossEncoder(
                    str(self.directory),
                    device="cpu",
                    local_files_only=True,
                    trust_remote_code=False,
                    model_kwargs={"torch_dtype": torch.bfloat16 if computes_bfloat16() else torch.float32},
                )
            except Exception as error:
                raise RerankerError(
                    f"cannot load the reranker at {self.directory}: {type(error).__name__}: {error}".split("\n")[0]
                ) from error
            if model.num_labels != 1:
                raise RerankerError(
                    f"cannot use the reranker at {self.directory}: it gives {model.num_labels} scores a pair, not one"
                )
            self._model = model
        return self._model


def find_reranker(name: str, models: Path) -> Reranker | None:
    """Return the reranker of a folder in `models` or at a path; None for an empty name.

    Raises:
        RerankerError: there is no such folder, or it holds no cross-encoder.
    """
    if not name:
        return None
    inside = models / name
    return Reranker(inside if inside.is_dir() else Path(name).expanduser())
