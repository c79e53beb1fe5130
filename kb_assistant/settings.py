"""Settings: flags, then KB_ variables, then kb.toml, then the defaults here."""

from __future__ import annotations

import difflib
import json
import os
import re
import tomllib
from pathlib import Path
from typing import Any, Literal

from platformdirs import user_data_path
from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from kb_assistant.errors import SettingsError

__all__ = ["EngineName", "Settings", "home_folder", "load_settings", "save_settings"]

EngineName = Literal["auto", "ipex", "openvino", "openai", "extractive"]
_PREFIX = "KB_"
_NOT_SETTINGS = {"HOME", "API_KEY"}
"""Variables of ours that are no settings; a key must not stand in kb.toml, which others may read."""


class Settings(BaseSettings):
    """Everything that can be set; each field's description is its documentation."""

    model_config = SettingsConfigDict(env_prefix=_PREFIX, extra="forbid", frozen=True, protected_namespaces=())

    collection: str = Field("default", min_length=1, description="collection to use where none is named")
    engine: EngineName = Field(
        "auto", description="auto: openai if base_url is set, else the one that the model is for, else extractive"
    )
    model: str = Field(
        "", description="folder or GGUF file of the language model, its name under KB_HOME/models, or at base_url"
    )
    base_url: str = Field(
        "", description="OpenAI-compatible server that is to answer, such as http://127.0.0.1:8000/v1"
    )
    api_key_file: str = Field("", description="file of mode 600 with that server's key; KB_API_KEY goes before it")
    request_timeout_s: float = Field(120, gt=0, description="longest silence of that server")
    window_tokens: int = Field(8192, ge=512, description="tokens that its model reads at once, answer included")
    adapter: str = Field("", description="folder of a LoRA adapter for the language model, or its name there")
    low_bit: str = Field("sym_int4", description="ipex-llm format that full weights are converted to")
    trust_remote_code: bool = Field(False, description="let a model folder run its own Python code")
    threads: int | None = Field(None, ge=1, description="threads of the language model; unset: all cores")
    system_prompt: str = Field("", max_length=4000, description="what a language model is told before every question")
    temperature: float = Field(0.0, ge=0, le=2, description="0: always the likeliest words; above: drawn by chance")
    top_p: float = Field(0.8, gt=0, le=1, description="share of the likeliest words drawn from above temperature 0")
    prompt_lookup: bool | None = Field(
        None, description="try what the passages say next, several words a step; unset: where the answer stays the same"
    )
    max_new_tokens: int = Field(256, ge=1, le=8192, description="longest answer, in tokens")
    embedding_model: str = Field("builtin", description="builtin, a sentence-transformers folder, or its name")
    embedding_dtype: Literal["auto", "float32", "bfloat16"] = Field(
        "auto", description="what the embedding model computes in; auto: bfloat16 where the CPU does"
    )
    embedding_batch: int = Field(8, ge=1, le=1024, description="texts that the embedding model takes at once")
    reranker: str = Field("", description="folder of a cross-encoder that reranks what is found, or its name")
    chunk_tokens: int = Field(256, ge=32, le=2048, description="longest chunk, in tokens")
    ocr: bool = Field(True, description="read pictures of text, where OCR is installed")
    max_file_mb: int = Field(200, ge=1, description="largest file that is read")
    max_uploads: int = Field(500, ge=1, description="most files of one upload")
    max_upload_mb: int = Field(1_000, ge=1, description="most that the files of one upload by the API hold together")
    max_unpacked_mb: int = Field(500, ge=1, description="most that a compressed file may unpack to")
    max_members: int = Field(5_000, ge=1, description="most files in an archive, or attachments of a message")
    max_pages: int = Field(20_000, ge=1, description="most pages, slides or sheets of a file")
    max_characters: int = Field(30_000_000, ge=1, description="longest text of a file")
    max_cells: int = Field(2_000_000, ge=1, description="most cells of a file's tables, empty ones among them")
    max_seconds: float = Field(300, gt=0, description="longest time that reading a file, or a page of it, may take")
    max_memory_mb: int = Field(1_000, ge=100, description="most memory that reading a file may take")
    passages: int = Field(5, ge=1, le=50, description="passages that an answer may be made from")
    context_tokens: int | None = Field(
        None, ge=100, le=100_000, description="tokens of passages given to a model; unset: what suits the machine"
    )
    refuse_below: float = Field(
        0.25, ge=0, le=1, description="least relevance (0 to 1, calibrated) of the passages for an answer to be tried"
    )
    host: str = Field("127.0.0.1", description="address that kb serve listens on")
    server_names: str = Field(
        "", description="names that browsers may call kb serve by, besides addresses and this machine's, with commas"
    )
    session_hours: float = Field(12, gt=0, description="how long a login to kb serve lasts")
    port: int = Field(7860, ge=0, le=65535, description="port that kb serve listens on")


def home_folder(home: Path | str | None = None) -> Path:
    """Return the folder that holds everything: `home`, else KB_HOME, else the platform's user data folder."""
    chosen = home or os.environ.get("KB_HOME") or user_data_path("kb-assistant", appauthor=False)
    return Path(chosen).expanduser().absolute()


def load_settings(home: Path | None = None, **flags: Any) -> Settings:
    """Return the settings in force for a home folder; a flag that is None was not given.

    Raises:
        SettingsError: a key is unknown (the nearest known one is named), a value does not
            hold, or kb.toml cannot be read.
    """
    _reject_misspelt_variables()
    given = {key: value for key, value in flags.items() if value is not None}
    toml = home_folder(home) / "kb.toml"

    try:
        values = tomllib.loads(toml.read_text(encoding="utf-8-sig")) if toml.exists() else {}
        in_environment = {variable.upper().removeprefix(_PREFIX).lower() for variable in os.environ}
        values = {key: value for key, value in values.items() if key not in in_environment}
        return Settings(**{**values, **given})
    except ValidationError as error:
        raise SettingsError(_explain(error, toml, given)) from error
    except (OSError, ValueError) as error:
        raise SettingsError(f"cannot read {toml}: {error}; correct it or move it away") from error


def save_settings(home: Path, **values: float | str) -> Path:
    """Set numbers and texts in the home folder's kb.toml, leave every other line as it is, and return the file.

    Raises:
        SettingsError: it cannot be written, or a variable that goes before one of them is set; nothing is written then.
    """
    for variable in (f"{_PREFIX}{name.upper()}" for name in values):
        if variable in os.environ:
            raise SettingsError(f"{variable} is set and goes before kb.toml; unset it, so that what is written counts")
    toml = (home / "kb.toml").resolve()
    # JSON's numbers and texts are TOML's as well.
    own = {name: f"{name} = {json.dumps(value, ensure_ascii=False)}" for name, value in values.items()}
    try:
        text = toml.read_text(encoding="utf-8-sig") if toml.exists() else ""
        # Not splitlines, which cuts at U+2028 and others as well: they may stand inside a text.
        lines = text.removesuffix("\n").split("\n") if text else []
        for name, line in own.items():
            lines = _with_line(lines, name, line)
        text = "\n".join(lines) + "\n"
        read = tomllib.loads(text)
        for name, value in values.items():
            if read.get(name) != value:  # such as where the line stands inside a longer text
                raise ValueError(f"{name} is set there in a way that cannot be changed here")
        new = toml.with_name("kb.toml.new")
        with new.open("w", encoding="utf-8") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
        new.replace(toml)
    except (OSError, ValueError) as error:
        raise SettingsError(f"cannot write {toml}: {error}; set {', '.join(own.values())} there yourself") from error
    return toml


def _with_line(lines: list[str], name: str, line: str) -> list[str]:
    """The lines with the one that sets `name` changed, or with a first one that does."""
    own = [place for place, words in enumerate(lines) if re.match(rf"\s*['\"]?{name}['\"]?\s*=", words)]
    return [line if place in own else words for place, words in enumerate(lines)] if own else [line, *lines]


def _explain(error: ValidationError, toml: Path, given: dict[str, Any]) -> str:
    first = error.errors()[0]
    key = str(first["loc"][0])
    if first["type"] == "extra_forbidden":
        return f"unknown setting {key!r} in {toml}{_nearest(key)}"
    variable = f"{_PREFIX}{key.upper()}"
    where = variable if variable in os.environ and key not in given else f"{key} (flag or {toml})"
    return f"setting {where} cannot be {first['input']!r}: {first['msg'].lower()}"


def _reject_misspelt_variables() -> None:
    """A KB_ variable much like a setting is a misspelt one; others may belong to other programs."""
    known = [name.upper() for name in Settings.model_fields] + sorted(_NOT_SETTINGS)
    for variable in sorted(os.environ):
        name = variable.removeprefix(_PREFIX).upper()
        if not variable.startswith(_PREFIX) or name in known:
            continue
        near = difflib.get_close_matches(name, known, n=1, cutoff=0.75)
        if near:
            raise SettingsError(f"unknown setting {variable} in the environment; did you mean {_PREFIX}{near[0]}?")


def _nearest(key: str) -> str:
    near = difflib.get_close_matches(key, Settings.model_fields, n=1, cutoff=0.0)
    return f"; did you mean {near[0]!r}?" if near else ""
