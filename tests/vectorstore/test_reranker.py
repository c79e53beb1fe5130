"""A real cross-encoder behind the search, small and with random weights: what it says decides the order."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from small_reranker import save_reranker, scores

from vectorstore import Reranker, RerankerError, Store, find_reranker

TEXTS = [f"年假第{number}条：员工每年可以休假{number * 3}天，{'须提前申请。' * (number % 3)}" for number in range(1, 9)]
QUESTION = "员工每年可以休假多少天？"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_reranker(tmp_path_factory.mktemp("models") / "small", [*TEXTS, QUESTION])


@pytest.fixture
def filled(store: Store, source) -> Store:
    """The store with a collection of eight passages."""
    collection = store.prepare("leave")
    store.replace(collection, [source("年假.md", *TEXTS)])
    return store


def test_its_scores_are_those_of_sentence_transformers(folder: Path) -> None:
    said = Reranker(folder).scores(QUESTION, TEXTS)
    assert said == pytest.approx(scores(folder, QUESTION, TEXTS), abs=0.1), "in bfloat16, where the CPU computes in it"
    assert all(0 <= score <= 1 for score in said)
    assert max(said) - min(said) > 0.3
    assert Reranker(folder).scores(QUESTION, []) == []


def test_the_reranker_decides_the_order(filled: Store, folder: Path) -> None:
    before = filled.search("leave", QUESTION, 8)
    filled.reranker = Reranker(folder)
    after = filled.search("leave", QUESTION, 8)
    texts = [hit.text for hit in before]
    said = dict(zip(texts, filled.reranker.scores(QUESTION, texts), strict=True))
    assert [hit.text for hit in after] == sorted(texts, key=lambda text: -said[text])
    assert [hit.text for hit in after] != texts
    assert [hit.rank for hit in after] == list(range(1, 9))
    assert [hit.score for hit in after] == sorted((hit.score for hit in after), reverse=True)
    assert {hit.text: hit.coverage for hit in after} == {hit.text: hit.coverage for hit in before}


def test_it_reads_more_than_is_asked_for_and_no_more_than_the_best(
    filled: Store, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = filled.search("leave", QUESTION, 8)
    filled.reranker = Reranker(folder)
    best = filled.search("leave", QUESTION, 8)[0]
    assert filled.search("leave", QUESTION, 1)[0].text == best.text, "whatever stood first before"
    monkeypatch.setattr(Reranker, "candidates", 2)
    few = filled.search("leave", QUESTION, 8)
    assert {hit.text for hit in few[:2]} == {hit.text for hit in first[:2]}
    assert [hit.text for hit in few[2:]] == [hit.text for hit in first[2:]]


def test_one_is_found_by_name_or_path_and_none_is_none(folder: Path) -> None:
    assert find_reranker("", folder.parent) is None
    for name in ("small", str(folder)):
        found = find_reranker(name, folder.parent)
        assert found is not None
        assert found.directory == folder


def test_long_texts_are_cut(folder: Path) -> None:
    assert len(Reranker(folder).scores(QUESTION * 50, ["".join(TEXTS) * 20])) == 1


def test_what_is_no_cross_encoder_is_told(tmp_path: Path) -> None:
    with pytest.raises(RerankerError, match="no such folder"):
        Reranker(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(RerankerError, match="safetensors"):
        Reranker(tmp_path / "empty")
    other = tmp_path / "other"
    save_reranker(other, TEXTS)
    config = json.loads((other / "config.json").read_text(encoding="utf-8"))
    (other / "config.json").write_text(json.dumps({**config, "architectures": ["BertModel"]}), encoding="utf-8")
    with pytest.raises(RerankerError, match="BertModel, not a cross-encoder"):
        Reranker(other)
    (other / "config.json").write_text("{", encoding="utf-8")
    with pytest.raises(RerankerError, match=r"config\.json"):
        Reranker(other)


def test_broken_weights_and_several_scores_are_told_in_one_line(tmp_path: Path) -> None:
    broken = save_reranker(tmp_path / "broken", TEXTS)
    (broken / "model.safetensors").write_bytes(b"not weights")
    three = save_reranker(tmp_path / "three", TEXTS, labels=3)
    for folder, said in ((broken, "cannot load the reranker"), (three, "3 scores a pair")):
        with pytest.raises(RerankerError, match=said) as caught:
            Reranker(folder).load()
        assert "\n" not in str(caught.value)
