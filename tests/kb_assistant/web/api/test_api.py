"""The HTTP API of `kb serve`, with the clients that people use."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import openai
import pytest
import schemathesis
from hypothesis import given, settings
from schemathesis.specs.openapi.checks import positive_data_acceptance

CHAT = "/v1/chat/completions"
WARRANTY = "How long is the warranty on rechargeable batteries?"


@pytest.fixture
def client(address: str) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{address}/v1", api_key="unused", max_retries=0)


def events(response: httpx.Response) -> list[tuple[str, Any]]:
    """The (name, value) pairs of a stream of server-sent events."""
    blocks = [block.split("\n") for block in response.text.strip().split("\n\n")]
    return [(name.removeprefix("event: "), json.loads(data.removeprefix("data: "))) for name, data in blocks]


def chat(client: openai.OpenAI, *questions: str, model: str = "kb", **options: Any) -> Any:
    messages = [{"role": "user", "content": question} for question in questions]
    return client.chat.completions.create(model=model, messages=messages, **options)  # type: ignore[call-overload]


def test_the_models_are_the_collections(client: openai.OpenAI) -> None:
    assert [model.id for model in client.models.list()] == ["kb", "kb/default", "kb/other"]


def test_a_chat_is_answered_with_citations(client: openai.OpenAI) -> None:
    done = chat(client, WARRANTY)
    assert "9 months" in done.choices[0].message.content
    assert "[1] warranty-returns.html:55" in done.choices[0].message.content
    assert done.choices[0].finish_reason == "stop"
    assert done.citations[0]["source"] == "warranty-returns.html"
    assert done.citations[0]["quote"] == "| Rechargeable batteries | 9 months | replacement |"
    assert done.refused is False


def test_a_stream_has_the_same_answer(client: openai.OpenAI) -> None:
    whole = chat(client, "去一类城市出差，酒店每晚最多可以报多少钱？")
    *chunks, last, usage = chat(
        client,
        "去一类城市出差，酒店每晚最多可以报多少钱？",
        stream=True,
        stream_options={"include_usage": True},
    )
    assert "".join(chunk.choices[0].delta.content for chunk in chunks) == whole.choices[0].message.content
    assert "580 元" in whole.choices[0].message.content
    assert last.choices[0].finish_reason == "stop"
    assert last.citations == whole.citations
    assert usage.usage.total_tokens == 0


def test_a_question_without_an_answer_is_refused(client: openai.OpenAI) -> None:
    done = chat(client, "公司班车早上几点从地铁站发车？")
    assert done.refused is True
    assert done.choices[0].message.content.startswith("这些文档里没有这个问题的答案。")


def test_a_model_is_a_collection(client: openai.OpenAI) -> None:
    assert "42" in chat(client, "What is the zebra quota?", model="kb/other").choices[0].message.content
    assert chat(client, "What is the zebra quota?").refused is True


def test_the_conversation_is_understood(client: openai.OpenAI) -> None:
    done = chat(client, WARRANTY, "And on headsets?")
    assert "warranty-returns.html" in {citation["source"] for citation in done.citations}


def test_parts_of_text_are_read(client: openai.OpenAI) -> None:
    parts = [{"type": "text", "text": WARRANTY}]
    done = client.chat.completions.create(model="kb", messages=[{"role": "user", "content": parts}])  # type: ignore[call-overload]
    assert "9 months" in done.choices[0].message.content


@pytest.mark.parametrize("model", ["gpt-4o", "kb/nowhere"])
def test_an_unknown_model_is_named(client: openai.OpenAI, model: str) -> None:
    with pytest.raises(openai.NotFoundError, match=model.removeprefix("kb/")):
        chat(client, WARRANTY, model=model)


def test_questions_that_are_refused(client: openai.OpenAI) -> None:
    with pytest.raises(openai.BadRequestError, match="empty"):
        chat(client, "  ")
    with pytest.raises(openai.BadRequestError, match="10,000"):
        chat(client, "a" * 10_001)
    with pytest.raises(openai.UnprocessableEntityError, match="messages"):
        chat(client)
    with pytest.raises(openai.BadRequestError, match="must have the role user"):
        client.chat.completions.create(model="kb", messages=[{"role": "assistant", "content": "hello"}])


@pytest.mark.parametrize("form", ["float", "base64"])
def test_embeddings_are_unit_vectors(client: openai.OpenAI, form: Any) -> None:
    made = client.embeddings.create(model="kb", input=["年假有几天？", "leave"], encoding_format=form)
    if form == "float":
        assert [sum(value * value for value in one.embedding) for one in made.data] == pytest.approx([1, 1], abs=1e-5)
    plain = client.embeddings.create(model="kb", input="leave")  # asks for base64 beneath, and decodes it
    again = client.embeddings.create(model="kb", input="leave", encoding_format="float")
    assert plain.data[0].embedding == pytest.approx(again.data[0].embedding)


def test_search_gives_what_the_command_line_gives(address: str) -> None:
    found = httpx.get(f"{address}/api/search", params={"q": WARRANTY, "k": 3}).json()
    assert set(found) == {"query", "hits"}
    assert len(found["hits"]) == 3
    assert found["hits"][0]["source"] == "warranty-returns.html"
    assert found["hits"][0]["rank"] == 1


def test_ask_sends_the_passages_first_and_the_answer_last(address: str) -> None:
    told = events(httpx.post(f"{address}/api/ask", json={"question": WARRANTY}))
    names = [name for name, _ in told]
    assert names[0] == "passages"
    assert set(names[1:-1]) == {"token"}
    assert names[-1] == "answer"
    assert told[0][1][0]["source"] == "warranty-returns.html"
    assert "".join(value for name, value in told if name == "token") == told[-1][1]["answer"]


def test_documents_are_listed_without_their_folders(address: str) -> None:
    listed = httpx.get(f"{address}/api/sources").json()
    assert len(listed) == 10
    assert {one["status"] for one in listed} == {"ready"}
    assert "path" not in listed[0]
    assert httpx.get(f"{address}/api/sources", params={"collection": "no"}).status_code == 404
    assert [one["collection"] for one in httpx.get(f"{address}/api/collections").json()] == ["default", "other"]


def test_twenty_clients_get_their_own_answers(address: str) -> None:
    questions = [(WARRANTY, "9 months"), ("去一类城市出差，酒店每晚最多可以报多少钱？", "580")] * 10
    with ThreadPoolExecutor(20) as pool:
        replies = pool.map(
            lambda asked: httpx.post(f"{address}/api/ask", json={"question": asked[0]}, timeout=60), questions
        )
    assert all(held in events(reply)[-1][1]["answer"] for reply, (_, held) in zip(replies, questions, strict=True))


def test_another_sites_page_may_not_ask(address: str) -> None:
    foreign = {"Origin": "http://site.example"}
    assert httpx.post(f"{address}/api/ask", json={"question": WARRANTY}, headers=foreign).status_code == 403
    assert "access-control-allow-origin" not in httpx.get(f"{address}/api/sources", headers=foreign).headers
    assert httpx.get(f"{address}/healthz", headers={"Host": "site.example"}).status_code == 400
    assert httpx.get(f"{address}/healthz").json() == {"status": "ok"}


def test_errors_that_no_route_raises_have_the_same_form(address: str) -> None:
    json_type = {"Content-Type": "application/json"}
    reply = httpx.post(f"{address}/api/ask", content=b'{"question": "\xff"}', headers=json_type)
    assert (reply.status_code, reply.json()["error"]["message"]) == (400, "the body cannot be read; send JSON in UTF-8")
    for method, path in (("GET", "/api/nowhere"), ("POST", "/v1/nowhere"), ("DELETE", "/v1/models")):
        reply = httpx.request(method, f"{address}{path}")
        assert (reply.status_code, reply.json()["error"]["code"]) == (404, "not_found")


WRONG = [
    ("GET", "/api/search?q=leave&k=0", None, "k: must be at least 1", "k"),
    ("GET", "/api/search?q=leave&k=101", None, "k: must be at most 100", "k"),
    ("GET", "/api/search?q=leave&k=five", None, "k: must be a whole number", "k"),
    ("GET", "/api/search?q=leave&limit=5", None, "limit: unknown parameter", "limit"),
    ("GET", "/api/search", None, "q: missing", "q"),
    ("GET", "/api/search?q=", None, "q: must not be empty", "q"),
    ("GET", "/api/sources?colection=other", None, "colection: unknown parameter", "colection"),
    ("DELETE", "/api/sources/on-call.md?colection=other", None, "colection: unknown parameter", "colection"),
    ("POST", "/api/ask", {"question": "leave?", "k": 5}, "k: unknown parameter", "k"),
    ("POST", "/api/ask", {"question": 5}, "question: must be text", "question"),
    ("POST", "/api/ask", {"question": "x", "history": "y"}, "history: must be a list", "history"),
    ("POST", "/api/ask", {"question": "x" * 10_001}, "question: must have at most 10000 characters", "question"),
    ("POST", "/api/ask", [], "the body must be a JSON object", None),
    ("POST", "/api/ask", None, "the body must be a JSON object", None),
    ("POST", "/api/ingest", {"delete_missing": "perhaps"}, "delete_missing: must be true or false", "delete_missing"),
    ("POST", "/v1/embeddings", {"model": "kb", "input": 3}, "input: must be text", "input"),
    (
        "POST",
        "/v1/chat/completions",
        {"model": "kb", "messages": [{"role": "boss", "content": "x"}]},
        "messages.0.role: must be 'system', 'developer', 'user' or 'assistant'",
        "messages.0.role",
    ),
]


@pytest.mark.parametrize(("method", "path", "body", "message", "parameter"), WRONG)
def test_a_wrong_parameter_is_a_plain_error(
    address: str, method: str, path: str, body: Any, message: str, parameter: str | None
) -> None:
    reply = httpx.request(method, address + path, **({} if body is None else {"json": body}))
    expected = {"message": message, "type": "invalid_request_error", "param": parameter, "code": "invalid_request"}
    assert (reply.status_code, reply.json()) == (422, {"error": expected})


def test_a_body_that_is_no_json_is_a_plain_error(address: str) -> None:
    reply = httpx.post(f"{address}/api/ask", content=b"{question", headers={"Content-Type": "application/json"})
    assert reply.status_code == 422
    assert reply.json()["error"]["message"].startswith("the body is not JSON: ")


def test_the_description_is_true(address: str) -> None:
    schema = schemathesis.openapi.from_url(f"{address}/api/openapi.json")
    operations = [operation.ok() for operation in schema.get_all_operations()]
    assert len(operations) == 13
    unsaid = [positive_data_acceptance]  # that the last message is a question, of bounded length
    for operation in operations:
        hold_to(operation, excluded=unsaid if operation.path == CHAT else [])


def hold_to(operation: Any, excluded: list[Any]) -> None:
    """Ask in all the ways that the description allows, and in some that it does not."""

    @given(case=operation.as_strategy())
    @settings(max_examples=20, deadline=None, derandomize=True)
    def holds(case: schemathesis.Case) -> None:
        case.call_and_validate(excluded_checks=excluded)

    holds()
