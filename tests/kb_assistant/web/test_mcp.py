"""/mcp of a real `kb serve`, asked by the protocol's own client."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx
import httpx2
import pytest
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.exceptions import MCPError
from paths import SAMPLES
from serving import served

from kb_assistant import Assistant
from kb_assistant.web.auth.accounts import Accounts


def talk(address: str, conversation: Callable[[Any], Awaitable[Any]], **headers: str) -> None:
    async def connected() -> None:
        async with (
            httpx2.AsyncClient(headers=headers) as http,
            Client(streamable_http_client(f"{address}/mcp", http_client=http)) as client,
        ):
            await conversation(client)

    asyncio.run(asyncio.wait_for(connected(), 60))


def test_tools_and_resources_are_those_of_kb_mcp(address: str) -> None:
    async def conversation(client: Any) -> None:
        assert [tool.name for tool in (await client.list_tools()).tools] == ["search", "ask"]
        asked = await client.call_tool("ask", {"question": "How long is the warranty on rechargeable batteries?"})
        assert "9 months" in asked.structured_content["answer"]
        found = await client.call_tool("search", {"question": "年假有几天？", "limit": 2})
        assert [hit["rank"] for hit in found.structured_content["hits"]] == [1, 2]
        unknown = await client.call_tool("ask", {"question": "年假有几天？", "collection": "nowhere"})
        assert unknown.is_error
        assert "no collection 'nowhere'" in unknown.content[0].text
        listed = (await client.list_resources()).resources
        (travel,) = (resource for resource in listed if resource.name == "差旅报销.docx")
        (content,) = (await client.read_resource(travel.uri)).contents
        assert "| 一类城市 | 580 元 | 130 元 | 90 元 |" in content.text
        with pytest.raises(MCPError):
            await client.read_resource("kb://default/..%2F..%2Fetc%2Fpasswd")

    talk(address, conversation)


def test_another_sites_page_may_not_use_mcp(address: str) -> None:
    body = {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
    kind = {"Accept": "application/json, text/event-stream"}
    assert httpx.post(f"{address}/mcp", json=body, headers={**kind, "Origin": "http://a.example"}).status_code == 403
    assert httpx.post(f"{address}/mcp", json=body, headers={**kind, "Host": "a.example"}).status_code == 400


def test_with_accounts_mcp_needs_a_key(own_home: Path) -> None:
    with Assistant.open(own_home) as kb:
        kb.ingest(SAMPLES)
    key = Accounts(own_home).add_key("助手")

    async def conversation(client: Any) -> None:
        assert [tool.name for tool in (await client.list_tools()).tools] == ["search", "ask"]

    with served(own_home) as url:
        assert httpx.post(f"{url}/mcp", json={}).status_code == 401
        talk(url, conversation, Authorization=f"Bearer {key}")
