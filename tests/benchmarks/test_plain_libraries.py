"""The comparison with the plain libraries, on a very small model."""

from pathlib import Path

import pytest
from plain_libraries import compare
from shapes import SHAPES, make_shape

from kb_assistant.bench import GenerationSpeed, LoadSpeed
from kb_assistant.bench.report import bench_text
from kb_assistant.errors import ModelError, UsageError
from kb_assistant.settings import Settings


def test_a_shape_is_measured_with_every_engine_and_beside_the_plain_libraries(
    shared: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(SHAPES, "tiny", (256, 768, 2, 4, 2, 151936, True))
    tokenizer = shared / "models" / "qwen2-tokenizer"
    found = list(compare("tiny", tokenizer, Settings(), (64,), new_tokens=8, progress=lambda message: None))
    loads = [one for one in found if isinstance(one, LoadSpeed)]
    engines = [one.engine for one in loads]
    assert engines == ["ipex", "openvino", "plain ipex-llm", "plain transformers"]
    for engine in engines:
        first = next(one for one in found if isinstance(one, GenerationSpeed) and one.engine == engine)
        assert first.new_tokens == 8
        assert first.decode_tokens_per_s > 0
        assert first.prompt_tokens == pytest.approx(64, abs=30)
    assert [one.convert_s is not None for one in loads] == [True, True, False, False]
    text = bench_text(found)
    assert all(engine in text for engine in engines)


def test_an_unknown_shape_and_a_missing_tokenizer(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="unknown shape 'qwen9'; there are: qwen2-0"):
        make_shape("qwen9", tmp_path, tmp_path / "new")
    with pytest.raises(ModelError, match="give the folder of a tokenizer"):
        make_shape("qwen2-0.5b", tmp_path, tmp_path / "new")
    assert not (tmp_path / "new").exists()
