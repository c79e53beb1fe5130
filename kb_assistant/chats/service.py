"""Conversations that are kept: asked in, opened again, exported, and judged by who reads them."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast

from kb_assistant.answering.types import Answer, Citation, Turn
from kb_assistant.errors import Cancelled, KbError, UsageError
from kb_assistant.language import language_of
from kb_assistant.serialization import printable
from vectorstore import StoreError, UnknownChatError

if TYPE_CHECKING:
    from kb_assistant.answering.knowledge_base import KnowledgeBase
    from vectorstore import ChatLog, StoredChat, StoredTurn

__all__ = ["Chats", "KeptTurn", "TurnState", "delete_chats_of"]

TurnState = Literal["answered", "refused", "interrupted"]
_TITLE_CHARACTERS = 60
_REASON_CHARACTERS = 1_000
_SPACE = re.compile(r"\s+")
_MARKDOWN = re.compile(r"((?=[\\`*_\[\]<>!#|~$&])|^(?=[-+=])|^\d+(?=[.)]))", re.MULTILINE)
"""What a backslash goes behind; one before a digit would show."""
_INDENT = re.compile(r"^[ \t]+", re.MULTILINE)
_ADDRESS = re.compile(r"(?<=[A-Za-z])://|(?<=www)\.", re.IGNORECASE)
_WORDS = {
    "zh": {"interrupted": "（已中断）", "nearest": "最接近的段落：", "page": "第 {} 页"},
    "en": {"interrupted": "(broken off)", "nearest": "The nearest passages:", "page": "p. {}"},
}


@dataclass(frozen=True, slots=True)
class KeptTurn:
    """A question and its answer as they are kept.

    Attributes:
        asked_s: UNIX time.
        state: "interrupted" where the answer was broken off, by whomever.
        citations: those of an answer, or the nearest passages of a refusal.
        highlights: the words in `text` that are the answer proper, as spans of characters.
        searched: what was searched: the question, a follow-up with what it leans on before it.
        verdict: 1 for a good answer, -1 for another, 0 where nothing was said.
    """

    id: int
    chat_id: int
    asked_s: float
    question: str
    text: str
    state: TurnState
    citations: tuple[Citation, ...]
    highlights: tuple[tuple[int, int], ...]
    searched: str
    about: str
    verdict: int
    reason: str

    @property
    def turn(self) -> Turn:
        """What a follow-up leans on."""
        return Turn(self.question, self.searched, self.about)


class Chats:
    """The conversations of each owner: the user's name, or '' where there are no users."""

    def __init__(self, kb: KnowledgeBase, log: ChatLog) -> None:
        """Take what answers, and where it is kept."""
        self._kb = kb
        self._log = log

    def list(self, owner: str) -> list[StoredChat]:
        """Return an owner's conversations, the latest first."""
        return self._log.chats(owner)

    def open(self, owner: str, chat_id: int) -> tuple[StoredChat, tuple[KeptTurn, ...]]:
        """Return a conversation and its turns.

        Raises:
            UnknownChatError: the owner has no such conversation.
        """
        chat, turns = self._log.chat(owner, chat_id)
        return chat, tuple(map(_kept, turns))

    def rename(self, owner: str, chat_id: int, title: str) -> None:
        """Give a conversation another title.

        Raises:
            UsageError: the title is empty.
            UnknownChatError: the owner has no such conversation.
        """
        if not title.strip():
            raise UsageError("the title is empty; write one")
        self._log.rename(owner, chat_id, _title(title))

    def delete(self, owner: str, chat_id: int) -> None:
        """Delete a conversation.

        Raises:
            UnknownChatError: the owner has no such conversation.
        """
        self._log.delete(owner, chat_id)

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

        What was written until it is broken off is kept as interrupted, whether it is closed, `stop` is set
        or the process is killed; then no text is kept. An answer in place of another one is forgotten when it
        is broken off: the former one and what came after it stay, and the former one is what is yielded last.

        Args:
            question: in Chinese or English.
            owner: whose conversation it is.
            chat_id: the conversation; None for a new one.
            collection: where a new one looks; another one looks where it did.
            instead_of: the turn to be answered anew; it and all after it go once there is an answer. One that
                the conversation does not have, or no longer, takes no place.
            on_begun: called with the turn as it is kept before there is an answer.
            on_passages: as for `Assistant.stream`.
            on_waiting: as for `Assistant.stream`.
            stop: ends the answer when it is set.

        Raises:
            UnknownChatError: the owner has no such conversation.
            KbError: as `Assistant.stream`; the question is then not kept.
            StoreError: as `Assistant.stream`.
        """
        if not question.strip():
            raise UsageError("the question is empty; ask something")
        name = collection or self._kb.settings.collection
        kept_in = chat_id or self._log.begin(owner, _title(question), name)
        chat, before = self.open(owner, kept_in)
        if all(one.id != instead_of for one in before):
            instead_of = None
        history = [one.turn for one in before if one.searched and (instead_of is None or one.id < instead_of)]
        turn_id = self._log.add_turn(owner, kept_in, question.strip(), "interrupted")
        on_begun(self._turn(owner, kept_in, turn_id))
        answering = self._kb.pipeline.stream(
            question,
            collection=chat.collection,
            history=history,
            on_passages=on_passages,
            on_waiting=on_waiting,
            stop=stop,
        )
        try:
            shown_id = yield from self._keeping(answering, turn_id, instead_of)
        except (KbError, StoreError):
            self._log.forget_turn(turn_id, with_chat=chat_id is None)
            raise
        yield self._turn(owner, kept_in, shown_id)

    def _keeping(
        self, answering: Iterator[str | Answer], turn_id: int, instead_of: int | None
    ) -> Generator[str, None, int]:
        """Hand on the text, keep what there is of it however it ends, and return which turn stands there then."""
        written = ""
        try:
            for piece in answering:
                if isinstance(piece, Answer):
                    state = "refused" if piece.refused else "answered"
                    self._log.finish_turn(turn_id, piece.text, state, _details(piece), instead_of=instead_of)
                    return turn_id
                written += piece
                yield piece
        except Cancelled:
            return self._broken_off(turn_id, written, instead_of)
        except GeneratorExit:
            answering.close()  # type: ignore[attr-defined]  # it is a generator, and closing it stops the engine
            self._broken_off(turn_id, written, instead_of)
            raise
        return turn_id

    def _broken_off(self, turn_id: int, written: str, instead_of: int | None) -> int:
        if instead_of is None:
            self._log.finish_turn(turn_id, written, "interrupted", {})
            return turn_id
        self._log.forget_turn(turn_id, with_chat=False)
        return instead_of

    def _turn(self, owner: str, chat_id: int, turn_id: int) -> KeptTurn:
        for one in self.open(owner, chat_id)[1]:
            if one.id == turn_id:
                return one
        raise UnknownChatError("the question was deleted while it was answered; ask it again")

    def rate(self, owner: str, turn_id: int, verdict: int, reason: str = "") -> None:
        """Keep what is thought of an answer: 1, -1, or 0 to take it back.

        Raises:
            UsageError: the verdict is none of these.
            UnknownChatError: the owner has no such turn.
        """
        if verdict not in (-1, 0, 1):
            raise UsageError(f"a verdict cannot be {verdict}; it is 1, -1 or 0")
        self._log.rate(owner, turn_id, verdict, reason.strip()[:_REASON_CHARACTERS])

    def markdown(self, owner: str, chat_id: int) -> str:
        """Return a conversation as Markdown in which nothing of a document's own is markup.

        Raises:
            UnknownChatError: the owner has no such conversation.
        """
        chat, turns = self.open(owner, chat_id)
        return "\n\n".join([f"# {_plain(chat.title)}", *map(_as_markdown, turns)]) + "\n"

    def evaluation_lines(self, owner: str) -> str:
        """Return the questions whose answers were found good as JSON lines for `kb eval`.

        What an answer has to hold is what was highlighted in it, else the words it cites; a refusal that was
        found good is a question that the documents do not answer. An answer that was found wanting tells
        nothing of the right one, and is left out.
        """
        good = [_kept(one) for one in self._log.rated(owner) if one.verdict > 0]
        lines = [_evaluation(one) for one in good if one.state == "refused" or one.citations]
        return "".join(json.dumps(one, ensure_ascii=False) + "\n" for one in lines)


def delete_chats_of(owner: str, home: Path) -> int:
    """Delete all conversations that a home keeps of an owner, and return how many there were.

    Raises:
        StoreError: the catalogue cannot be used.
    """
    from vectorstore import ChatLog
    from vectorstore.catalog import Catalog

    path = home / "catalog.db"
    if not path.exists():
        return 0
    with closing(Catalog(path)) as catalog:
        return ChatLog(catalog).delete_all(owner)


def _title(text: str) -> str:
    words = _SPACE.sub(" ", printable(text)).strip()
    return words if len(words) <= _TITLE_CHARACTERS else words[:_TITLE_CHARACTERS].rstrip() + "…"


def _details(answer: Answer) -> dict[str, Any]:
    return {
        "citations": [asdict(one) for one in answer.citations],
        "highlights": [list(span) for span in answer.highlights],
        "searched": answer.searched,
        "about": answer.turn.about,
        "engine": answer.engine,
    }


def _kept(stored: StoredTurn) -> KeptTurn:
    details: Mapping[str, Any] = stored.details
    return KeptTurn(
        id=stored.id,
        chat_id=stored.chat_id,
        asked_s=stored.asked_s,
        question=stored.question,
        text=stored.text,
        state=cast("TurnState", stored.state),
        citations=tuple(Citation(**one) for one in details.get("citations", ())),
        highlights=tuple((start, end) for start, end in details.get("highlights", ())),
        searched=details.get("searched", ""),
        about=details.get("about", ""),
        verdict=stored.verdict,
        reason=stored.reason,
    )


def _plain(text: str) -> str:
    """Text in which Markdown sees no markup, and no address that a viewer would make a link."""
    escaped = _MARKDOWN.sub(r"\1\\", _INDENT.sub("", printable(text)))
    return _ADDRESS.sub(lambda found: "\\".join(("", *found[0])), escaped)


def _as_markdown(turn: KeptTurn) -> str:
    words = _WORDS[language_of(turn.question)]
    quoted = "\n".join(f"> {line}" for line in _plain(turn.question).split("\n"))
    text = _plain(turn.text)
    parts = [quoted, f"{text} {words['interrupted']}".strip() if turn.state == "interrupted" else text]
    if turn.state == "refused" and turn.citations:
        parts.append(words["nearest"])
    cited = []
    for one in turn.citations:
        place = [one.source, words["page"].format(one.page) if one.page else "", one.heading]
        where = _plain(", ".join(filter(None, place)))
        cited.append(f"- \\[{one.number}\\] {where}: “{_plain(_SPACE.sub(' ', one.quote))}”")
    return "\n\n".join([*parts, "\n".join(cited)] if cited else parts)


def _evaluation(turn: KeptTurn) -> dict[str, Any]:
    if turn.state == "refused":
        return {"question": turn.question, "answers": []}
    first = turn.citations[0]
    answers = [turn.text[start:end] for start, end in turn.highlights] or [first.quote]
    return {"question": turn.question, "answers": answers, "source": first.source, "page": first.page}
