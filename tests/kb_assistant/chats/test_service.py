import json
import shutil
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from markdown_it import MarkdownIt
from stand_in import StandInEngine

from kb_assistant import Assistant
from kb_assistant.chats.store import KeptTurn
from kb_assistant.errors import KbError, UnknownChatError, UsageError
from kb_assistant.evaluation.questions import read_questions
from kb_assistant.llms.base import Piece
from vectorstore import StoreError

BATTERIES = "How long is the warranty on rechargeable batteries?"
HOTEL = "去一类城市出差，酒店每晚最多可以报多少钱？"
NOWHERE = "公司班车早上几点从地铁站发车？"


@pytest.fixture
def assistant(handbook: Assistant, own_home: Path) -> Iterator[Assistant]:
    shutil.copytree(handbook.home, own_home)
    with Assistant.open(own_home) as kb:
        yield kb


class Slow(StandInEngine):
    """Says a word a twentieth of a second, after `silent_s` in which it reads the prompt."""

    silent_s: float = 0.0

    def generate_pieces(
        self, prompt: str, *, stop: Sequence[str], max_new_tokens: int, cancelled: threading.Event
    ) -> Iterator[Piece]:
        yield from self._in_background(lambda emit: self._speak(emit, cancelled), cancelled)

    def _speak(self, emit, cancelled: threading.Event) -> None:
        if cancelled.wait(self.silent_s):
            return
        for count in range(200):
            if cancelled.wait(0.05):
                return
            emit(Piece(f"word{count} ", 1, count))


def asked(assistant: Assistant, question: str, **options) -> KeptTurn:
    *_, turn = assistant.chats.ask(question, **options)
    assert isinstance(turn, KeptTurn)
    return turn


def test_a_conversation_is_there_after_a_restart_and_follow_ups_lean_on_it(assistant: Assistant) -> None:
    first = asked(assistant, HOTEL)
    assert (first.state, "580 元" in first.text, first.citations[0].source) == ("answered", True, "差旅报销.docx")
    with Assistant.open(assistant.home) as again:
        (chat,) = again.chats.list("")
        assert chat.title == HOTEL
        assert again.chats.open("", chat.id)[1] == (first,)
        follow_up = asked(again, "二类城市呢？", chat_id=chat.id)
        assert HOTEL in follow_up.searched
        assert [one.id for one in again.chats.open("", chat.id)[1]] == [first.id, follow_up.id]


def test_nobody_reads_or_changes_anothers_conversation(assistant: Assistant) -> None:
    turn = asked(assistant, BATTERIES, owner="ann")
    chats = assistant.chats
    assert chats.list("bob") == []
    for forbidden in (
        lambda: chats.open("bob", turn.chat_id),
        lambda: chats.rename("bob", turn.chat_id, "mine"),
        lambda: chats.delete("bob", turn.chat_id),
        lambda: chats.rate("bob", turn.id, 1),
        lambda: chats.markdown("bob", turn.chat_id),
        lambda: asked(assistant, HOTEL, owner="bob", chat_id=turn.chat_id),
    ):
        with pytest.raises(UnknownChatError):
            forbidden()
    assert chats.evaluation_lines("bob") == ""
    assert chats.open("ann", turn.chat_id)[1] == (turn,)


def test_conversations_are_renamed_and_deleted(assistant: Assistant) -> None:
    turn = asked(assistant, BATTERIES)
    assistant.chats.rename("", turn.chat_id, "  电池\n保修  ")
    assert assistant.chats.list("")[0].title == "电池 保修"
    with pytest.raises(UsageError):
        assistant.chats.rename("", turn.chat_id, " ")
    assistant.chats.delete("", turn.chat_id)
    assert assistant.chats.list("") == []


def test_answered_anew_it_takes_the_place_of_the_turn_and_those_after_it(assistant: Assistant) -> None:
    first = asked(assistant, HOTEL)
    second = asked(assistant, "二类城市呢？", chat_id=first.chat_id)
    anew = asked(assistant, BATTERIES, chat_id=first.chat_id, instead_of=first.id)
    assert [one.question for one in assistant.chats.open("", first.chat_id)[1]] == [BATTERIES]
    assert anew.id > second.id
    assert anew.searched == BATTERIES  # what was replaced is no history


def test_what_is_closed_half_way_is_kept_as_interrupted(assistant: Assistant) -> None:
    assistant.settings = assistant.settings.model_copy(update={"engine": "ipex"})
    assistant.knowledge_base.active_engine.loaded = Slow()
    answering = assistant.chats.ask(BATTERIES)
    assert next(answering) == "word0 "
    answering.close()
    (turn,) = assistant.chats.open("", assistant.chats.list("")[0].id)[1]
    assert (turn.state, turn.text) == ("interrupted", "word0 ")


@pytest.mark.parametrize("closed", [False, True])
def test_an_answer_in_place_of_another_that_is_broken_off_leaves_the_former_one(
    assistant: Assistant, closed: bool
) -> None:
    first = asked(assistant, HOTEL)
    second = asked(assistant, "二类城市呢？", chat_id=first.chat_id)
    assistant.chats.rate("", first.id, 1, "出处正确")
    before = assistant.chats.open("", first.chat_id)[1]
    assistant.settings = assistant.settings.model_copy(update={"engine": "ipex"})
    assistant.knowledge_base.active_engine.loaded = Slow()
    stop = threading.Event()
    answering = assistant.chats.ask(HOTEL, chat_id=first.chat_id, instead_of=first.id, stop=stop)
    assert next(answering) == "word0 "
    if closed:
        answering.close()
    else:
        stop.set()
        *_, shown = answering
        assert shown == before[0]
    assert assistant.chats.open("", first.chat_id)[1] == before
    assert [one.id for one in before] == [first.id, second.id]


def test_what_is_in_another_conversation_is_not_replaced(assistant: Assistant) -> None:
    first, other = asked(assistant, HOTEL), asked(assistant, HOTEL)
    asked(assistant, BATTERIES, chat_id=other.chat_id, instead_of=first.id)
    assert [one.question for one in assistant.chats.open("", other.chat_id)[1]] == [HOTEL, BATTERIES]
    assert assistant.chats.open("", first.chat_id)[1] == (first,)


@pytest.mark.parametrize("silent_s", [0.0, 60.0])
def test_stop_ends_it_also_before_the_first_token(assistant: Assistant, silent_s: float) -> None:
    assistant.settings = assistant.settings.model_copy(update={"engine": "ipex"})
    assistant.knowledge_base.active_engine.loaded = Slow(silent_s=silent_s)
    stop = threading.Event()
    threading.Timer(1.0, stop.set).start()
    started = time.perf_counter()
    turn = asked(assistant, BATTERIES, stop=stop)
    assert time.perf_counter() - started < 5
    assert turn.state == "interrupted"
    assert turn.text.startswith("word0 ") is (silent_s == 0)


def test_stop_ends_it_in_the_queue(assistant: Assistant) -> None:
    assistant.settings = assistant.settings.model_copy(update={"engine": "ipex"})
    assistant.knowledge_base.active_engine.loaded = Slow()
    ahead, waiting = assistant.chats.ask(BATTERIES), []
    next(ahead)
    stop = threading.Event()

    def told(count: int) -> None:
        waiting.append(count)
        stop.set()

    turn = asked(assistant, HOTEL, on_waiting=told, stop=stop)
    assert (turn.state, turn.text, waiting) == ("interrupted", "", [1])
    assert next(ahead).startswith("word")
    ahead.close()


def test_a_killed_answer_is_interrupted(assistant: Assistant) -> None:
    begun = []
    answering = assistant.chats.ask(BATTERIES, on_begun=begun.append)
    next(answering)
    with Assistant.open(assistant.home) as other:  # as another process finds it
        assert other.chats.open("", begun[0].chat_id)[1][0].state == "interrupted"
    answering.close()


def test_a_chat_is_kept_while_documents_are_being_written(assistant: Assistant, tmp_path: Path) -> None:
    with assistant.knowledge_base.store.writing(lambda message: None):  # as a long ingest does
        assert asked(assistant, BATTERIES).state == "answered"
    for number in range(150):
        (tmp_path / f"{number}.md").write_text(f"# 通知 {number}\n\nNotice {number} holds {number * 7} widgets.\n" * 20)
    failures: list[StoreError] = []
    done = threading.Event()

    def ingest() -> None:
        try:
            with Assistant.open(assistant.home) as other:
                other.ingest(tmp_path, collection="other")
        except StoreError as error:
            failures.append(error)
        done.set()

    thread = threading.Thread(target=ingest)
    thread.start()
    asked_meanwhile = 0
    while not done.is_set():
        assert asked(assistant, BATTERIES).state == "answered"
        asked_meanwhile += 1
    thread.join()
    assert failures == []
    assert asked_meanwhile > 1


def test_feedback_becomes_a_question_set(assistant: Assistant, tmp_path: Path) -> None:
    good, bad, refused = asked(assistant, BATTERIES), asked(assistant, HOTEL), asked(assistant, NOWHERE)
    assistant.chats.rate("", good.id, 1)
    assistant.chats.rate("", bad.id, -1, " 出处不对 ")
    assistant.chats.rate("", refused.id, 1)
    with pytest.raises(UsageError):
        assistant.chats.rate("", good.id, 5)
    assert assistant.chats.open("", bad.chat_id)[1][0].reason == "出处不对"
    lines = assistant.chats.evaluation_lines("")
    assert [json.loads(line) for line in lines.rstrip("\n").split("\n")] == [
        {"question": BATTERIES, "answers": ["9 months"], "source": "warranty-returns.html", "page": None},
        {"question": NOWHERE, "answers": []},
    ]
    (tmp_path / "set.jsonl").write_text(lines, encoding="utf-8")
    assert [one.answerable for one in read_questions(tmp_path / "set.jsonl").questions] == [True, False]
    assistant.chats.rate("", good.id, 0)
    assert BATTERIES not in assistant.chats.evaluation_lines("")


def test_an_export_is_text_whatever_the_documents_hold(assistant: Assistant, tmp_path: Path) -> None:
    (tmp_path / "hostile.md").write_text(
        "The zebra quota is 42 ![x](http://192.0.2.1/leak.png) <script>alert(1)</script> "
        "[here](javascript:alert(1)) <http://192.0.2.1/auto> http://192.0.2.1/bare \u202egnp.exe per year.\n"
    )
    assistant.ingest(tmp_path / "hostile.md")
    turn = asked(assistant, "What is the zebra quota per year?")
    assistant.chats.rename("", turn.chat_id, "# [x](http://192.0.2.1) <b>")
    exported = assistant.chats.markdown("", turn.chat_id)
    html = MarkdownIt("gfm-like", {"linkify": False}).render(exported)
    assert "42" in html
    assert not any(one in html for one in ("<script", "<img", "<a ", "<b>"))
    assert "\u202e" not in exported


def test_lines_set_in_make_no_blocks_of_an_export(assistant: Assistant) -> None:
    turn = asked(assistant, f"{BATTERIES}\n\n    rm -rf /\n\n  - item\n\n   1. one\n\n\ttwo\u2028- three")
    html = MarkdownIt("gfm-like", {"linkify": False}).render(assistant.chats.markdown("", turn.chat_id))
    said = html.partition("</blockquote>")[0]
    assert "rm -rf" in said
    assert "<p>1. one</p>" in said
    assert not any(one in said for one in ("<pre", "<ul", "<ol"))


def test_a_question_that_cannot_be_put_leaves_nothing_behind(assistant: Assistant) -> None:
    for question, collection in (("  ", None), ("x" * 20_000, None), (BATTERIES, "nowhere")):
        with pytest.raises((KbError, StoreError)):
            asked(assistant, question, collection=collection)
    assert assistant.chats.list("") == []
    first = asked(assistant, BATTERIES)
    with pytest.raises(UsageError):
        asked(assistant, "x" * 20_000, chat_id=first.chat_id, instead_of=first.id)
    assert assistant.chats.open("", first.chat_id)[1] == (first,)
