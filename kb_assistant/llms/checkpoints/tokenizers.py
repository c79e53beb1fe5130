"""Loads the tokenizer of a model in Hugging Face form."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from kb_assistant.errors import ModelError

__all__ = ["load_tokenizer"]


def load_tokenizer(path: Path, *, trust_remote_code: bool = False) -> Any:
    """Return the transformers tokenizer in the folder `path`.

    Raises:
        ModelError: it cannot be read.
    """
    import sentencepiece
    from transformers import AutoTokenizer

    sentencepiece.set_min_log_level(2)  # else InternLM2's vocabulary makes its C++ code warn on stderr
    # A fast tokenizer converted from SentencePiece splits InternLM2's and Baichuan2's text differently.
    fast = (path / "tokenizer.json").is_file() or not (path / "tokenizer.model").is_file()
    try:
        tokenizer = AutoTokenizer.from_pretrained(
            path,
            local_files_only=True,
            trust_remote_code=trust_remote_code,
            use_fast=fast,
            clean_up_tokenization_spaces=False,
        )
    except Exception as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")
        raise ModelError(f"cannot read the tokenizer of {path}: {reason}; download it again") from error
    # The engine refuses texts longer than the model reads; this keeps transformers from warning about them too.
    tokenizer.deprecation_warnings["sequence-length-is-longer-than-the-specified-maximum"] = True
    return tokenizer
