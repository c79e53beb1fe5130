import pytest

from kb_assistant.language import language_of


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("年假有几天？", "zh"),
        ("XTuner 支持哪些微调方法？", "zh"),
        ("GPU 呢？", "zh"),
        ("𠮷𡈽𠀋𠂢", "zh"),
        ("LMDeploy 的 TurboMind 是什么", "zh"),
        ("How long is the warranty?", "en"),
        ("Who is 王伟?", "en"),
        ("GPU?", "en"),
        ("2023", "en"),
        ("", "en"),
    ],
)
def test_the_language_of_a_question(text: str, language: str) -> None:
    assert language_of(text) == language
