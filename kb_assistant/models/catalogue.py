"""The models that `kb models pull` knows by name, listed in catalogue.toml."""

from __future__ import annotations

import tomllib
from functools import cache
from importlib.resources import files
from typing import Literal

from pydantic import BaseModel, ConfigDict

__all__ = ["CatalogueEntry", "catalogue", "find_entry"]


class CatalogueEntry(BaseModel):
    """A model that can be pulled; catalogue.toml explains the fields."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    kind: Literal["language", "embedding", "reranker"]
    hf: str | None = None
    modelscope: str | None = None
    hf_revision: str | None = None
    size_gb: float
    memory_gb: float
    languages: tuple[Literal["zh", "en"], ...]
    engine: Literal["ipex", "openvino"] | None = None
    pickles: dict[str, str] = {}


@cache
def catalogue() -> tuple[CatalogueEntry, ...]:
    """Return the entries in the order of the file."""
    text = (files(__package__) / "catalogue.toml").read_text(encoding="utf-8")
    return tuple(CatalogueEntry(name=name, **values) for name, values in tomllib.loads(text).items())


def find_entry(wanted: str) -> CatalogueEntry | None:
    """Return the entry with this name or hub id, ignoring case; None if there is none."""
    sought = wanted.lower()
    for entry in catalogue():
        if sought in {str(name).lower() for name in (entry.name, entry.hf, entry.modelscope)}:
            return entry
    return None
