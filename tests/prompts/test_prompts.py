from __future__ import annotations

from importlib.resources import files
from string import Formatter

import pytest

from prompts import LANGUAGES, PromptNotFoundError, load_prompt

VARIABLES = {
    "answer": {"context": "[1] 手册.md\n年假十二天。", "question": "年假几天？", "refusal": "没有。"},
    "passage": {"number": 1, "source": "手册.md", "heading": "假期 › 年假", "page_content": "年假 {十二} 天。"},
    "refusal": {},
    "other_language": {},
    "missing_codes": {"words": "A1009"},
    "no_documents": {"collection": "handbook"},
    "no_match": {"filter": "*.pdf", "count": 12},
    "no_text": {"count": 3},
}
FILES = sorted(entry.name for entry in (files("prompts") / "templates").iterdir())
NAMES = sorted({name.split(".")[0] for name in FILES})


def placeholders(template: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(template) if name is not None}


def test_every_template_is_there_in_every_language() -> None:
    assert sorted(f"{name}.{language}.txt" for name in NAMES for language in LANGUAGES) == FILES


def test_every_template_has_its_variables_here() -> None:
    assert set(VARIABLES) == set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_the_placeholders_are_the_same_in_every_language(name: str) -> None:
    assert len({frozenset(placeholders(load_prompt(name, language))) for language in LANGUAGES}) == 1


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("name", VARIABLES)
def test_a_template_is_filled_by_its_variables(name: str, language: str) -> None:
    template = load_prompt(name, language)
    assert placeholders(template) <= set(VARIABLES[name])
    filled = template.format(**VARIABLES[name])
    for variable in placeholders(template):
        assert str(VARIABLES[name][variable]) in filled
    assert not filled.endswith("\n")


@pytest.mark.parametrize("language", LANGUAGES)
def test_an_answer_is_asked_for_from_the_passages_the_question_and_the_refusal(language: str) -> None:
    assert placeholders(load_prompt("answer", language)) == {"context", "question", "refusal"}
    assert {"number", "source", "page_content"} <= placeholders(load_prompt("passage", language))


@pytest.mark.parametrize(("name", "language"), [("greeting", "zh"), ("answer", "fr")])
def test_an_unknown_name_lists_the_known_ones(name: str, language: str) -> None:
    with pytest.raises(PromptNotFoundError, match=f"no prompt {name}.{language}; there are: ") as caught:
        load_prompt(name, language)
    assert str(caught.value).split("there are: ")[1].split(", ") == [entry.removesuffix(".txt") for entry in FILES]
