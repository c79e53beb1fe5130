from pathlib import Path
from typing import Any

import pytest
from paths import SAMPLES

from kb_assistant import Assistant
from kb_assistant.errors import PageImageError, SettingsError, UsageError
from kb_assistant.llms.active_engine import ActiveEngine
from kb_assistant.settings import Settings


def test_a_citation_opens_at_its_words_with_its_neighbours(tmp_path: Path) -> None:
    parts = [
        f"Part {number} says that widget {number} weighs {number * 7} grams. " + "More of it. " * 30
        for number in range(5)
    ]
    (tmp_path / "a.md").write_text(
        "# Widgets\n\n" + "\n\n".join(parts) + "\n\n# 其他\n\n别的内容。\n", encoding="utf-8"
    )
    with Assistant.open(chunk_tokens=64) as kb:
        kb.ingest(tmp_path / "a.md")
        (first, *_) = kb.ask("How much does widget 3 weigh?").citations
        opened = kb.open_passage(first)
        assert opened.text[slice(*opened.mark)] == first.quote
        assert "21 grams" in first.quote
        assert opened.heading == ("Widgets",)
        assert opened.before
        assert opened.after
        assert "别的内容" not in "".join((*opened.before, *opened.after))
        (tmp_path / "a.md").write_text("# Nothing\n\nIt is gone.\n")
        kb.ingest(tmp_path / "a.md")
        gone = kb.open_passage(first)
        assert (gone.found, gone.text, gone.drawn) == (False, first.quote, False)


def test_the_page_of_a_pdf_is_drawn_with_the_words_marked(handbook: Assistant) -> None:
    answer = handbook.ask("WT-300 气象站的防护等级是多少？")
    cited = next(one for one in answer.citations if one.source == "product-specs.pdf")
    assert handbook.open_passage(cited).drawn
    image = handbook.page_image(cited)
    assert image.png.startswith(b"\x89PNG")
    assert image.boxes


def test_only_a_pdf_is_drawn(handbook: Assistant, tmp_path: Path) -> None:
    (cited, *_) = handbook.ask("How long is the warranty on rechargeable batteries?").citations
    assert not handbook.open_passage(cited).drawn
    with pytest.raises(UsageError, match="no PDF"):
        handbook.page_image(cited)
    (tmp_path / "a.pdf").write_bytes((SAMPLES / "product-specs.pdf").read_bytes())
    with Assistant.open() as kb:
        kb.ingest(tmp_path / "a.pdf")
        (first, *_) = kb.ask("安装要求有哪些？").citations
        (tmp_path / "a.pdf").unlink()
        with pytest.raises(PageImageError, match="cannot be drawn"):
            kb.page_image(first)


def test_settings_take_effect_at_once_and_stay(own_home: Path) -> None:
    with Assistant.open(own_home) as kb:
        kb.change_settings(passages=3, max_new_tokens=99)
        assert kb.settings.passages == 3
        with pytest.raises(SettingsError):
            kb.change_settings(passages=0)
        with pytest.raises(UsageError):
            kb.change_settings(engine="ipex", model="")  # no model is set
        assert (kb.settings.engine, kb.settings.passages) == ("auto", 3)
        assert kb.engine is None
    with Assistant.open(own_home) as again:
        assert (again.settings.passages, again.settings.max_new_tokens, again.settings.engine) == (3, 99, "auto")


def test_what_a_model_is_asked_with_is_changed_while_it_is_loaded(own_home: Path, small_model_int4: Path) -> None:
    told = "只用中文回答。" * 9
    with Assistant.open(own_home, model=str(small_model_int4)) as kb:
        first = kb.engine
        kb.change_settings(passages=3)
        assert kb.engine is first
        kb.change_settings(temperature=0.5, system_prompt=told)
        assert kb.engine is not None
        assert (kb.engine.temperature, kb.engine.system_prompt) == (0.5, told)  # type: ignore[attr-defined]
        assert kb.engine.count_prompt_tokens("年假？") > first.count_prompt_tokens("年假？")  # type: ignore[union-attr]


class Overtaken:
    """A lock that somebody takes as soon as it is let go, to change the settings."""

    def __init__(self, in_use: ActiveEngine) -> None:
        self._in_use = in_use

    def __enter__(self) -> None:
        pass

    def __exit__(self, *_: object) -> None:
        self._in_use.loaded = None


def test_who_asks_for_the_engine_while_settings_change_gets_one(own_home: Path) -> None:
    in_use: Any = ActiveEngine(own_home, Settings(engine="ipex"))
    engine = in_use.loaded = object()
    in_use._loading = Overtaken(in_use)
    assert in_use.engine is engine


def test_a_setting_that_a_variable_goes_before_leaves_the_others_unwritten(
    own_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KB_PASSAGES", "5")
    with Assistant.open(own_home) as kb:
        with pytest.raises(SettingsError, match="KB_PASSAGES is set"):
            kb.change_settings(max_new_tokens=99, passages=3)
        assert (kb.settings.passages, kb.settings.max_new_tokens) == (
            5,
            Settings.model_fields["max_new_tokens"].default,
        )
        assert not (own_home / "kb.toml").exists()
        kb.change_settings(max_new_tokens=98, passages=5)  # what is in force anyway is not written
    assert (own_home / "kb.toml").read_text() == "max_new_tokens = 98\n"
