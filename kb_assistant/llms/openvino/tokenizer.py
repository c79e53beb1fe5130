"""Gives OpenVINO GenAI's tokenizer the members of a Hugging Face tokenizer that `ChatFormat` reads.

Published OpenVINO folders hold tokenizers that older versions of transformers cannot read, and GGUF files hold none in
Hugging Face's format; GenAI's tokenizer reads both.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any, cast

from kb_assistant.errors import ModelError
from kb_assistant.llms.openvino.runtime import reason

__all__ = ["OpenVinoTokenizer"]

_PROBE = "x\n" * 10_000
_PART_CHARACTERS = 2_000
"""A character has at most four tokens, so a part of this length is below every tokenizer's limit."""


class OpenVinoTokenizer:
    """Encodes, decodes and applies the model's own chat template."""

    added_tokens_decoder: dict[int, Any] = {}  # noqa: RUF012 - included in the special tokens here

    def __init__(self, tokenizer: Any, added: Mapping[str, int]) -> None:
        """Take an `openvino_genai.Tokenizer`, and the control tokens that its folder names."""
        self._tokenizer, self._added = tokenizer, added
        self.chat_template: str = tokenizer.chat_template
        self.bos_token: str = tokenizer.get_bos_token()

    @property
    def eos_token_id(self) -> int | None:
        """The id of the end-of-text token, if there is one."""
        number = int(self._tokenizer.get_eos_token_id())
        return number if number >= 0 else None

    @cached_property
    def _special(self) -> Mapping[str, int]:
        """All strings that become control tokens, with their ids."""
        try:
            vocabulary: dict[bytes, int] = self._tokenizer.get_vocab()
        except RuntimeError:  # GenAI cannot list a SentencePiece vocabulary
            return self._added
        names = {number: token.decode("utf-8", errors="ignore") for token, number in vocabulary.items()}
        rows = [[number] for number in names]
        shown = self._tokenizer.decode(rows, skip_special_tokens=False)
        kept = self._tokenizer.decode(rows, skip_special_tokens=True)
        special: dict[str, int] = {}
        for number, text, without in zip(names, shown, kept, strict=True):
            if text and not without:
                special |= {text: number, names[number]: number}
            elif self._looks_like_control(names[number], number):
                special[names[number]] = number
        return special

    def _looks_like_control(self, name: str, number: int) -> bool:
        """Qwen2.5's <tool_call> is not marked special, yet text becomes that token."""
        shaped = name.startswith("<") and name.endswith(">") and any(map(str.isalpha, name))
        return shaped and self._encode(name) == [number]

    @property
    def all_special_tokens(self) -> list[str]:
        """The strings that become control tokens."""
        return list(self._special)

    @property
    def all_special_ids(self) -> list[int]:
        """Their ids."""
        return list(self._special.values())

    def convert_tokens_to_ids(self, token: str) -> int:
        """Return the id of a control token."""
        return self._special[token]

    def apply_chat_template(self, chat: list[dict[str, str]], *, tokenize: bool, add_generation_prompt: bool) -> str:
        """Return the conversation as text for the model to continue.

        Raises:
            ModelError: the template rejects these messages.
        """
        del tokenize  # GenAI gives text only
        try:
            text = self._tokenizer.apply_chat_template(chat, add_generation_prompt=add_generation_prompt)
        except RuntimeError as error:
            raise ModelError(
                f"the model's chat template rejects this conversation: {reason(error)}; remove the system prompt"
            ) from error
        return cast("str", text)

    def encode(self, text: str, *, add_special_tokens: bool = False) -> list[int]:
        """Return the token ids of `text`, of any length."""
        ids = self._encode(text, add_special_tokens)
        if self._longest is None or len(ids) < self._longest:
            return ids
        first, *rest = _parts(text)
        return [*self._encode(first, add_special_tokens), *(number for part in rest for number in self._encode(part))]

    def decode(self, ids: Sequence[int]) -> str:
        """Return the text of `ids`, without control tokens and incomplete characters."""
        return cast("str", self._tokenizer.decode(list(ids), skip_special_tokens=True)) if ids else ""

    def _encode(self, text: str, add_special_tokens: bool = False) -> list[int]:
        encoded = self._tokenizer.encode(text, add_special_tokens=add_special_tokens)
        return [int(number) for number in encoded.input_ids.data.flatten()]

    @cached_property
    def _longest(self) -> int | None:
        """After how many tokens the tokenizer drops the rest, such as 8,192 for GGUF; None if it drops none."""
        ids = self._encode(_PROBE)
        return len(ids) if len(self.decode(ids)) < len(_PROBE) else None


def _parts(text: str) -> Iterator[str]:
    """Cut a long text, if possible at line ends, where byte-pair tokens end too."""
    while len(text) > _PART_CHARACTERS:
        end = text.rfind("\n", 0, _PART_CHARACTERS) + 1
        while 0 < end < len(text) and text[end].isspace():  # blanks after a line end belong to its token
            end = text.rfind("\n", 0, end - 1) + 1
        end = end or _PART_CHARACTERS
        yield text[:end]
        text = text[end:]
    yield text
