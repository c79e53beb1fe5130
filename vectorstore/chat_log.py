"""Conversations in the catalogue, each seen by its owner alone.

Writing here needs no writer's lock: each call is one short transaction, beside an ingest
or not.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, delete, insert, select, update

from vectorstore.catalog import Catalog
from vectorstore.errors import UnknownChatError
from vectorstore.schema import chats, turns

__all__ = ["ChatLog", "StoredChat", "StoredTurn"]


@dataclass(frozen=True, slots=True)
class StoredChat:
    """A conversation, without its turns; `updated_s` is UNIX time."""

    id: int
    title: str
    collection: str
    updated_s: float


@dataclass(frozen=True, slots=True)
class StoredTurn:
    """A question and its answer.

    Attributes:
        asked_s: UNIX time.
        state: as whoever wrote it calls it.
        details: what else is kept of the answer, as JSON has it.
        verdict: 1 for a good answer, -1 for another, 0 where nothing was said.
    """

    id: int
    chat_id: int
    asked_s: float
    question: str
    text: str
    state: str
    details: Mapping[str, Any]
    verdict: int
    reason: str


_CHAT = tuple(chats.c[name] for name in StoredChat.__dataclass_fields__)
_TURN = tuple(turns.c[name] for name in StoredTurn.__dataclass_fields__)


class ChatLog:
    """The conversations of all owners; every call names whose it means."""

    def __init__(self, catalog: Catalog) -> None:
        """Take the catalogue."""
        self._catalog = catalog

    def chats(self, owner: str) -> list[StoredChat]:
        """Return an owner's conversations, the latest first."""
        query = select(*_CHAT).where(chats.c.owner == owner).order_by(chats.c.updated_s.desc(), chats.c.id.desc())
        with self._catalog.transaction() as connection:
            return [StoredChat(*row) for row in connection.execute(query)]

    def chat(self, owner: str, chat_id: int) -> tuple[StoredChat, list[StoredTurn]]:
        """Return a conversation and its turns, the first one first.

        Raises:
            UnknownChatError: the owner has no such conversation.
        """
        with self._catalog.transaction() as connection:
            chat = _own(connection, owner, chat_id)
            found = connection.execute(select(*_TURN).where(turns.c.chat_id == chat_id).order_by(turns.c.id))
            return chat, [StoredTurn(*one) for one in found]

    def begin(self, owner: str, title: str, collection: str) -> int:
        """Make a conversation, and return its id."""
        values = {"owner": owner, "title": title, "collection": collection, "updated_s": time.time()}
        with self._catalog.transaction(writes=True) as connection:
            key = connection.execute(insert(chats).values(values)).inserted_primary_key
            assert key is not None  # the table has one
            return int(key[0])

    def rename(self, owner: str, chat_id: int, title: str) -> None:
        """Give a conversation another title.

        Raises:
            UnknownChatError: the owner has no such conversation.
        """
        with self._catalog.transaction(writes=True) as connection:
            _own(connection, owner, chat_id)
            connection.execute(update(chats).where(chats.c.id == chat_id).values(title=title))

    def delete(self, owner: str, chat_id: int) -> None:
        """Delete a conversation with its turns.

        Raises:
            UnknownChatError: the owner has no such conversation.
        """
        with self._catalog.transaction(writes=True) as connection:
            _own(connection, owner, chat_id)
            connection.execute(delete(chats).where(chats.c.id == chat_id))

    def delete_all(self, owner: str) -> int:
        """Delete all conversations of an owner, and return how many there were."""
        with self._catalog.transaction(writes=True) as connection:
            return connection.execute(delete(chats).where(chats.c.owner == owner)).rowcount

    def add_turn(self, owner: str, chat_id: int, question: str, state: str) -> int:
        """Add a turn without an answer, and return its id.

        Raises:
            UnknownChatError: the owner has no such conversation.
        """
        now = time.time()
        values = {"chat_id": chat_id, "asked_s": now, "question": question, "text": "", "state": state, "details": {}}
        with self._catalog.transaction(writes=True) as connection:
            _own(connection, owner, chat_id)
            connection.execute(update(chats).where(chats.c.id == chat_id).values(updated_s=now))
            key = connection.execute(insert(turns).values(values)).inserted_primary_key
            assert key is not None  # the table has one
            return int(key[0])

    def finish_turn(
        self, turn_id: int, text: str, state: str, details: Mapping[str, Any], *, instead_of: int | None = None
    ) -> None:
        """Write the answer to a turn, in place of turn `instead_of` and those between where that is given.

        Nothing happens where it was deleted meanwhile.
        """
        values = {"text": text, "state": state, "details": dict(details)}
        with self._catalog.transaction(writes=True) as connection:
            connection.execute(update(turns).where(turns.c.id == turn_id).values(values))
            if instead_of is not None:
                chat = select(turns.c.chat_id).where(turns.c.id == turn_id).scalar_subquery()
                former = (turns.c.chat_id == chat, turns.c.id >= instead_of, turns.c.id < turn_id)
                connection.execute(delete(turns).where(*former))

    def forget_turn(self, turn_id: int, *, with_chat: bool) -> None:
        """Delete a turn that could not be answered, or the conversation that it began."""
        with self._catalog.transaction(writes=True) as connection:
            chat = select(turns.c.chat_id).where(turns.c.id == turn_id).scalar_subquery()
            if with_chat:
                connection.execute(delete(chats).where(chats.c.id == chat))
            connection.execute(delete(turns).where(turns.c.id == turn_id))

    def rate(self, owner: str, turn_id: int, verdict: int, reason: str) -> None:
        """Note what an owner thinks of an answer.

        Raises:
            UnknownChatError: the owner has no such turn.
        """
        with self._catalog.transaction(writes=True) as connection:
            found = connection.execute(select(turns.c.chat_id).where(turns.c.id == turn_id)).scalar()
            _own(connection, owner, found or 0)
            connection.execute(update(turns).where(turns.c.id == turn_id).values(verdict=verdict, reason=reason))

    def rated(self, owner: str) -> list[StoredTurn]:
        """Return the owner's turns of which something was said, the first one first."""
        query = (
            select(*_TURN)
            .join(chats, turns.c.chat_id == chats.c.id)
            .where(chats.c.owner == owner, turns.c.verdict != 0)
            .order_by(turns.c.id)
        )
        with self._catalog.transaction() as connection:
            return [StoredTurn(*row) for row in connection.execute(query)]


def _own(connection: Connection, owner: str, chat_id: int) -> StoredChat:
    row = connection.execute(select(*_CHAT).where(chats.c.id == chat_id, chats.c.owner == owner)).one_or_none()
    if row is None:
        raise UnknownChatError("there is no such conversation; it may have been deleted: open another one")
    return StoredChat(*row)
