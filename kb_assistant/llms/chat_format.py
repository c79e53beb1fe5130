"""Puts a prompt into a model's chat format, as text or token ids."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from kb_assistant.errors import ModelError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

__all__ = ["ChatFormat", "control_strings", "neutralise", "published_control"]

# Control tokens published for ChatML, Llama, InternLM, ChatGLM, Baichuan, Gemma and DeepSeek.
_PUBLISHED = re.compile(
    r"<[|｜][^<>\s]{1,60}[|｜]>|</?s>|<[be]os>|<</?SYS>>|\[/?INST\]|\[UNUSED_TOKEN_\d+\]|<eo[ahs]>|\[[gs]?MASK\]"
    r"|<[es]op>|<reserved_\d+>|<(?:start|end)_of_turn>|</?(?:tool_call|tool_response|think)>"
)

# Families whose chat models use ChatML; True if the text starts with the beginning-of-text token.
# Source: chat_template in the published tokenizer_config.json.
_CHATML = {"qwen2": False, "qwen2_moe": False, "internlm2": True}


@dataclass(frozen=True)
class _RoleTokenFormat:
    """A format that puts a control token before each message, defined in the model's own code.

    Attributes:
        model_type: as in the model's config.json.
        known_by: a token and its id that identify the model's generation among those of its type.
        begin: the tokens at the start.
        roles: the token of each role; empty for none.
        blank: the text between the token and the message.
        ends: tokens that start another role's turn, and so end the model's.
    """

    model_type: str
    known_by: tuple[str, int]
    begin: tuple[str, ...]
    roles: Mapping[str, str]
    blank: str
    ends: tuple[str, ...]


# Sources: PROMPT.md in THUDM/ChatGLM3; generation_utils.py and generation_config.json of Baichuan2-7B-Chat.
_ROLE_TOKEN_FORMATS = (
    _RoleTokenFormat(
        model_type="chatglm",
        known_by=("<|user|>", 64795),
        begin=("[gMASK]", "sop"),
        roles={"system": "<|system|>", "user": "<|user|>", "assistant": "<|assistant|>"},
        blank="\n ",
        ends=("<|user|>", "<|observation|>"),
    ),
    _RoleTokenFormat(
        model_type="baichuan",
        known_by=("<reserved_106>", 195),
        begin=(),
        roles={"system": "", "user": "<reserved_106>", "assistant": "<reserved_107>"},
        blank="",
        ends=("<reserved_106>",),
    ),
)


class ChatFormat:
    """The chat format of one model: its tokenizer's template, or its family's, or plain text.

    Attributes:
        kind: "template", "chatml", "role_tokens" (a control token before each message) or "plain".

    Text from users and documents is data: control tokens in it are broken up, so that a document cannot end the
    user's turn and speak as the assistant.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase, model_type: str) -> None:
        """Take the tokenizer, and the `model_type` of the model's config.json."""
        self._tokenizer = tokenizer
        self._control = control_strings(tokenizer)
        self._begin = ""
        self._role_tokens: _RoleTokenFormat | None = None
        if tokenizer.chat_template:
            self.kind = "template"
        elif model_type in _CHATML and {"<|im_start|>", "<|im_end|>"} <= set(self._control):
            self.kind = "chatml"
            self._begin = str(tokenizer.bos_token or "") if _CHATML[model_type] else ""
        elif found := [
            form for form in _ROLE_TOKEN_FORMATS if form.model_type == model_type and self._knows(*form.known_by)
        ]:
            self.kind = "role_tokens"
            self._role_tokens = found[0]
            marks = {*found[0].begin, *filter(None, found[0].roles.values())}
            self._control += tuple(
                mark for mark in marks if self._id(mark) in self._ids(mark)
            )  # if text can become one
        else:
            self.kind = "plain"

    def render(self, prompt: str, *, system: str | None = None) -> str:
        """Return the text for the model to continue.

        Raises:
            ModelError: the tokenizer's own template cannot be applied to these messages.
        """
        safe = self._messages(prompt, system)
        if self.kind == "template":
            return self._apply_template(safe)
        if self.kind == "chatml":
            turns = [f"<|im_start|>{role}\n{text}<|im_end|>\n" for role, text in safe]
            return self._begin + "".join(turns) + "<|im_start|>assistant\n"
        if self._role_tokens:
            return "".join(mark + text for mark, text in _role_token_parts(self._role_tokens, safe))
        return "\n\n".join(text for _, text in safe)

    def encode(self, prompt: str, *, system: str | None = None) -> list[int]:
        """Return the token ids of `render`'s text.

        Chat formats write out their control tokens; for plain text the tokenizer adds those the model was trained
        with, such as the beginning-of-text token. ChatGLM's tokenizer never turns text into control tokens, so they are
        looked up by name.
        """
        if self._role_tokens:
            parts = _role_token_parts(self._role_tokens, self._messages(prompt, system))
            return [number for mark, text in parts for number in ([self._id(mark)] if mark else []) + self._ids(text)]
        text = self.render(prompt, system=system)
        return self._ids(text, begin=self.kind == "plain")

    def end_ids(self) -> set[int]:
        """Return the ids of the tokens that end the model's turn."""
        ends = {"<|im_end|>", "<|endoftext|>"} & set(self._control)
        if self._role_tokens:
            ends.update(self._role_tokens.ends)
        ids = {self._id(token) for token in ends}
        if self._tokenizer.eos_token_id is not None:
            ids.add(int(self._tokenizer.eos_token_id))
        return ids

    def _messages(self, prompt: str, system: str | None) -> list[tuple[str, str]]:
        messages = [("system", system)] if system else []
        messages.append(("user", prompt))
        return [(role, neutralise(text, self._control)) for role, text in messages]

    def _knows(self, token: str, number: int) -> bool:
        try:
            return self._id(token) == number
        except (KeyError, TypeError):  # OpenVINO's and transformers' tokenizers, for an unknown token
            return False

    def _id(self, token: str) -> int:
        return int(self._tokenizer.convert_tokens_to_ids(token))

    def _ids(self, text: str, *, begin: bool = False) -> list[int]:
        return cast("list[int]", self._tokenizer.encode(text, add_special_tokens=begin)) if text else []

    def _apply_template(self, messages: list[tuple[str, str]]) -> str:
        from jinja2 import TemplateError

        chat = [{"role": role, "content": text} for role, text in messages]
        try:
            text = self._tokenizer.apply_chat_template(chat, tokenize=False, add_generation_prompt=True)
        except TemplateError as error:
            raise ModelError(
                f"the model's chat template rejects this conversation: {error}; "
                "remove the system prompt, or correct chat_template in its tokenizer_config.json"
            ) from error
        return str(text)


def _role_token_parts(form: _RoleTokenFormat, messages: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    """Pairs of a control token, which may be empty, and the text after it."""
    begin = [(mark, "") for mark in form.begin]
    said = [(form.roles[role], form.blank + text) for role, text in messages]
    return [*begin, *said, (form.roles["assistant"], "")]


def control_strings(tokenizer: PreTrainedTokenizerBase) -> tuple[str, ...]:
    """Return every string that the tokenizer reads as a control token, longest first."""
    strings = set(tokenizer.all_special_tokens)
    ids = set(tokenizer.all_special_ids)
    for number, token in tokenizer.added_tokens_decoder.items():
        # Qwen2.5 adds <tool_call> and <|fim_prefix|> without marking them special. Other added tokens are
        # ordinary words or runs of blanks and must stay.
        if token.special or (token.content.startswith("<") and token.content.endswith(">")):
            strings.add(token.content)
            ids.add(number)
    strings.update(_vocabulary_names(tokenizer, ids))
    return tuple(sorted(filter(None, strings), key=len, reverse=True))


def neutralise(text: str, control: Sequence[str]) -> str:
    """Break up every control string in `text` with a space after its first character.

    >>> neutralise("a<|im_end|>b", ["<|im_end|>"])
    'a< |im_end|>b'
    """
    while found := [token for token in control if token in text]:
        for token in found:
            # A single character cannot be broken up, so it is removed.
            text = text.replace(token, f"{token[0]} {token[1:]}" if len(token) > 1 else "")
    return text


def published_control(text: str) -> tuple[str, ...]:
    """Return the control strings of well-known families in `text`, longest first.

    For models whose tokenizer is not on this machine.

    >>> published_control("a<|im_end|>b[/INST]")
    ('<|im_end|>', '[/INST]')
    """
    return tuple(sorted(set(_PUBLISHED.findall(text)), key=len, reverse=True))


def _vocabulary_names(tokenizer: PreTrainedTokenizerBase, ids: set[int]) -> Iterator[str]:
    """Yield the vocabulary's own names of the control tokens.

    In InternLM2's vocabulary <|im_end|> is the piece [UNUSED_TOKEN_145], and that text becomes the same token.
    """
    pieces = getattr(tokenizer, "sp_model", None)
    if pieces is not None:
        yield from (pieces.id_to_piece(number) for number in ids if number < pieces.get_piece_size())
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is not None:
        vocabulary = backend.get_vocab(with_added_tokens=False)
        yield from (piece for piece, number in vocabulary.items() if number in ids)
