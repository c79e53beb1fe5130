"""Models of well-known shapes with random weights: as fast as the real ones, and no use for answers."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from kb_assistant.errors import ModelError, UsageError

__all__ = ["SHAPES", "make_shape"]

SHAPES = {
    # hidden size, size inside an MLP, layers, heads, key-value heads, vocabulary, head tied to the embeddings:
    # as in the config.json that each is published with
    "qwen2-0.5b": (896, 4864, 24, 14, 2, 151936, True),
    "qwen2-1.5b": (1536, 8960, 28, 12, 2, 151936, True),
    "qwen2.5-3b": (2048, 11008, 36, 16, 2, 151936, True),
    "qwen2-7b": (3584, 18944, 28, 28, 4, 152064, False),
}
_TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json", "vocab.json", "merges.txt", "special_tokens_map.json")


def make_shape(name: str, tokenizer: Path, folder: Path) -> None:
    """Write a model of the shape `name` into the new `folder`, in 16 bits, with the tokenizer in `tokenizer`.

    Raises:
        UsageError: there is no such shape.
        ModelError: there is no tokenizer, or no room.
    """
    if name not in SHAPES:
        raise UsageError(f"unknown shape {name!r}; there are: {', '.join(SHAPES)}")
    if not (tokenizer / "tokenizer_config.json").is_file():
        raise ModelError(f"no tokenizer in {tokenizer}; give the folder of a tokenizer of the Qwen2 family")
    import torch
    from transformers import Qwen2Config, Qwen2ForCausalLM

    hidden, inside, layers, heads, key_value_heads, vocabulary, tied = SHAPES[name]
    config = Qwen2Config(
        vocab_size=vocabulary,
        hidden_size=hidden,
        intermediate_size=inside,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        num_key_value_heads=key_value_heads,
        max_position_embeddings=32768,
        rope_theta=1e6,
        tie_word_embeddings=tied,
        torch_dtype="bfloat16",
        bos_token_id=None,
        eos_token_id=151645,  # the family's <|im_end|>
    )
    with torch.device("meta"):
        model = Qwen2ForCausalLM(config).to(torch.bfloat16)
    size = 2 * sum(one.numel() for one in model.parameters())
    if (free := shutil.disk_usage(folder.parent).free) < 2 * size:
        raise ModelError(
            f"a model of {name}'s shape and what is made of it want {2 * size / 1e9:.1f} GB of disk, "
            f"and {free / 1e9:.1f} GB are free"
        )
    model = model.to_empty(device="cpu")
    model.tie_weights()
    # One block of chance over and over: a generator that fills billions of numbers takes half a minute.
    block = torch.empty(1 << 22, dtype=torch.bfloat16).normal_(0, 0.02, generator=torch.Generator().manual_seed(0))
    for key, parameter in model.named_parameters():
        if "norm" in key:
            parameter.data.fill_(1)
        else:
            flat = parameter.data.view(-1)
            for start in range(0, flat.numel(), block.numel()):
                part = flat[start : start + block.numel()]
                part.copy_(block[: part.numel()])
    model.save_pretrained(folder)
    for file in _TOKENIZER_FILES:
        if (tokenizer / file).is_file():
            shutil.copyfile(tokenizer / file, folder / file)
    (folder / "generation_config.json").write_text(json.dumps({}), encoding="utf-8")
