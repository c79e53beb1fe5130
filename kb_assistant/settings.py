"""The settings: flags override KB_ variables, which override kb.toml, which overrides the defaults here."""

from __future__ import annotations

import difflib
import os
import tomllib
from contextvars import ContextVar
from pathlib import Path
from typing import Any, Literal

from platformdirs import user_data_path
from pydantic import Field, TypeAdapter, ValidationError
from pydantic.fields import FieldInfo
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from kb_assistant.errors import SettingsError

__all__ = ["EngineName", "Settings", "home_folder", "load_settings", "save_settings"]

EngineName = Literal["auto", "ipex", "openvino", "openai", "extractive"]
_PREFIX = "KB_"
_NOT_SETTINGS = {"HOME", "API_KEY"}
"""KB_ variables that are not settings: a key does not belong in kb.toml, which others may read."""
_TOML_FILE: ContextVar[Path | None] = ContextVar("_TOML_FILE", default=None)
"""The kb.toml that `load_settings` is reading."""


class Settings(BaseSettings):
    """Everything that can be set; each field's description is its documentation."""

    model_config = SettingsConfigDict(
        env_prefix=_PREFIX, extra="forbid", frozen=True, strict=True, protected_namespaces=()
    )

    language: Literal["auto", "zh", "en"] = Field(
        "auto", description="language of the command line; auto: that of the locale"
    )
    collection: str = Field("default", min_length=1, description="collection to use when none is named")
    engine: EngineName = Field(
        "auto", description="auto: openai if base_url is set, else the engine the model is for, else extractive"
    )
    model: str = Field(
        "", description="language model: a folder, a GGUF file, a name under KB_HOME/models, or its name at base_url"
    )
    base_url: str = Field(
        "", description="OpenAI-compatible server that writes the answers, such as http://127.0.0.1:8000/v1"
    )
    api_key_file: str = Field("", description="file (mode 600) that holds that server's key; KB_API_KEY overrides it")
    request_timeout_s: float = Field(120, gt=0, description="seconds to wait while that server sends nothing")
    window_tokens: int = Field(8192, ge=512, description="context window of that server's model, answer included")
    adapter: str = Field(
        "", description="LoRA adapter for the language model: a folder, or a name under KB_HOME/models"
    )
    low_bit: str = Field("sym_int4", description="ipex-llm format to convert full weights to")
    trust_remote_code: bool = Field(False, description="run Python code that comes with a model")
    threads: int | None = Field(None, ge=1, description="CPU threads for the language model; unset: one for each core")
    system_prompt: str = Field(
        "", max_length=4000, description="instructions given to the language model before every question"
    )
    temperature: float = Field(
        0.0, ge=0, le=2, description="randomness of a model's answers; 0 always takes the likeliest token"
    )
    top_p: float = Field(
        0.8, gt=0, le=1, description="above temperature 0: sample from the likeliest tokens that make up this share"
    )
    prompt_lookup: bool | None = Field(
        None, description="draft tokens from the passages; unset: only where the answer stays the same"
    )
    max_new_tokens: int = Field(256, ge=1, le=8192, description="longest answer, in tokens")
    embedding_model: str = Field(
        "builtin", description="builtin, or a sentence-transformers model: a folder, or a name under KB_HOME/models"
    )
    embedding_dtype: Literal["auto", "float32", "bfloat16"] = Field(
        "auto", description="precision the embedding model computes in; auto: bfloat16 where the CPU supports it"
    )
    embedding_batch: int = Field(8, ge=1, le=1024, description="texts to embed at once")
    reranker: str = Field(
        "", description="cross-encoder that reranks the passages found: a folder, or a name under KB_HOME/models"
    )
    chunk_tokens: int = Field(256, ge=32, le=2048, description="longest chunk, in tokens")
    ocr: bool = Field(True, description="read text in images, if OCR is installed")
    max_file_mb: int = Field(200, ge=1, description="largest file to read")
    max_uploads: int = Field(500, ge=1, description="most files in an upload")
    max_upload_mb: int = Field(1_000, ge=1, description="largest upload over HTTP, all its files together")
    max_unpacked_mb: int = Field(500, ge=1, description="largest size that a compressed file may unpack to")
    max_members: int = Field(5_000, ge=1, description="most files in an archive, or attachments of a message")
    max_pages: int = Field(20_000, ge=1, description="most pages, slides or sheets in a file")
    max_characters: int = Field(30_000_000, ge=1, description="longest text of a file")
    max_cells: int = Field(2_000_000, ge=1, description="most table cells in a file, empty cells included")
    max_seconds: float = Field(300, gt=0, description="longest time to read a file, or one page of it")
    max_memory_mb: int = Field(1_000, ge=100, description="most memory for reading a file")
    passages: int = Field(5, ge=1, le=50, description="most passages to answer from")
    context_tokens: int | None = Field(
        None, ge=100, le=100_000, description="tokens of passages to give a model; unset: what suits the machine"
    )
    refuse_below: float = Field(
        0.25, ge=0, le=1, description="refuse to answer if the passages' relevance (0 to 1, calibrated) is lower"
    )
    host: str = Field("127.0.0.1", description="address that kb serve listens on")
    server_names: str = Field("", description="further names that browsers may call kb serve by, separated by commas")
    session_hours: float = Field(12, gt=0, description="how long a login to kb serve lasts")
    port: int = Field(7860, ge=0, le=65535, description="port that kb serve listens on")

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Return where settings come from, the strongest source first."""
        return init_settings, _Environment(settings_cls), _KbToml(settings_cls, _TOML_FILE.get())


class _KbToml(TomlConfigSettingsSource):
    """kb.toml of a home folder; every key must be the exact name of a setting."""

    def _read_file(self, file_path: Any) -> dict[str, Any]:
        # Editors on Windows begin a file with a byte order mark, which tomllib refuses.
        values = tomllib.loads(file_path.read_text(encoding="utf-8-sig"))
        for key in values:
            if key not in Settings.model_fields:
                raise SettingsError(f"unknown setting {key!r} in {file_path}; did you mean {_nearest(key)!r}?")
        return values


class _Environment(EnvSettingsSource):
    """KB_ variables, each parsed as the type of its setting."""

    def prepare_field_value(self, field_name: str, field: FieldInfo, value: Any, value_is_complex: bool) -> Any:
        return _parse(field, value)


def home_folder(home: Path | str | None = None) -> Path:
    """Return the folder that holds everything: `home`, else KB_HOME, else the platform's user data folder."""
    chosen = home or os.environ.get("KB_HOME") or user_data_path("kb-assistant", appauthor=False)
    return Path(chosen).expanduser().absolute()


def load_settings(home: Path | None = None, **flags: Any) -> Settings:
    """Return the settings in force for a home folder.

    Args:
        home: the home folder; None for the one that `home_folder` names.
        flags: settings that override all others; None means not given, and text is parsed as a variable's is.

    Raises:
        SettingsError: a key is unknown (the message names the nearest known one), a value is
            invalid, or kb.toml cannot be read.
    """
    _reject_misspelt_variables()
    fields = Settings.model_fields
    given = {key: _parse(fields.get(key), value) for key, value in flags.items() if value is not None}
    toml = home_folder(home) / "kb.toml"
    current = _TOML_FILE.set(toml)
    try:
        return Settings(**given)
    except ValidationError as error:
        raise SettingsError(_explain(error, toml, given)) from error
    except (OSError, ValueError) as error:
        raise SettingsError(f"cannot read {toml}: {error}; correct it or move it away") from error
    finally:
        _TOML_FILE.reset(current)


def save_settings(home: Path, **values: float | str) -> Path:
    """Write settings to the home folder's kb.toml, keep its comments and layout, and return the file.

    Raises:
        SettingsError: the file cannot be written, or a KB_ variable would override one of the values; nothing is
            written then.
    """
    import tomlkit

    for variable in (f"{_PREFIX}{name.upper()}" for name in values):
        if variable in os.environ:
            raise SettingsError(f"{variable} is set and overrides kb.toml; unset it, then change the setting again")
    toml = (home / "kb.toml").resolve()
    try:
        text = toml.read_bytes().decode("utf-8-sig") if toml.exists() else ""
        document = tomlkit.parse(text)
        document.update(values)
        new = toml.with_name("kb.toml.new")
        with new.open("wb") as stream:  # bytes: the line ends stay as they are
            stream.write(tomlkit.dumps(document).encode())
            stream.flush()
            os.fsync(stream.fileno())
        new.replace(toml)
    except (OSError, ValueError) as error:
        lines = tomlkit.dumps(values).strip().replace("\n", ", ")
        raise SettingsError(f"cannot write {toml}: {error}; set {lines} there yourself") from error
    return toml


def _parse(field: FieldInfo | None, value: Any) -> Any:
    """Text as a value of the field's type; text that is none stays, for the validation to refuse by name."""
    if field is None or field.annotation is None or not isinstance(value, str):
        return value
    try:
        return TypeAdapter[Any](field.annotation).validate_python(value)
    except ValidationError:
        return value


def _explain(error: ValidationError, toml: Path, given: dict[str, Any]) -> str:
    first = error.errors()[0]
    key, reason = str(first["loc"][0]), first["msg"].lower()
    if first["type"] == "extra_forbidden":
        return f"unknown setting {key!r}; did you mean {_nearest(key)!r}?"
    value = str(first["input"]).lower() if isinstance(first["input"], bool) else repr(first["input"])
    variable = f"{_PREFIX}{key.upper()}"
    if key in given:
        return f"setting {key} cannot be {value}: {reason}"
    if variable in map(str.upper, os.environ):
        return f"setting {variable} cannot be {value}: {reason}"
    return f"setting {key} in {toml} cannot be {value}: {reason}"


def _reject_misspelt_variables() -> None:
    """Refuse KB_ variables that nearly name a setting; all others may belong to other programs."""
    known = [name.upper() for name in Settings.model_fields] + sorted(_NOT_SETTINGS)
    for variable in sorted(os.environ):
        name = variable.removeprefix(_PREFIX).upper()
        if not variable.startswith(_PREFIX) or name in known:
            continue
        near = difflib.get_close_matches(name, known, n=1, cutoff=0.75)
        if near:
            raise SettingsError(f"unknown setting {variable} in the environment; did you mean {_PREFIX}{near[0]}?")


def _nearest(key: str) -> str:
    return difflib.get_close_matches(key.lower(), Settings.model_fields, n=1, cutoff=0.0)[0]
