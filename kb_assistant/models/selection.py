"""Chooses which of a model's files are taken: safe weights, and what a tokenizer and a configuration need."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from kb_assistant.errors import ModelError
from kb_assistant.llms.checkpoints.model_files import RECORD

__all__ = ["Selection"]

# Of sub-folders only those of sentence-transformers, such as 1_Pooling.
_HUGGING_FACE = re.compile(r"(?:\d+_\w+/)?[^/.][^/]*\.(?:json|txt|model|jinja|spm|safetensors)|LICENSE[^/]*")
_OPENVINO = re.compile(r"openvino_\w+\.(?:xml|bin)|[^/.][^/]*\.(?:json|txt|model|jinja)|LICENSE[^/]*")
_CODE = re.compile(r"(?:\w+/)*\w+\.py")
_PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".pkl")


@dataclass(frozen=True)
class Selection:
    """Which files of the model `name` are taken.

    Attributes:
        with_code: whether its Python files are taken.
        pickles: accepted weights in a format that can run code, by path, with their SHA-256.
    """

    name: str
    with_code: bool
    pickles: Mapping[str, str]

    def choose(self, paths: Iterable[str]) -> list[str]:
        """Return the files to take, sorted.

        Raises:
            ModelError: none of the weights are safe to load.
        """
        paths = list(paths)
        chosen = [path for path in paths if _HUGGING_FACE.fullmatch(path) and path != RECORD]
        accepted = [path for path in paths if path in self.pickles]
        if any(path.endswith(".safetensors") for path in chosen):
            accepted = []
        elif not accepted:
            chosen = [path for path in paths if _OPENVINO.fullmatch(path) and path != RECORD]
            if not any(path.endswith(".xml") for path in chosen):
                raise self._without_weights(paths)
        code = [path for path in paths if _CODE.fullmatch(path)] if self.with_code else []
        return sorted({*chosen, *accepted, *code})

    def needed_bytes(self, sizes: Mapping[str, int]) -> int:
        """Return how much disk space files of these sizes need; a pickle twice, since it is rewritten."""
        return sum(size * (2 if path in self.pickles else 1) for path, size in sizes.items())

    def check_pickle(self, path: str, sha256: str) -> None:
        """Check that a pickle is the accepted file, before anything reads it.

        Raises:
            ModelError: it is another file.
        """
        if sha256 != self.pickles[path]:
            raise ModelError(
                f"{path} is not the file that the catalogue accepts, and its format can run code; "
                "try another --from or --revision"
            )

    def _without_weights(self, paths: Sequence[str]) -> ModelError:
        pickles = (path for path in sorted(paths) if path.endswith(_PICKLES) and not path.startswith("openvino"))
        pickle = next(pickles, None)
        if pickle is None:
            return ModelError(
                f"{self.name} has no weights that kb can load (safetensors or OpenVINO); choose another model"
            )
        return ModelError(
            f"{self.name} has its weights only as {pickle}, a format that can run code; kb takes safetensors and "
            "OpenVINO only: look for a revision or another model that has them"
        )
