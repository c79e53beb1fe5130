"""Prompt templates as text files, one per purpose and language.

`templates/NAME.LANGUAGE.txt` holds a template in `str.format` form. To change a
prompt, edit the file; to add one, add the file in every language.
"""

from __future__ import annotations

from importlib.resources import files

__all__ = ["LANGUAGES", "PromptNotFoundError", "load_prompt"]

LANGUAGES = ("zh", "en")


class PromptNotFoundError(LookupError):
    """There is no template of that name in that language."""


def load_prompt(name: str, language: str) -> str:
    """Return the template `name` in `language` ("zh" or "en"), without its final newline.

    Raises:
        PromptNotFoundError: there is no such template; the message lists those there are.
    """
    folder = files(__name__) / "templates"
    template = folder / f"{name}.{language}.txt"
    if not template.is_file():
        known = ", ".join(sorted(entry.name.removesuffix(".txt") for entry in folder.iterdir()))
        raise PromptNotFoundError(f"no prompt {name}.{language}; there are: {known}")
    return template.read_text(encoding="utf-8").removesuffix("\n")
