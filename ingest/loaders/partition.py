"""unstructured's partitioners, kept offline and quiet.

unstructured downloads a spaCy model at the first sentence it looks at, and without a
network every partitioner fails. Only its element classes are needed here, which come
from styles and tags, so a blank pipeline takes the model's place.
"""

from __future__ import annotations

import os
from functools import cache
from typing import IO, TYPE_CHECKING, Any

if TYPE_CHECKING:
    from unstructured.documents.elements import Element

__all__ = ["partition_docx"]


@cache
def _prepare() -> None:
    os.environ["UNSTRUCTURED_DISABLE_NOTICE"] = "1"
    os.environ["SCARF_NO_ANALYTICS"] = os.environ["DO_NOT_TRACK"] = "true"
    import spacy
    import unstructured.nlp.tokenize as tokenize

    pipeline = spacy.blank("xx")
    pipeline.add_pipe("sentencizer")
    # The one place that loads the model, see the module's docstring.
    tokenize._get_nlp = lambda: pipeline


def partition_docx(file: IO[bytes]) -> list[Element]:
    """Return the elements of a DOCX file."""
    _prepare()
    from unstructured.partition.docx import partition_docx as partition

    return _partition(partition, file=file)


def _partition(partition: Any, **arguments: Any) -> list[Element]:
    # Language detection is only metadata, and the slowest step.
    elements: list[Element] = partition(languages=[""], **arguments)
    return elements
