"""The words of the page and of the login form, in Chinese and English."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from starlette.datastructures import Headers

__all__ = ["Language", "preferred_language", "words"]

Language = Literal["en", "zh"]

_FILE = Path(__file__).parent / "page" / "static" / "words.json"


@cache
def words(language: Language) -> Mapping[str, str]:
    """Return every text by its key."""
    texts: dict[str, str] = json.loads(_FILE.read_text(encoding="utf-8"))[language]
    return texts


def preferred_language(headers: Headers) -> Language:
    """Return the language that a browser asks for first: Chinese, or else English."""
    return "zh" if headers.get("accept-language", "").lower().startswith("zh") else "en"
