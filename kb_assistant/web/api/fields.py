"""Fields that several requests share."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from kb_assistant.assistant import MAX_QUESTION_CHARACTERS

__all__ = ["MAX_MESSAGE_CHARACTERS", "CollectionName", "NewCollectionName", "Question"]

MAX_MESSAGE_CHARACTERS = 100_000

Question = Annotated[str, Field(min_length=1, max_length=MAX_QUESTION_CHARACTERS, pattern=r"\S")]
CollectionName = Annotated[str, Field(max_length=200)]
NewCollectionName = Annotated[str, Field(max_length=200, pattern=r"^[^\s\x00-\x1f\x7f][^\x00-\x1f\x7f]*$")]
