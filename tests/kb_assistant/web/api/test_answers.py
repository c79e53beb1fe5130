"""A client that disconnects stops the engine, at whatever moment."""

import asyncio

import pytest

from kb_assistant.errors import UsageError
from kb_assistant.web.api.answers import AnswerPiece, final_answer, pieces_of
from kb_assistant.web.bridge import Bridge


class _Leaving:
    """A request whose client leaves at the very moment that a piece arrives."""

    def __init__(self, bridge: Bridge[AnswerPiece]) -> None:
        self._bridge = bridge

    async def is_disconnected(self) -> bool:
        self._bridge.send("second ")
        await asyncio.sleep(0)
        return True


def test_a_client_that_leaves_as_a_piece_arrives_still_stops_the_engine() -> None:
    async def leave() -> bool:
        bridge = Bridge[AnswerPiece]()
        with pytest.raises(UsageError, match="the client has disconnected"):
            await asyncio.wait_for(final_answer(pieces_of(bridge, ["first "]), _Leaving(bridge)), 5)  # type: ignore[arg-type]
        return bridge.stop.is_set()

    assert asyncio.run(leave())
