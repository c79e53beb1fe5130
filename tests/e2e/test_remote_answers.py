"""Answers from a server: by name, through the whole of kb, and what is said where they leave the machine."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from chat_server import chat_app, running
from handbook_model import SETTINGS, Lesson
from paths import SAMPLES
from serving import served

from kb_assistant import Assistant
from kb_assistant.llms.remote.engine import OpenAIEngine

ELSEWHERE = "https://api.example.com/v1"
UNRELATED = {"zh": "月球背面有多冷？", "en": "How cold is the far side of the moon?"}


@pytest.fixture(scope="module")
def server(small_model_int4: Path) -> Iterator[str]:
    from kb_assistant.llms.ipex.engine import IpexEngine

    with running(chat_app(IpexEngine.load(small_model_int4), "小模型")) as url:
        yield f"{url}/v1"


@pytest.fixture
def settings(server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {**SETTINGS, "base_url": server, "model": "小模型"}.items():
        monkeypatch.setenv(f"KB_{name.upper()}", str(value))


@pytest.mark.usefixtures("settings")
def test_a_server_on_this_machine_answers_with_citations(kb: Callable, taught: list[Lesson]) -> None:
    kb("ingest", SAMPLES)
    for lesson in (taught[0], taught[-1]):
        run = kb("ask", lesson.question.text, "--json")
        answer = run.json()
        assert (run.code, run.err, answer["engine"], answer["refused"]) == (0, "", "openai", False)
        assert lesson.gold in answer["answer"]
        assert lesson.source in {citation["source"] for citation in answer["citations"]}
        assert answer["usage"]["prompt_tokens"] > 50
        spoken = kb("ask", lesson.question.text)
        assert lesson.gold in spoken.out
        assert spoken.err == ""
    findings = {one["check"]: one for one in kb("doctor", "--json").json()}
    assert "which is on this machine" in findings["privacy"]["detail"]
    assert "openai: 小模型 is served by 127.0.0.1" in findings["engine"]["detail"]
    gone = kb("ask", taught[0].question.text, "--model", "大模型")
    assert (gone.code, "serves: 小模型" in gone.err) == (3, True)
    assert "OpenAI" not in gone.out


@pytest.mark.usefixtures("settings")
def test_no_log_holds_what_was_asked(kb_process: Callable, taught: list[Lesson]) -> None:
    kb_process("ingest", SAMPLES)
    run = kb_process("ask", taught[-1].question.text, "--debug", OPENAI_LOG="debug", KB_API_KEY="sk-very-secret")
    assert taught[-1].gold in run.out
    assert taught[-1].question.text not in run.err
    assert "sk-very-secret" not in run.out + run.err


@pytest.mark.usefixtures("settings")
def test_a_stream_that_is_closed_stops_and_the_next_answer_comes(own_home: Path, taught: list[Lesson]) -> None:
    with Assistant.open(own_home) as kb:
        kb.ingest(SAMPLES)
        stream = kb.stream(taught[0].question.text)
        next(stream)
        stream.close()  # type: ignore[attr-defined]
        assert taught[1].gold in kb.ask(taught[1].question.text).text
        assert (kb.engine_name, kb.sends_to) == ("openai", None)


@pytest.mark.parametrize("language", ["zh", "en"])
def test_it_is_said_when_questions_leave_the_machine(
    kb: Callable, monkeypatch: pytest.MonkeyPatch, language: str
) -> None:
    kb("ingest", SAMPLES)
    assert "no engine sends anything" in kb("doctor").out
    monkeypatch.setenv("KB_BASE_URL", ELSEWHERE)
    monkeypatch.setenv("KB_MODEL", "big")
    monkeypatch.setenv("KB_LANGUAGE", language)
    asked = kb("ask", UNRELATED[language])  # is refused before any model is asked
    words = {"zh": "（问题和相关段落会离开本机，发送到 api.example.com）", "en": "they are sent to api.example.com)"}
    assert words[language] in asked.err
    assert kb("ask", UNRELATED[language], "--json").err == ""
    assert "api.example.com" not in kb("ask", UNRELATED[language], "--engine", "extractive").err
    with Assistant.open() as assistant:
        assert assistant.sends_to == "api.example.com"
    with Assistant.open(engine="ipex") as assistant:
        assert assistant.sends_to is None


def test_doctor_says_where_to_and_how(own_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from kb_assistant.doctor import examine

    monkeypatch.setenv("KB_BASE_URL", "http://llm.example.com/v1")
    found = {one.check: one for one in examine(own_home)}
    assert found["privacy"].ok
    assert "LEAVE THIS MACHINE: they are sent to llm.example.com (unencrypted)" in found["privacy"].detail
    monkeypatch.setenv("KB_BASE_URL", "not an address")
    found = {one.check: one for one in examine(own_home)}
    assert not found["privacy"].ok
    assert "base_url is not a server address" in found["privacy"].detail


def test_kbs_own_server_is_such_a_server(own_home: Path) -> None:
    with Assistant.open(own_home) as kb:
        kb.ingest(SAMPLES)
    with served(own_home) as url:
        engine = OpenAIEngine(base_url=f"{url}/v1", model="kb")
        assert "is served by" in engine.ready()
        assert "9 months" in "".join(engine.stream("How long is the warranty on rechargeable batteries?"))
        assert "12 天" in engine.invoke("年假有几天？")


def test_a_server_is_only_asked_where_one_is_set(own_home: Path) -> None:
    with Assistant.open(own_home) as kb:
        assert (kb.engine_name, kb.sends_to) == ("extractive", None)
    with Assistant.open(own_home, model="some") as kb:
        assert (kb.engine_name, kb.sends_to) == ("ipex", None)
    with Assistant.open(own_home, model="some", base_url=ELSEWHERE) as kb:
        assert kb.engine_name == "openai"
