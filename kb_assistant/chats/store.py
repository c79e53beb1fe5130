"""Conversations in the catalogue's database, each seen by its owner alone.

Every call is one short transaction and needs no writer's lock, so conversations go on during an ingest.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal, cast

from sqlalchemy import (
    JSON,
    Column,
    Connection,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    Row,
    Table,
    Text,
    delete,
    insert,
    inspect,
    select,
    update,
)

from kb_assistant.answering.types import Answer, Citation, Turn
from kb_assistant.errors import UnknownChatError
from vectorstore import Catalog

__all__ = ["Chat", "ChatStore", "KeptTurn", "TurnState", "make_tables"]

TurnState = Literal["answered", "refused", "interrupted"]

_metadata = MetaData()

_chats = Table(
    "chats",
    _metadata,
    Column("id", Integer, primary_key=True),
    # The user's name; empty where there are no users.
    Column("owner", Text, nullable=False),
    Column("title", Text, nullable=False),
    Column("collection", Text, nullable=False),  # its name: a chat outlives a collection that is made anew
    Column("updated_s", Float, nullable=False),
    Index("chats_of_owner", "owner", "updated_s"),
    sqlite_autoincrement=True,  # a page left open must not write into a later chat with a reused id
)

_turns = Table(
    "turns",
    _metadata,
    Column("id", Integer, primary_key=True),
    Column("chat_id", Integer, ForeignKey("chats.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("asked_s", Float, nullable=False),
    Column("question", Text, nullable=False),
    Column("text", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("details", JSON, nullable=False),  # citations and the other parts of the answer
    Column("verdict", Integer, nullable=False, default=0),
    Column("reason", Text, nullable=False, default=""),
    sqlite_autoincrement=True,
)


def make_tables(catalog: Catalog) -> None:
    """Make the tables of conversations in a catalogue that lacks them.

    Raises:
        StoreError: the catalogue cannot be written to.
    """
    with catalog.transaction() as connection:
        present = set(inspect(connection).get_table_names())
    if not present.issuperset(_metadata.tables):
        with catalog.transaction(writes=True) as connection:
            _metadata.create_all(connection)


@dataclass(frozen=True, slots=True)
class Chat:
    """A conversation, without its turns; `updated_s` is UNIX time."""

    id: int
    title: str
    collection: str
    updated_s: float


@dataclass(frozen=True, slots=True)
class KeptTurn:
    """A question and its answer as they are kept.

    Attributes:
        asked_s: UNIX time.
        state: "interrupted" where the answer was stopped, for whatever reason.
        citations: those of an answer, or the nearest passages of a refusal.
        highlights: the words in `text` that are the answer proper, as spans of characters.
        unsupported: what in `text` no passage supports, as spans of characters.
        searched: what was searched: the question, or for a follow-up the question with its context.
        about: where the answer was found, as context for follow-ups.
        verdict: 1 for a good answer, -1 for a bad one, 0 where none was given.
    """

    id: int
    chat_id: int
    asked_s: float
    question: str
    text: str
    state: TurnState
    citations: tuple[Citation, ...]
    highlights: tuple[tuple[int, int], ...]
    unsupported: tuple[tuple[int, int], ...]
    searched: str
    about: str
    verdict: int
    reason: str

    @property
    def turn(self) -> Turn:
        """The context that a follow-up needs."""
        return Turn(self.question, self.searched, self.about)


_CHAT = tuple(_chats.c[name] for name in Chat.__dataclass_fields__)


class ChatStore:
    """The conversations of all owners; every call that reads or changes one names its owner."""

    def __init__(self, catalog: Catalog) -> None:
        """Take a catalogue that `make_tables` has prepared."""
        self._catalog = catalog

    def chats(self, owner: str) -> list[Chat]:
        """Return an owner's conversations, the latest first."""
        query = select(*_CHAT).where(_chats.c.owner == owner).order_by(_chats.c.updated_s.desc(), _chats.c.id.desc())
        with self._catalog.transaction() as connection:
            return [Chat(*row) for row in connection.execute(query)]

    def chat(self, owner: str, chat_id: int) -> tuple[Chat, tuple[KeptTurn, ...]]:
        """Return a conversation and its turns, the oldest first.

        Raises:
            UnknownChatError: the owner has no such conversation.
        """
        with self._catalog.transaction() as connection:
            chat = _own_chat(connection, owner, chat_id)
            found = connection.execute(select(_turns).where(_turns.c.chat_id == chat_id).order_by(_turns.c.id))
            return chat, tuple(map(_kept, found))

    def begin(self, owner: str, title: str, collection: str) -> int:
        """Make a conversation, and return its id."""
        values = {"owner": owner, "title": title, "collection": collection, "updated_s": time.time()}
        with self._catalog.transaction(writes=True) as connection:
            return _insert(connection, _chats, values)

    def rename(self, owner: str, chat_id: int, title: str) -> None:
        """Give a conversation another title.

        Raises:
            UnknownChatError: the owner has no such conversation.
        """
        with self._catalog.transaction(writes=True) as connection:
            _own_chat(connection, owner, chat_id)
            connection.execute(update(_chats).where(_chats.c.id == chat_id).values(title=title))

    def rename_collection(self, name: str, to: str) -> None:
        """Keep all conversations about a collection with it under its new name."""
        with self._catalog.transaction(writes=True) as connection:
            connection.execute(update(_chats).where(_chats.c.collection == name).values(collection=to))

    def delete(self, owner: str, chat_id: int) -> None:
        """Delete a conversation with its turns.

        Raises:
            UnknownChatError: the owner has no such conversation.
        """
        with self._catalog.transaction(writes=True) as connection:
            _own_chat(connection, owner, chat_id)
            connection.execute(delete(_chats).where(_chats.c.id == chat_id))

    def delete_all(self, owner: str) -> int:
        """Delete all conversations of an owner, and return how many there were."""
        with self._catalog.transaction(writes=True) as connection:
            return connection.execute(delete(_chats).where(_chats.c.owner == owner)).rowcount

    def add_turn(self, owner: str, chat_id: int, question: str) -> int:
        """Add a turn that is interrupted as long as it has no answer, and return its id.

        Raises:
            UnknownChatError: the owner has no such conversation.
        """
        now = time.time()
        values = {"chat_id": chat_id, "asked_s": now, "question": question, "text": "", "details": {}}
        with self._catalog.transaction(writes=True) as connection:
            _own_chat(connection, owner, chat_id)
            connection.execute(update(_chats).where(_chats.c.id == chat_id).values(updated_s=now))
            return _insert(connection, _turns, {**values, "state": "interrupted"})

    def keep_answer(self, turn_id: int, answer: Answer, *, instead_of: int | None = None) -> None:
        """Write the answer to a turn; with `instead_of`, delete that turn and those between.

        Does nothing where the turn was deleted meanwhile.
        """
        state = "refused" if answer.refused else "answered"
        values = {"text": answer.text, "state": state, "details": _details(answer)}
        with self._catalog.transaction(writes=True) as connection:
            connection.execute(update(_turns).where(_turns.c.id == turn_id).values(values))
            if instead_of is not None:
                chat = select(_turns.c.chat_id).where(_turns.c.id == turn_id).scalar_subquery()
                replaced = (_turns.c.chat_id == chat, _turns.c.id >= instead_of, _turns.c.id < turn_id)
                connection.execute(delete(_turns).where(*replaced))

    def keep_written(self, turn_id: int, text: str) -> None:
        """Keep what was written of an answer until it was interrupted."""
        with self._catalog.transaction(writes=True) as connection:
            connection.execute(update(_turns).where(_turns.c.id == turn_id).values(text=text))

    def forget_turn(self, turn_id: int, *, with_chat: bool) -> None:
        """Delete a turn that could not be answered, and with `with_chat` the conversation that it began."""
        with self._catalog.transaction(writes=True) as connection:
            chat = select(_turns.c.chat_id).where(_turns.c.id == turn_id).scalar_subquery()
            if with_chat:
                connection.execute(delete(_chats).where(_chats.c.id == chat))
            connection.execute(delete(_turns).where(_turns.c.id == turn_id))

    def rate(self, owner: str, turn_id: int, verdict: int, reason: str) -> None:
        """Keep an owner's verdict on an answer.

        Raises:
            UnknownChatError: the owner has no such turn.
        """
        with self._catalog.transaction(writes=True) as connection:
            found = connection.execute(select(_turns.c.chat_id).where(_turns.c.id == turn_id)).scalar()
            _own_chat(connection, owner, found or 0)
            connection.execute(update(_turns).where(_turns.c.id == turn_id).values(verdict=verdict, reason=reason))

    def rated(self, owner: str) -> list[KeptTurn]:
        """Return the owner's turns that have a verdict, the oldest first."""
        query = (
            select(_turns)
            .join(_chats, _turns.c.chat_id == _chats.c.id)
            .where(_chats.c.owner == owner, _turns.c.verdict != 0)
            .order_by(_turns.c.id)
        )
        with self._catalog.transaction() as connection:
            return [_kept(row) for row in connection.execute(query)]


def _own_chat(connection: Connection, owner: str, chat_id: int) -> Chat:
    row = connection.execute(select(*_CHAT).where(_chats.c.id == chat_id, _chats.c.owner == owner)).one_or_none()
    if row is None:
        raise UnknownChatError("there is no such conversation; it may have been deleted: open another one")
    return Chat(*row)


def _insert(connection: Connection, table: Table, values: Mapping[str, Any]) -> int:
    key = connection.execute(insert(table).values(values)).inserted_primary_key
    assert key is not None  # both tables have one
    return int(key[0])


def _details(answer: Answer) -> dict[str, Any]:
    return {
        "citations": [asdict(citation) for citation in answer.citations],
        "highlights": [list(span) for span in answer.highlights],
        "unsupported": [list(span) for span in answer.unsupported],
        "searched": answer.searched,
        "about": answer.turn.about,
        "engine": answer.engine,
    }


def _kept(row: Row[Any]) -> KeptTurn:
    details: Mapping[str, Any] = row.details
    return KeptTurn(
        id=row.id,
        chat_id=row.chat_id,
        asked_s=row.asked_s,
        question=row.question,
        text=row.text,
        state=cast("TurnState", row.state),
        citations=tuple(Citation(**citation) for citation in details.get("citations", ())),
        highlights=tuple((start, end) for start, end in details.get("highlights", ())),
        unsupported=tuple((start, end) for start, end in details.get("unsupported", ())),
        searched=details.get("searched", ""),
        about=details.get("about", ""),
        verdict=row.verdict,
        reason=row.reason,
    )
