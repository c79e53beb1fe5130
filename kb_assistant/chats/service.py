"""Conversations that are kept: asked in, reopened, exported and rated."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from pathlib import Path

from kb_assistant.answering.knowledge_base import KnowledgeBase
from kb_assistant.answering.types import Answer, Citation
from kb_assistant.chats.export import as_evaluation_lines, as_markdown
from kb_assistant.chats.store import Chat, ChatStore, KeptTurn, make_tables
from kb_assistant.errors import (
    Cancelled,
    KbError,
    UnknownChatError,
    UsageError,
    as_kb_errors,
    raises_kb_errors,
    translated,
)
from kb_assistant.serialization import printable
from vectorstore import Catalog

__all__ = ["Chats", "delete_chats_of"]

_TITLE_CHARACTERS = 60
_REASON_CHARACTERS = 1_000
_SPACE = re.compile(r"\s+")


@raises_kb_errors
class Chats:
    """The conversations of each owner: the user's name, or '' where there are no users."""

    def __init__(self, kb: KnowledgeBase, store: ChatStore) -> None:
        """Take what answers, and where conversations are kept."""
        self._kb = kb
        self._store = store

    def list(self, owner: str) -> list[Chat]:
        """Return an owner's conversations, the latest first."""
        return self._store.chats(owner)

    def open(self, owner: str, chat_id: int) -> tuple[Chat, tuple[KeptTurn, ...]]:
        """Return a conversation and its turns.

        Raises:
            UnknownChatError: the owner has no such conversation.
        """
        return self._store.chat(owner, chat_id)

    def rename(self, owner: str, chat_id: int, title: str) -> None:
        """Give a conversation another title.

        Raises:
            UsageError: the title is empty.
            UnknownChatError: the owner has no such conversation.
        """
        if not title.strip():
            raise UsageError("the title is empty; write one")
        self._store.rename(owner, chat_id, _title(title))

    def rename_collection(self, name: str, to: str) -> None:
        """Keep all conversations about a collection with it under its new name."""
        self._store.rename_collection(name, to)

    def delete(self, owner: str, chat_id: int) -> None:
        """Delete a conversation.

        Raises:
            UnknownChatError: the owner has no such conversation.
        """
        self._store.delete(owner, chat_id)

    def ask(
        self,
        question: str,
        *,
        owner: str = "",
        chat_id: int | None = None,
        collection: str | None = None,
        instead_of: int | None = None,
        on_begun: Callable[[KeptTurn], None] = lambda turn: None,
        on_passages: Callable[[tuple[Citation, ...]], None] | None = None,
        on_waiting: Callable[[int], None] | None = None,
        stop: threading.Event | None = None,
    ) -> Iterator[str | KeptTurn]:
        """Yield an answer's text as it is written, then the turn as it is kept.

        An answer that is closed or stopped half way is kept as interrupted, with the text so far; where the process
        is killed, without text. An interrupted answer to a turn that was asked again (`instead_of`) is dropped: the
        former turn and those after it stay, and the former turn is yielded last.

        Args:
            question: in Chinese or English.
            owner: whose conversation it is.
            chat_id: the conversation; None for a new one.
            collection: where a new conversation looks; an old one looks where it did before.
            instead_of: the turn to answer again; it and all after it go once there is an answer. Ignored where the
                conversation has no such turn.
            on_begun: called with the turn as it is kept before there is an answer.
            on_passages: as for `Assistant.stream`.
            on_waiting: as for `Assistant.stream`.
            stop: ends the answer when it is set.

        Raises:
            UnknownChatError: the owner has no such conversation.
            KbError: as `Assistant.stream`; the question is then not kept.
        """
        if not question.strip():
            raise UsageError("the question is empty; ask something")
        name = collection or self._kb.settings.collection
        kept_in = chat_id or self._store.begin(owner, _title(question), name)
        chat, before = self.open(owner, kept_in)
        if all(turn.id != instead_of for turn in before):
            instead_of = None
        history = [turn.turn for turn in before if turn.searched and (instead_of is None or turn.id < instead_of)]
        turn_id = self._store.add_turn(owner, kept_in, question.strip())
        on_begun(self._turn(owner, kept_in, turn_id))
        pieces = self._kb.pipeline.stream(
            question,
            collection=chat.collection,
            history=history,
            on_passages=on_passages,
            on_waiting=on_waiting,
            stop=stop,
        )
        try:
            with as_kb_errors():
                shown_id = yield from self._keep(pieces, turn_id, instead_of)
        except KbError:
            self._store.forget_turn(turn_id, with_chat=chat_id is None)
            raise
        yield self._turn(owner, kept_in, shown_id)

    def _keep(self, pieces: Iterator[str | Answer], turn_id: int, instead_of: int | None) -> Generator[str, None, int]:
        """Pass the text on, keep the answer or what there is of it, and return the id of the turn to show."""
        written = ""
        try:
            for piece in pieces:
                if isinstance(piece, Answer):
                    self._store.keep_answer(turn_id, piece, instead_of=instead_of)
                    return turn_id
                written += piece
                yield piece
        except Cancelled:
            return self._interrupted(turn_id, written, instead_of)
        except GeneratorExit:
            pieces.close()  # type: ignore[attr-defined]  # it is a generator, and closing it stops the engine
            self._interrupted(turn_id, written, instead_of)
            raise
        return turn_id

    def _interrupted(self, turn_id: int, written: str, instead_of: int | None) -> int:
        if instead_of is None:
            self._store.keep_written(turn_id, written)
            return turn_id
        self._store.forget_turn(turn_id, with_chat=False)
        return instead_of

    def _turn(self, owner: str, chat_id: int, turn_id: int) -> KeptTurn:
        for turn in self.open(owner, chat_id)[1]:
            if turn.id == turn_id:
                return turn
        raise UnknownChatError("the question was deleted while it was answered; ask it again")

    def rate(self, owner: str, turn_id: int, verdict: int, reason: str = "") -> None:
        """Keep a verdict on an answer: 1 for good, -1 for bad, 0 to take it back.

        Raises:
            UsageError: the verdict is none of these.
            UnknownChatError: the owner has no such turn.
        """
        if verdict not in (-1, 0, 1):
            raise UsageError(f"a verdict cannot be {verdict}; it is 1, -1 or 0")
        self._store.rate(owner, turn_id, verdict, reason.strip()[:_REASON_CHARACTERS])

    def markdown(self, owner: str, chat_id: int) -> str:
        """Return a conversation as Markdown; see `export.as_markdown`.

        Raises:
            UnknownChatError: the owner has no such conversation.
        """
        return as_markdown(*self.open(owner, chat_id))

    def evaluation_lines(self, owner: str) -> str:
        """Return the owner's well-rated questions for `kb eval`; see `export.as_evaluation_lines`."""
        return as_evaluation_lines(self._store.rated(owner))


@translated
def delete_chats_of(owner: str, home: Path) -> int:
    """Delete all conversations that a home keeps of an owner, and return how many there were.

    Raises:
        StoreError: the catalogue cannot be used.
    """
    path = home / "catalog.db"
    if not path.exists():
        return 0
    with closing(Catalog(path)) as catalog:
        make_tables(catalog)
        return ChatStore(catalog).delete_all(owner)


def _title(text: str) -> str:
    words = _SPACE.sub(" ", printable(text)).strip()
    return words if len(words) <= _TITLE_CHARACTERS else words[:_TITLE_CHARACTERS].rstrip() + "…"
