"""kb bench: every figure is of something that really ran, here on very small models."""

import pytest

from kb_assistant import Assistant
from kb_assistant.bench import EmbeddingSpeed, GenerationSpeed, LoadSpeed
from kb_assistant.bench.report import bench_text


def of(kind, found):
    return [one for one in found if isinstance(one, kind)]


def test_the_model_that_is_set_is_measured_turn_by_turn(small_model_int4):
    said = []
    with Assistant.open(model=str(small_model_int4)) as kb:
        found = list(kb.bench(prompt_tokens=(200, 900), new_tokens=8, progress=said.append))
    (load,) = of(LoadSpeed, found)
    assert (load.engine, load.convert_s) == ("ipex", None)
    assert load.load_s > 0
    assert load.peak_bytes > 100_000_000
    answers = of(GenerationSpeed, found)
    turns = [(one.turn, one.lookup) for one in answers]
    without = [(turn, False) for turn in ("first", "follow-up", "again", "copying")]
    assert turns == without * 2 + [("first", True), ("copying", True)] * 2
    for one in answers:
        assert 0 < one.new_tokens <= 8
        assert one.prefill_tokens_per_s == pytest.approx(one.prompt_tokens / one.first_token_s, rel=0.01)
    first, follow_up, again, copying = answers[4:8]
    assert (copying.new_tokens, answers[-1].new_tokens) == (8, 8)
    assert first.prompt_tokens == again.prompt_tokens == pytest.approx(900, abs=40)
    assert follow_up.prompt_tokens == pytest.approx(first.prompt_tokens + 64, abs=20)
    # Nothing of the prompt is computed again: far more than the noise of a machine.
    assert again.first_token_s < first.first_token_s / 2
    assert any(str(small_model_int4) in line for line in said)


def test_the_embedding_model_is_measured_and_the_fastest_setting_named(shared):
    with Assistant.open(embedding_model=str(shared / "models" / "potion-static-en-st")) as kb:
        found = of(EmbeddingSpeed, kb.bench())
    assert {(one.dtype, one.batch_size) for one in found} == {
        (dtype, size) for dtype in ("float32", "bfloat16") for size in (4, 8, 16, 32)
    }
    (best,) = [one for one in found if one.recommended]
    assert best.chunks_per_s == max(one.chunks_per_s for one in found)
    assert f'embedding_dtype = "{best.dtype}", embedding_batch = {best.batch_size}' in bench_text(found)


def test_what_is_recommended_can_be_set(shared):
    model = str(shared / "models" / "potion-static-en-st")
    with Assistant.open(embedding_model=model, embedding_dtype="float32", embedding_batch=4) as kb:
        exact = kb.embed(["annual leave", "meeting rooms"])
    with Assistant.open(embedding_model=model, embedding_dtype="bfloat16", embedding_batch=1) as kb:
        assert (kb.embed(["annual leave", "meeting rooms"]) * exact).sum(1).min() > 0.999


def test_without_models_there_is_one_object_on_stdout(kb):
    run = kb("bench", "--json")
    assert run.code == 0
    (only,) = run.json()
    assert (only["kind"], only["model"], only["recommended"]) == ("embedding", "builtin", True)
    assert only["chunks_per_s"] > 10
