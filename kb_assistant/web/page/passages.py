"""Calls about the passages that citations quote."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter

from kb_assistant.answering.types import Citation
from kb_assistant.web.page.calls import Arguments, PageCall, collection_in

if TYPE_CHECKING:
    from kb_assistant.assistant import Assistant

__all__ = ["PassageCalls"]

_MAX_DRAWING = 2
"""How many pages are drawn at the same time; the others wait without taking a thread from other calls."""

_CITATION = TypeAdapter(Citation)


class PassageCalls:
    """What the script calls to open a citation."""

    def __init__(self, assistant: Assistant) -> None:
        """Take what holds the documents."""
        self._assistant = assistant
        self._drawing = asyncio.Semaphore(_MAX_DRAWING)

    def all(self) -> Sequence[PageCall]:
        """Return the calls."""
        return self.open_citation, self.draw_page

    def open_citation(self, owner: str, arguments: Arguments) -> Any:
        """Return the passage that a citation quotes."""
        return asdict(self._assistant.open_passage(_citation(arguments), collection_in(arguments)))

    async def draw_page(self, owner: str, arguments: Arguments) -> Any:
        """Return a picture of the page that a citation quotes."""
        async with self._drawing:
            return await asyncio.to_thread(self._draw, arguments)

    def _draw(self, arguments: Arguments) -> Any:
        image = self._assistant.page_image(_citation(arguments), collection_in(arguments))
        png = base64.b64encode(image.png).decode("ascii")
        return {"png": png, "boxes": [asdict(box) for box in image.boxes]}


def _citation(arguments: Arguments) -> Citation:
    return _CITATION.validate_python(arguments["citation"])
