"""Conversations in the catalogue's database: their tables come into catalogues of every age, and nothing is lost."""

import sqlite3
import threading
from contextlib import closing
from pathlib import Path

import pytest

from kb_assistant import Answer
from kb_assistant.answering.types import Citation, Timing, Usage
from kb_assistant.chats.store import ChatStore, make_tables
from vectorstore import Catalog, StoreError

ANSWER = Answer(
    question="年假有几天？",
    text="年假有 15 天。[1]",
    refused=False,
    engine="extractive",
    citations=(Citation(1, "员工手册.md", None, 3, 4, "休假", "年假有 15 天。", 0.9),),
    timing=Timing(0.1, 0.1, 0.2),
    usage=Usage(),
    searched="年假有几天？",
    highlights=((3, 7),),
)

FORMER_TABLES = """
CREATE TABLE chats (
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, owner TEXT NOT NULL, title TEXT NOT NULL, collection TEXT NOT NULL,
    updated_s FLOAT NOT NULL
);
CREATE INDEX chats_of_owner ON chats (owner, updated_s);
CREATE TABLE turns (
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, chat_id INTEGER NOT NULL, asked_s FLOAT NOT NULL,
    question TEXT NOT NULL, text TEXT NOT NULL, state TEXT NOT NULL, details JSON NOT NULL, verdict INTEGER NOT NULL,
    reason TEXT NOT NULL, FOREIGN KEY(chat_id) REFERENCES chats (id) ON DELETE CASCADE
);
CREATE INDEX ix_turns_chat_id ON turns (chat_id);
INSERT INTO chats VALUES (7, '王芳', '年假', 'default', 1700000000.0);
INSERT INTO turns VALUES (
    9, 7, 1700000000.0, '年假有几天？', '年假有 15 天。', 'answered',
    '{"citations": [], "highlights": [[3, 7]], "searched": "年假有几天？", "about": "", "engine": "ipex"}', 1, ''
);
"""
"""The tables as the catalogue made them itself when it still kept conversations, with a turn."""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "catalog.db"


def test_what_is_kept_comes_back_as_it_was(path: Path) -> None:
    with closing(Catalog(path)) as catalog:
        make_tables(catalog)
        store = ChatStore(catalog)
        chat_id = store.begin("王芳", "年假", "default")
        turn_id = store.add_turn("王芳", chat_id, ANSWER.question)
        (waiting,) = store.chat("王芳", chat_id)[1]
        assert (waiting.state, waiting.text) == ("interrupted", "")
        store.keep_answer(turn_id, ANSWER)
        (kept,) = store.chat("王芳", chat_id)[1]
    assert (kept.id, kept.state, kept.text) == (turn_id, "answered", ANSWER.text)
    assert (kept.citations, kept.highlights) == (ANSWER.citations, ANSWER.highlights)
    assert kept.turn == ANSWER.turn


def test_conversations_of_a_former_catalogue_stay(path: Path) -> None:
    Catalog(path).close()
    with closing(sqlite3.connect(path)) as former:
        former.executescript(FORMER_TABLES)
    with closing(Catalog(path)) as catalog:
        make_tables(catalog)
        store = ChatStore(catalog)
        ((chat,), (turn,)) = store.chats("王芳"), store.rated("王芳")
        assert (chat.id, chat.title) == (7, "年假")
        assert (turn.id, turn.text, turn.highlights) == (9, "年假有 15 天。", ((3, 7),))
        assert store.add_turn("王芳", 7, "病假呢？") == 10
        store.delete("王芳", 7)
        assert store.rated("王芳") == []


def test_a_catalogue_without_the_tables_gets_them_once(path: Path) -> None:
    failed: list[StoreError] = []

    def begin(start: threading.Barrier) -> None:
        with closing(Catalog(path)) as catalog:
            start.wait()
            try:
                make_tables(catalog)
                ChatStore(catalog).begin("", "年假", "default")
            except StoreError as error:
                failed.append(error)

    Catalog(path).close()
    start = threading.Barrier(4)
    threads = [threading.Thread(target=begin, args=(start,)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    with closing(Catalog(path)) as catalog:
        assert len(ChatStore(catalog).chats("")) == 4
