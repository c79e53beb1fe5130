"""The passages that citations quote. What else the script asks of documents, it asks the HTTP API."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter

from kb_assistant.answering.types import Citation
from kb_assistant.web.page.calls import Asked, Call, collection_in

if TYPE_CHECKING:
    from kb_assistant.assistant import Assistant

__all__ = ["PassageCalls"]

_DRAWN_AT_ONCE = 2
"""Others wait without a thread, of which there are few for all calls."""

_CITATION = TypeAdapter(Citation)


class PassageCalls:
    """What the script asks about passages."""

    def __init__(self, assistant: Assistant) -> None:
        """Take whose documents."""
        self._assistant = assistant
        self._drawing = asyncio.Semaphore(_DRAWN_AT_ONCE)

    def all(self) -> Sequence[Call]:
        """Return the calls."""
        return self.open_citation, self.draw_page

    def open_citation(self, owner: str, asked: Asked) -> Any:
        """Return the passage that a citation quotes."""
        return asdict(self._assistant.open_passage(_citation(asked), collection_in(asked)))

    async def draw_page(self, owner: str, asked: Asked) -> Any:
        """Return the page that a citation quotes as a picture."""
        async with self._drawing:
            return await asyncio.to_thread(self._drawn, asked)

    def _drawn(self, asked: Asked) -> Any:
        image = self._assistant.page_image(_citation(asked), collection_in(asked))
        png = base64.b64encode(image.png).decode("ascii")
        return {"png": png, "boxes": [asdict(box) for box in image.boxes]}


def _citation(asked: Asked) -> Citation:
    return _CITATION.validate_python(asked["citation"])
