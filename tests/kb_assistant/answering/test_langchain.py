"""The retriever and the chain inside a LangChain user's own chain, sync and async."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator, Sequence
from datetime import date
from operator import itemgetter
from pathlib import Path
from typing import Any

import pytest
from langchain_core.callbacks import AsyncCallbackHandler, BaseCallbackHandler
from langchain_core.documents import Document
from langchain_core.language_models import FakeListLLM
from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import PromptTemplate
from langchain_core.runnables import Runnable, RunnableLambda, RunnablePassthrough
from stand_in import StandInEngine

from kb_assistant import Assistant
from kb_assistant.errors import UsageError
from kb_assistant.llms.base import Piece
from vectorstore import Filter

QUESTION = "How many days of annual leave do staff get?"
OTHER = "Who approves the travel claims?"
SAYS = "Staff get 15 days of annual leave. [1]"


class Speaker(StandInEngine):
    """Says its sentence word by word; without one, goes on until it is stopped."""

    says: str = ""
    started: threading.Event
    ended: threading.Event

    def generate_pieces(
        self, prompt: str, *, stop: Sequence[str], max_new_tokens: int, cancelled: threading.Event
    ) -> Iterator[Piece]:
        self.started.set()
        words = self.says.split()
        for count, word in enumerate(words, start=1):
            text = word if count == len(words) else f"{word} "
            yield Piece(text, 1, count, "stop" if count == len(words) else None)
        try:
            while not words and not cancelled.wait(0.01) and not self.ended.wait(0.01):
                yield Piece("on ", 1, 1)
        finally:
            self.ended.set()


def speaker(says: str = "") -> Speaker:
    return Speaker(says=says, started=threading.Event(), ended=threading.Event())


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    docs = tmp_path / "docs"
    docs.mkdir()
    (docs / "leave.md").write_text("# Leave\n\nStaff get 15 days of annual leave.\n")
    (docs / "travel.md").write_text("# Travel\n\nAnn Lee approves the travel claims.\n")
    return docs


@pytest.fixture
def kb(folder: Path) -> Iterator[Assistant]:
    with Assistant.open(engine="extractive") as opened:
        opened.ingest(folder)
        yield opened


@pytest.fixture
def with_model(folder: Path) -> Iterator[Callable[[Speaker], Assistant]]:
    with Assistant.open(engine="ipex", model="unused") as opened:
        opened.ingest(folder)

        def use(engine: Speaker) -> Assistant:
            opened.knowledge_base.active_engine.loaded = engine
            return opened

        yield use


def own_chain(kb: Assistant) -> Runnable[str, str]:
    def joined(documents: list[Document]) -> str:
        return "\n".join(f"{one.metadata['source']}: {one.page_content}" for one in documents)

    return (
        {"passages": kb.retriever | joined, "question": RunnablePassthrough()}
        | PromptTemplate.from_template("{passages}\n\n{question}")
        | RunnableLambda(lambda prompt: prompt.to_string().split("\n")[0])
        | FakeListLLM(responses=["15 days"])
        | StrOutputParser()
    )


def test_the_retriever_in_a_users_own_chain(kb: Assistant) -> None:
    chain = own_chain(kb)
    assert chain.invoke(QUESTION) == "15 days"
    assert chain.batch([QUESTION, OTHER]) == ["15 days"] * 2
    assert "".join(chain.stream(QUESTION)) == "15 days"

    async def asked() -> tuple[str, list[str], str]:
        streamed = [piece async for piece in chain.astream(QUESTION)]
        return await chain.ainvoke(QUESTION), await chain.abatch([QUESTION, OTHER]), "".join(streamed)

    assert asyncio.run(asked()) == ("15 days", ["15 days"] * 2, "15 days")


def test_the_retriever_finds_the_same_async(kb: Assistant) -> None:
    assert asyncio.run(kb.retriever.ainvoke(QUESTION)) == kb.retriever.invoke(QUESTION)


def test_the_chain_answers_the_same_async(kb: Assistant) -> None:
    chain = kb.chain
    first, other = chain.invoke({"query": QUESTION}), chain.invoke({"query": OTHER})
    assert first["result"] == "Staff get 15 days of annual leave. [1]"
    assert chain.batch([{"query": QUESTION}, {"query": OTHER}]) == [first, other]

    async def asked() -> tuple[Any, Any, Any]:
        streamed = [piece async for piece in chain.astream({"query": QUESTION})]
        both = await chain.abatch([{"query": QUESTION}, {"query": OTHER}])
        return await chain.ainvoke({"query": QUESTION}), both, streamed

    assert asyncio.run(asked()) == (first, [first, other], [first])


def test_the_chain_in_a_users_own_chain(kb: Assistant) -> None:
    chain = RunnableLambda(lambda words: {"query": words}) | kb.chain | itemgetter("result")
    expected = "Staff get 15 days of annual leave. [1]"
    assert chain.invoke(QUESTION) == expected
    assert asyncio.run(chain.ainvoke(QUESTION)) == expected


def test_callbacks_hear_of_passages_and_tokens_sync_and_async(with_model: Callable[[Speaker], Assistant]) -> None:
    heard: list[str] = []

    class Plain(BaseCallbackHandler):
        def on_retriever_end(self, documents: Sequence[Document], **_: Any) -> None:
            heard.append(f"{documents[0].metadata['source']} plain")

        def on_llm_new_token(self, token: str, **_: Any) -> None:
            heard.append(token)

    class Async(AsyncCallbackHandler):
        async def on_retriever_end(self, documents: Sequence[Document], **_: Any) -> None:
            heard.append(f"{documents[0].metadata['source']} async")

    chain = with_model(speaker(SAYS)).chain
    chain.invoke({"query": QUESTION}, {"callbacks": [Plain()]})
    assert heard[0] == "leave.md plain"
    assert "".join(heard[1:]) == SAYS
    heard.clear()
    result = asyncio.run(chain.ainvoke({"query": QUESTION}, {"callbacks": [Async(), Plain()]}))
    assert sorted(heard[:2]) == ["leave.md async", "leave.md plain"]
    assert "".join(heard[2:]) == SAYS
    assert result["result"] == SAYS


def test_a_cancelled_task_stops_the_model(with_model: Callable[[Speaker], Assistant]) -> None:
    endless = speaker()
    chain = with_model(endless).chain

    async def cancelled() -> bool:
        task = asyncio.create_task(chain.ainvoke({"query": QUESTION}))
        while not endless.started.is_set():
            await asyncio.sleep(0.01)
        task.cancel()
        (outcome,) = await asyncio.gather(task, return_exceptions=True)
        return isinstance(outcome, asyncio.CancelledError) and await asyncio.to_thread(endless.ended.wait, 5)

    assert asyncio.run(cancelled())


def test_a_retriever_and_a_chain_for_some_of_the_documents(kb: Assistant, folder: Path) -> None:
    (folder.parent / "more.md").write_text("# Leave\n\nVisitors get 3 days of leave.\n")
    kb.ingest(folder.parent / "more.md", collection="visitors")
    assert len(kb.as_retriever().invoke(QUESTION)) == 2
    assert [one.metadata["source"] for one in kb.as_retriever(k=1).invoke(OTHER)] == ["travel.md"]
    assert [one.metadata["source"] for one in kb.as_retriever(source="tr*").invoke(QUESTION)] == ["travel.md"]
    assert [one.metadata["source"] for one in kb.as_retriever(collection="visitors").invoke(QUESTION)] == ["more.md"]
    never = Filter(until=date(2000, 1, 1))
    assert kb.as_retriever(only=never).invoke(QUESTION) == []
    chain = kb.as_chain(k=1, collection="visitors")
    found = chain.invoke({"query": "How many days of leave do visitors get?"})
    assert found["result"] == "Visitors get 3 days of leave. [1]"
    assert kb.as_chain(source="tr*").invoke({"query": QUESTION})["refused"]


def test_no_passages_at_all_cannot_be_asked_for(kb: Assistant) -> None:
    with pytest.raises(UsageError, match="k is 0"):
        kb.as_retriever(k=0)
