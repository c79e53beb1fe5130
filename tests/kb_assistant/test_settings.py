from pathlib import Path

import pytest

from kb_assistant.errors import SettingsError
from kb_assistant.settings import Settings, home_folder, load_settings, save_settings


def write(home: Path, toml: str) -> None:
    home.mkdir(exist_ok=True)
    (home / "kb.toml").write_text(toml, encoding="utf-8")


def test_defaults() -> None:
    settings = load_settings()
    assert (settings.engine, settings.collection, settings.embedding_model) == ("auto", "default", "builtin")
    assert settings.host == "127.0.0.1"


def test_flags_beat_the_environment_which_beats_the_file(own_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(own_home, "passages = 7\nport = 7001\nmax_new_tokens = 70")
    monkeypatch.setenv("KB_PORT", "7002")
    monkeypatch.setenv("KB_MAX_NEW_TOKENS", "71")
    settings = load_settings(max_new_tokens=72, passages=None)
    assert (settings.passages, settings.port, settings.max_new_tokens) == (7, 7002, 72)


def test_a_misspelt_key_names_the_nearest(own_home: Path) -> None:
    write(own_home, 'embeding_model = "builtin"')
    with pytest.raises(SettingsError, match=r"unknown setting 'embeding_model' .*kb\.toml.*'embedding_model'"):
        load_settings()


def test_a_misspelt_variable_names_the_nearest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KB_ENGIN", "extractive")
    with pytest.raises(SettingsError, match="KB_ENGIN in the environment; did you mean KB_ENGINE"):
        load_settings()


def test_a_variable_of_another_program_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KB_LAYOUT_SWITCHER", "us,ru")
    assert load_settings().engine == "auto"


@pytest.mark.parametrize(
    ("toml", "message"),
    [
        ("passages = 0", "setting passages .* cannot be 0: .*greater than or equal to 1"),
        ('engine = "gpt"', "setting engine .* cannot be 'gpt'"),
        ("passages = ", r"cannot read .*kb\.toml"),
    ],
)
def test_a_value_that_does_not_hold_is_named(own_home: Path, toml: str, message: str) -> None:
    write(own_home, toml)
    with pytest.raises(SettingsError, match=message) as error:
        load_settings()
    assert "\n" not in str(error.value)


def test_a_bad_variable_is_named_as_such(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KB_PORT", "http")
    with pytest.raises(SettingsError, match="setting KB_PORT cannot be 'http'"):
        load_settings()


def test_a_bad_flag_is_not_blamed_on_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KB_ENGINE", "auto")
    with pytest.raises(SettingsError, match=r"setting engine \(flag or"):
        load_settings(engine="gpt")


def test_a_file_with_a_byte_order_mark(own_home: Path) -> None:
    write(own_home, "\ufeffpassages = 4")
    assert load_settings().passages == 4


def test_a_home_given_beats_the_variable(own_home: Path, tmp_path: Path) -> None:
    write(tmp_path / "other", "passages = 3")
    assert home_folder() == own_home
    assert load_settings(tmp_path / "other").passages == 3
    assert load_settings().passages == Settings.model_fields["passages"].default


def test_every_setting_is_described() -> None:
    assert all(field.description for field in Settings.model_fields.values())


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("", "refuse_below = 0.5\n"),
        ("# mine\npassages = 3", "refuse_below = 0.5\n# mine\npassages = 3\n"),
        ("passages = 3\n'refuse_below' = 0.1  # low\n# end\n", "passages = 3\nrefuse_below = 0.5\n# end\n"),
    ],
)
def test_a_setting_is_saved_and_the_rest_stays(own_home: Path, before: str, after: str) -> None:
    own_home.mkdir()
    (own_home / "kb.toml").write_text(before, encoding="utf-8")
    assert save_settings(own_home, refuse_below=0.5) == own_home / "kb.toml"
    assert (own_home / "kb.toml").read_text(encoding="utf-8") == after
    assert load_settings(own_home).refuse_below == 0.5


def test_a_text_with_line_ends_that_are_none_in_toml_is_saved_over_again(own_home: Path) -> None:
    own_home.mkdir()
    prompt = "Be\u2028brief.\x85\r\n"
    save_settings(own_home, system_prompt=prompt)
    save_settings(own_home, passages=4)
    assert (load_settings(own_home).system_prompt, load_settings(own_home).passages) == (prompt, 4)


def test_what_cannot_be_saved_is_told_and_nothing_changed(own_home: Path) -> None:
    own_home.mkdir()
    for text in ("passages = [", 'collection = """\nrefuse_below = 0.1\n"""\n'):
        (own_home / "kb.toml").write_text(text, encoding="utf-8")
        with pytest.raises(SettingsError, match="refuse_below"):
            save_settings(own_home, refuse_below=0.5)
        assert (own_home / "kb.toml").read_text(encoding="utf-8") == text
