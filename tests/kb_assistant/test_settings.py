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


@pytest.mark.parametrize("name", Settings.model_fields)
def test_a_variable_without_the_prefix_changes_nothing(
    own_home: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    write(own_home, 'model = "mine"\nport = 7001\nhost = "::1"\ncollection = "notes"\npassages = 7')
    before = load_settings()
    monkeypatch.setenv(name.upper(), "1")
    assert load_settings() == before
    assert (before.model, before.port, before.host, before.collection) == ("mine", 7001, "::1", "notes")


@pytest.mark.parametrize("key", ["embeding_model", "EMBEDDING_MODEL"])
def test_an_unknown_key_names_the_nearest(own_home: Path, key: str) -> None:
    write(own_home, f'{key} = "builtin"')
    with pytest.raises(SettingsError, match=rf"unknown setting '{key}' in .*kb\.toml; did you mean 'embedding_model'"):
        load_settings()


def test_an_unknown_flag_names_the_nearest() -> None:
    with pytest.raises(SettingsError, match=r"^unknown setting 'pasages'; did you mean 'passages'\?$"):
        load_settings(pasages=3)


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
        ("passages = 0", r"setting passages in .*kb\.toml cannot be 0: .*greater than or equal to 1"),
        ("passages = true", r"setting passages in .*kb\.toml cannot be true: .*valid integer"),
        ('passages = "5"', r"setting passages in .*kb\.toml cannot be '5': .*valid integer"),
        ("passages = 5.0", r"setting passages in .*kb\.toml cannot be 5\.0: .*valid integer"),
        ("threads = true", r"setting threads in .*kb\.toml cannot be true: .*valid integer"),
        ("ocr = 1", r"setting ocr in .*kb\.toml cannot be 1: .*valid boolean"),
        ("temperature = false", r"setting temperature in .*kb\.toml cannot be false: .*valid number"),
        ("collection = 2024", r"setting collection in .*kb\.toml cannot be 2024: .*valid string"),
        ('engine = "gpt"', r"setting engine in .*kb\.toml cannot be 'gpt'"),
        ("passages = ", r"cannot read .*kb\.toml"),
    ],
)
def test_an_invalid_value_is_named_with_its_reason(own_home: Path, toml: str, message: str) -> None:
    write(own_home, toml)
    with pytest.raises(SettingsError, match=message) as error:
        load_settings()
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("value", ["http", "true", "", "7.5"])
def test_an_invalid_variable_is_named(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("KB_PORT", value)
    with pytest.raises(SettingsError, match=f"setting KB_PORT cannot be '{value}'"):
        load_settings()


def test_variables_are_parsed_as_their_settings_types(own_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(own_home, "temperature = 1\nocr = true")
    variables = {"KB_PORT": "7001", "KB_OCR": "false", "KB_THREADS": "3", "KB_TOP_P": "0.5", "KB_COLLECTION": "2024"}
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    settings = load_settings()
    assert (settings.port, settings.ocr, settings.threads, settings.top_p) == (7001, False, 3, 0.5)
    assert (settings.collection, settings.temperature) == ("2024", 1.0)


def test_an_invalid_flag_is_not_blamed_on_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KB_ENGINE", "auto")
    with pytest.raises(SettingsError, match=r"^setting engine cannot be 'gpt'"):
        load_settings(engine="gpt")
    with pytest.raises(SettingsError, match=r"^setting passages cannot be true"):
        load_settings(passages=True)


def test_a_flag_given_as_text_is_parsed() -> None:
    settings = load_settings(passages="7", ocr="false", refuse_below="0.5", model="7")
    assert (settings.passages, settings.ocr, settings.refuse_below, settings.model) == (7, False, 0.5, "7")


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


COMMENTED = """\
# mine

passages = 3  # few
'refuse_below' = 0.1    # low
collection = '''
refuse_below = 0.2
'''
# end
"""


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("", "refuse_below = 0.5\n"),
        ("# mine\npassages = 3", "# mine\npassages = 3\nrefuse_below = 0.5\n"),
        (COMMENTED, COMMENTED.replace("0.1", "0.5")),
        ("passages = 3\r\nrefuse_below = 0.1\r\n", "passages = 3\r\nrefuse_below = 0.5\r\n"),
    ],
)
def test_a_setting_is_saved_and_comments_and_layout_stay(own_home: Path, before: str, after: str) -> None:
    own_home.mkdir()
    (own_home / "kb.toml").write_bytes(before.encode())
    assert save_settings(own_home, refuse_below=0.5) == own_home / "kb.toml"
    assert (own_home / "kb.toml").read_bytes().decode() == after
    assert load_settings(own_home).refuse_below == 0.5


def test_text_with_unusual_line_breaks_survives_two_saves(own_home: Path) -> None:
    own_home.mkdir()
    prompt = "Be\u2028brief.\x85\r\n"
    save_settings(own_home, system_prompt=prompt)
    save_settings(own_home, passages=4)
    assert (load_settings(own_home).system_prompt, load_settings(own_home).passages) == (prompt, 4)


def test_a_broken_file_is_named_and_left_alone(own_home: Path) -> None:
    write(own_home, "passages = [")
    with pytest.raises(SettingsError, match=r"cannot write .*kb\.toml: .*; set refuse_below = 0\.5 there yourself"):
        save_settings(own_home, refuse_below=0.5)
    assert (own_home / "kb.toml").read_text(encoding="utf-8") == "passages = ["
