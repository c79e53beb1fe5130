"""`kb mcp` as a process of its own, asked by the protocol's own client."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from mcp import Client, StdioServerParameters
from mcp.shared.exceptions import MCPError
from paths import SAMPLES

from kb_assistant import Assistant
from kb_assistant.mcp_server import build_server


@pytest.fixture
def talk(own_home: Path) -> Callable[[Callable[[Any], Awaitable[Any]]], Any]:
    """Run a conversation with `kb mcp` over the handbook."""
    with Assistant.open(own_home) as kb:
        kb.ingest(SAMPLES)
    environment = {**os.environ, "KB_HOME": str(own_home)}
    server = StdioServerParameters(command=sys.executable, args=["-m", "kb_assistant", "mcp"], env=environment)

    def run(conversation: Callable[[Any], Awaitable[Any]]) -> Any:
        async def connected() -> Any:
            async with Client(server) as client:
                return await conversation(client)

        return asyncio.run(asyncio.wait_for(connected(), 60))

    return run


def test_tools_answer_and_search_and_resources_are_the_documents(talk: Callable[..., Any]) -> None:
    async def conversation(client: Any) -> None:
        assert [tool.name for tool in (await client.list_tools()).tools] == ["search", "ask"]
        asked = await client.call_tool("ask", {"question": "How long is the warranty on rechargeable batteries?"})
        assert "9 months" in asked.structured_content["answer"]
        assert asked.structured_content["citations"][0]["line_start"] == 55
        found = await client.call_tool("search", {"question": "年假有几天？", "limit": 2})
        assert [hit["rank"] for hit in found.structured_content["hits"]] == [1, 2]
        empty = await client.call_tool("search", {"question": " "})
        assert empty.is_error
        assert "the question is empty" in empty.content[0].text
        unknown = await client.call_tool("ask", {"question": "年假有几天？", "collection": "nowhere"})
        assert unknown.is_error
        listed = (await client.list_resources()).resources
        assert {resource.name for resource in listed} == {path.name for path in SAMPLES.iterdir()}
        (travel,) = (resource for resource in listed if resource.name == "差旅报销.docx")
        (content,) = (await client.read_resource(travel.uri)).contents
        assert "| 一类城市 | 580 元 | 130 元 | 90 元 |" in content.text
        with pytest.raises(MCPError):
            await client.read_resource("kb://default/..%2F..%2Fetc%2Fpasswd")

    talk(conversation)


def test_a_document_with_a_percent_sign_in_its_name_is_opened(tmp_path: Path) -> None:
    (tmp_path / "a%20b.md").write_text("The zebra quota is 42.\n", encoding="utf-8")

    async def conversation(kb: Assistant) -> None:
        async with Client(build_server(kb)) as client:
            (listed,) = (await client.list_resources()).resources
            (content,) = (await client.read_resource(listed.uri)).contents
            assert (listed.name, "zebra" in content.text) == ("a%20b.md", True)

    with Assistant.open(tmp_path / "home") as kb:
        kb.ingest(tmp_path / "a%20b.md")
        asyncio.run(conversation(kb))


def test_a_documents_text_is_given_once(tmp_path: Path) -> None:
    sentences = [f"第{number}条规定每年的第{number}天是假日。" for number in range(400)]
    (tmp_path / "a.txt").write_text("".join(sentences), encoding="utf-8")
    with Assistant.open(tmp_path / "home", chunk_tokens=64) as kb:
        kb.ingest(tmp_path / "a.txt")
        assert kb.sources()[0].chunks > 20
        assert kb.text("a.txt").replace("\n", "") == "".join(sentences)
