"""Answers on their way from the engine's thread: a client that leaves is never missed."""

import asyncio

import pytest

from kb_assistant.web.api.answers import _Feed, last


class _Leaving:
    """A request whose client leaves at the very moment when a piece arrives."""

    def __init__(self, feed: _Feed) -> None:
        self._feed = feed

    async def is_disconnected(self) -> bool:
        self._feed.put("second ")
        await asyncio.sleep(0)
        return True


def test_a_client_that_leaves_as_a_piece_arrives_still_stops_the_engine() -> None:
    async def leave() -> bool:
        feed = _Feed()
        with pytest.raises(Exception, match="the client has gone"):
            await asyncio.wait_for(last(feed.pieces("first "), _Leaving(feed)), 5)  # type: ignore[arg-type]
        return feed.gone.is_set()

    assert asyncio.run(leave())


def test_a_timeout_of_the_engine_ends_the_answer() -> None:
    async def read() -> None:
        feed = _Feed()
        feed.put(TimeoutError("the model's server is silent"))
        async for _ in feed.pieces("first "):
            pass

    with pytest.raises(TimeoutError, match="silent"):
        asyncio.run(asyncio.wait_for(read(), 5))
