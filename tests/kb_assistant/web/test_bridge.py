"""Items on their way from a thread to the event loop."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable

import pytest

from kb_assistant.web.bridge import Bridge
from kb_assistant.web.running_answers import RunningAnswers


def test_every_item_arrives_in_order_and_then_the_end() -> None:
    async def read() -> list[int]:
        bridge = Bridge[int]()
        bridge.start(lambda send: [send(number) for number in range(1000)] and None, RunningAnswers(), "numbers")
        items: list[int] = []
        while (arrived := await bridge.read(10)) is not None:
            items += arrived
        assert await bridge.read(10) is None
        return items

    assert asyncio.run(read()) == list(range(1000))


def test_silence_is_an_empty_list() -> None:
    async def read() -> None:
        bridge, release = Bridge[str](), threading.Event()

        def produce(send: Callable[[str], None]) -> None:
            release.wait(20)
            send("late")

        bridge.start(produce, RunningAnswers(), "silent")
        assert await bridge.read(0.05) == []
        release.set()
        assert await bridge.read(10) == ["late"]
        assert await bridge.read(10) is None

    asyncio.run(read())


def test_an_error_of_the_thread_is_raised_after_its_items() -> None:
    async def read() -> None:
        bridge = Bridge[str]()

        def produce(send: Callable[[str], None]) -> None:
            send("first")
            raise TimeoutError("the model's server is silent")

        answers = RunningAnswers()
        bridge.start(produce, answers, "failing")
        assert answers.close()  # the thread has ended
        assert await bridge.read(5) == ["first"]
        with pytest.raises(TimeoutError, match="silent"):
            await bridge.read(5)

    asyncio.run(read())


def test_a_reader_that_is_cancelled_as_an_item_arrives_is_cancelled() -> None:
    async def read() -> bool:
        bridge = Bridge[str]()
        reader = asyncio.ensure_future(bridge.read(60))
        await asyncio.sleep(0)
        bridge.send("item")
        reader.cancel()
        await asyncio.wait({reader}, timeout=5)
        return reader.cancelled()

    assert asyncio.run(read())
