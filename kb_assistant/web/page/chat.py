"""Calls about conversations."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from kb_assistant.assistant import MAX_QUESTION_CHARACTERS
from kb_assistant.errors import UnknownCollectionError
from kb_assistant.web.page.answers import PageAnswers, turn_json
from kb_assistant.web.page.calls import Arguments, PageCall, collection_in

if TYPE_CHECKING:
    from kb_assistant.assistant import Assistant

__all__ = ["ChatCalls"]


class ChatCalls:
    """What the script calls to open the page and to manage conversations."""

    def __init__(self, assistant: Assistant, answers: PageAnswers) -> None:
        """Take what holds the conversations, and the answers in progress."""
        self._assistant = assistant
        self._answers = answers

    def all(self) -> Sequence[PageCall]:
        """Return the calls."""
        return (
            *(self.begin, self.suggestions, self.chats, self.open_chat, self.rename_chat, self.delete_chat),
            *(self.export_chat, self.export_feedback, self.rate, self.stop_answer),
        )

    def begin(self, owner: str, arguments: Arguments) -> Any:
        """Return what the page shows before the first question."""
        return {
            "user": owner,
            "collection": self._assistant.settings.collection,
            "sends_to": self._assistant.sends_to,
            "longest": MAX_QUESTION_CHARACTERS,
            "chats": self.chats(owner, arguments),
        }

    def suggestions(self, owner: str, arguments: Arguments) -> Any:
        """Return questions to start with."""
        try:
            return list(self._assistant.suggestions(collection_in(arguments)))
        except UnknownCollectionError:  # its first document will create it
            return []

    def chats(self, owner: str, arguments: Arguments) -> Any:
        """Return the conversations, the latest first."""
        return [asdict(chat) for chat in self._assistant.chats.list(owner)]

    def open_chat(self, owner: str, arguments: Arguments) -> Any:
        """Return a conversation with its turns."""
        chat, turns = self._assistant.chats.open(owner, int(arguments["chat_id"]))
        return {**asdict(chat), "turns": [turn_json(turn) for turn in turns]}

    def rename_chat(self, owner: str, arguments: Arguments) -> Any:
        """Rename a conversation."""
        self._assistant.chats.rename(owner, int(arguments["chat_id"]), str(arguments["title"]))
        return True

    def delete_chat(self, owner: str, arguments: Arguments) -> Any:
        """Delete a conversation."""
        self._assistant.chats.delete(owner, int(arguments["chat_id"]))
        return True

    def export_chat(self, owner: str, arguments: Arguments) -> Any:
        """Return a conversation as Markdown."""
        return self._assistant.chats.markdown(owner, int(arguments["chat_id"]))

    def export_feedback(self, owner: str, arguments: Arguments) -> Any:
        """Return the answers rated good as questions for `kb eval`."""
        return self._assistant.chats.evaluation_lines(owner)

    def rate(self, owner: str, arguments: Arguments) -> Any:
        """Store a rating of an answer."""
        verdict, reason = int(arguments["verdict"]), str(arguments.get("reason", ""))
        self._assistant.chats.rate(owner, int(arguments["turn_id"]), verdict, reason)
        return True

    async def stop_answer(self, owner: str, arguments: Arguments) -> Any:
        """Stop an answer at once, however many other calls are waiting for a thread."""
        return self._answers.stop(owner, str(arguments["key"]))
