"""Retrieval, the real prompt, a real model in int4 through ipex-llm, a streamed and cited answer: nothing mocked."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from handbook_model import SETTINGS, Lesson
from paths import SAMPLES

from kb_assistant import Answer, Assistant


@pytest.fixture(scope="module")
def assistant(small_model_int4: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Assistant]:
    with Assistant.open(tmp_path_factory.mktemp("home"), model=str(small_model_int4), **SETTINGS) as kb:
        kb.ingest(SAMPLES)
        yield kb


def test_it_has_learned_chinese_and_english(taught: list[Lesson]) -> None:
    assert [lesson.question.language for lesson in taught] == ["zh"] * 4 + ["en"] * 4


def test_every_question_is_answered_in_the_right_words_with_its_citation(
    assistant: Assistant, taught: list[Lesson]
) -> None:
    for lesson in taught:
        answer = assistant.ask(lesson.question.text)
        assert answer.engine == "ipex"
        assert not answer.refused
        assert lesson.gold in answer.text
        cited = [citation for citation in answer.citations if lesson.gold in citation.quote]
        assert lesson.source in {citation.source for citation in cited}
        assert answer.usage.prompt_tokens > 50
        assert answer.usage.completion_tokens > 5


def test_the_answer_is_streamed_in_pieces_and_holds_no_prompt(assistant: Assistant, taught: list[Lesson]) -> None:
    *pieces, answer = assistant.stream(taught[0].question.text)
    assert isinstance(answer, Answer)
    texts = [piece for piece in pieces if isinstance(piece, str)]
    assert len(texts) > 3
    assert answer.timing.first_token_s < answer.timing.total_s
    assert "".join(texts).split("[")[0].strip() == answer.text.split("[")[0].strip()
    assert "<|im_" not in "".join(texts)
    assert taught[0].question.text not in "".join(texts)


def test_a_stream_that_is_closed_stops_the_model(assistant: Assistant, taught: list[Lesson]) -> None:
    import threading

    stream = assistant.stream(taught[0].question.text)
    next(stream)
    stream.close()  # type: ignore[attr-defined]
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("kb-")]
    assert taught[1].gold in assistant.ask(taught[1].question.text).text


def test_an_unrelated_question_is_refused_without_asking_the_model(assistant: Assistant) -> None:
    answer = assistant.ask("How cold is the far side of the moon?")
    assert (answer.refused, answer.usage.prompt_tokens) == (True, 0)


def test_the_command_line_with_a_model(kb_process: Callable, small_model_int4: Path, taught: list[Lesson]) -> None:
    lesson = taught[-1]
    settings = {f"KB_{name.upper()}": str(value) for name, value in SETTINGS.items()}
    kb_process("ingest", SAMPLES, **settings)
    run = kb_process("ask", lesson.question.text, "--model", small_model_int4, "--json", **settings)
    assert (run.code, run.err) == (0, "")
    assert run.json()["engine"] == "ipex"
    assert lesson.gold in run.json()["answer"]
    spoken = kb_process("ask", lesson.question.text, "--model", small_model_int4, **settings)
    assert lesson.gold in spoken.out
    assert f"{lesson.source}:" in spoken.out
    assert "no language model" not in spoken.err


@pytest.mark.parametrize("kind", ["small_model_gguf", "small_model_openvino"])
def test_the_command_line_with_openvino(
    kb_process: Callable, request: pytest.FixtureRequest, kind: str, taught: list[Lesson]
) -> None:
    settings = {f"KB_{name.upper()}": str(value) for name, value in SETTINGS.items()}
    kb_process("ingest", SAMPLES, **settings)
    for lesson in (taught[0], taught[-1]):
        model = request.getfixturevalue(kind)
        run = kb_process("ask", lesson.question.text, "--engine", "openvino", "--model", model, "--json", **settings)
        assert (run.code, run.err) == (0, "")
        answer = run.json()
        assert (answer["engine"], answer["refused"]) == ("openvino", False)
        assert lesson.gold in answer["answer"]
        cited = [one["source"] for one in answer["citations"] if lesson.gold in one["quote"]]
        assert lesson.source in cited


def test_the_full_weights_answer_as_well(small_model: Path, assistant: Assistant, taught: list[Lesson]) -> None:
    with Assistant.open(assistant.home, model=str(small_model), **SETTINGS) as kb:
        assert taught[0].gold in kb.ask(taught[0].question.text).text


def test_the_model_is_a_langchain_llm_in_a_retrieval_qa_chain(assistant: Assistant, taught: list[Lesson]) -> None:
    from langchain_core.language_models.llms import LLM

    assert isinstance(assistant.engine, LLM)
    result = assistant.chain.invoke({"query": taught[0].question.text})
    assert taught[0].gold in result["result"]
    assert result["source_documents"]
