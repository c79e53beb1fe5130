"""Trains a very small Qwen2 that really answers given questions, for tests that need a real model.

No model can be downloaded where these tests run. A few million parameters, trained for about a
minute, read a prompt in the true chat format, find the question's passage among others and give
its answer word for word, in int4 too.
"""

from __future__ import annotations

import copy
import math
import random
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from prompts import load_prompt

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedTokenizerBase

__all__ = ["Passage", "Question", "TrainingReport", "build_prompt", "train_small_qwen2", "variations"]

# The form that Qwen publishes: a default system message, then the turns.
CHAT_TEMPLATE = (
    "{% for message in messages %}"
    "{% if loop.first and messages[0]['role'] != 'system' %}"
    "{{ '<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n' }}{% endif %}"
    "{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
# How Qwen2 cuts text before its byte-pair merges.
QWEN2_SPLIT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+"
    r"|\s+(?!\S)|\s+"
)
CONTROL_TOKENS = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
VOCABULARY_SIZE = 3000
CONTEXT_TOKENS = 4096
INT4_BLOCK = 64  # weights that share a scale in ipex-llm's sym_int4
BATCH_TOKENS = 2048  # prompt and answer tokens of one training step, padding included
LEARNING_RATE = 1e-3
WARMUP_STEPS = 30
DECAY_STEPS = 300  # the learning rate falls along a cosine till then, and stays at a twentieth
CHECK_EVERY_STEPS = 20
SURE = 0.9  # least probability of every token of an answer, so that int4 and bfloat16 do not change it
LOSS_TO_CHECK = 0.02  # a mean loss above it cannot mean that all answers are right


Encoded = tuple[list[int], list[int]]  # the tokens of a prompt and of its answer


@dataclass(frozen=True)
class Passage:
    """A retrieved passage as the prompt shows it."""

    source: str
    heading: str
    text: str


@dataclass(frozen=True)
class Question:
    """A question, the answer to learn, and the passage that holds it.

    `{number}` in the answer stands for the number that the passage has in the prompt.
    """

    text: str
    answer: str
    passage: Passage
    language: str


@dataclass(frozen=True)
class TrainingReport:
    """How training went."""

    seconds: float
    steps: int
    examples: int
    parameters: int


def build_prompt(question: str, passages: Sequence[Passage], language: str) -> str:
    """Return the prompt that the assistant sends for `question` with these passages, in this order."""
    template = load_prompt("passage", language)
    shown = [
        template.format(number=number, source=item.source, heading=item.heading, page_content=item.text)
        for number, item in enumerate(passages, start=1)
    ]
    return load_prompt("answer", language).format(
        refusal=load_prompt("refusal", language), context="\n\n".join(shown), question=question
    )


def variations(
    question: Question, others: Sequence[Passage], *, count: int, seed: int = 0, most: int = 4
) -> Iterator[tuple[str, str]]:
    """Yield `count` prompts for `question`, each with its answer.

    The question's own passage stands at every position in turn, among random `others`; at most
    `most` passages in all.
    """
    draw = random.Random(f"{seed} {question.text}")
    others = [passage for passage in others if passage != question.passage]
    for turn in range(count):
        position = turn % most
        beside = draw.sample(others, min(len(others), draw.randint(position, most - 1)))
        passages = [*beside[:position], question.passage, *beside[position:]]
        number = passages.index(question.passage) + 1
        prompt = build_prompt(question.text, passages, question.language)
        yield prompt, question.answer.replace("{number}", str(number))


def train_small_qwen2(
    examples: Sequence[tuple[str, str]], directory: Path, seed: int = 0, *, most_seconds: float = 600
) -> TrainingReport:
    """Train on (prompt, answer) pairs and save the model and its tokenizer in `directory`.

    Training ends as soon as greedy decoding with weights rounded to int4 gives every answer.

    Raises:
        RuntimeError: that did not happen within `most_seconds`.
    """
    import torch
    from transformers import Qwen2ForCausalLM

    started = time.monotonic()
    torch.manual_seed(seed)
    tokenizer = _train_tokenizer(examples)
    encoded = [_encode(tokenizer, prompt, answer) for prompt, answer in examples]
    model = Qwen2ForCausalLM(_config(tokenizer))
    for steps, loss in _train(model, encoded, seed):
        if loss < LOSS_TO_CHECK and _reproduces_all(model, encoded):
            break
        if time.monotonic() - started > most_seconds:
            raise RuntimeError(f"not all of {len(encoded)} answers learned in {steps} steps, loss {loss:.4f}")
    model.save_pretrained(directory, safe_serialization=True)
    tokenizer.save_pretrained(directory)
    parameters = sum(parameter.numel() for parameter in model.parameters())
    return TrainingReport(time.monotonic() - started, steps, len(encoded), parameters)


def _train_tokenizer(examples: Sequence[tuple[str, str]]) -> PreTrainedTokenizerBase:
    from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
    from transformers import Qwen2TokenizerFast

    bpe = Tokenizer(models.BPE())
    bpe.normalizer = normalizers.NFC()
    bpe.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(QWEN2_SPLIT), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    bpe.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY_SIZE,
        special_tokens=list(CONTROL_TOKENS),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    bpe.train_from_iterator((text for example in examples for text in example), trainer)
    return Qwen2TokenizerFast(
        tokenizer_object=bpe,
        eos_token="<|im_end|>",
        pad_token="<|endoftext|>",
        unk_token=None,
        additional_special_tokens=["<|im_start|>", "<|im_end|>"],
        chat_template=CHAT_TEMPLATE,
        model_max_length=CONTEXT_TOKENS,
        clean_up_tokenization_spaces=False,
    )


def _config(tokenizer: PreTrainedTokenizerBase) -> Any:
    from transformers import Qwen2Config

    return Qwen2Config(
        vocab_size=-(-len(tokenizer) // INT4_BLOCK) * INT4_BLOCK,
        hidden_size=256,
        intermediate_size=704,  # like every width here a multiple of 64, else ipex-llm leaves it in float
        num_hidden_layers=2,  # two can find a passage and copy its number; more learn it no sooner
        num_attention_heads=8,
        num_key_value_heads=4,
        initializer_range=0.05,  # with Qwen2's 0.02, so narrow a model takes three times as long
        max_position_embeddings=CONTEXT_TOKENS,
        tie_word_embeddings=True,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        bos_token_id=None,
    )


def _encode(tokenizer: PreTrainedTokenizerBase, prompt: str, answer: str) -> Encoded:
    messages = [{"role": "user", "content": prompt}]
    text = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
    return tokenizer.encode(text), [*tokenizer.encode(answer), tokenizer.eos_token_id]


def _train(model: Any, encoded: Sequence[Encoded], seed: int) -> Iterator[tuple[int, float]]:
    """Train for ever; now and then yield the number of steps and the mean loss of the last ones."""
    import torch

    optimizer = torch.optim.AdamW(model.parameters(), lr=LEARNING_RATE, weight_decay=0.01, betas=(0.9, 0.98))
    mean = 10.0
    for step, batch in enumerate(_batches(encoded, seed), start=1):
        for group in optimizer.param_groups:
            # At full speed a few long prompts a step are too uneven to be learned to the last word.
            decay = 0.525 + 0.475 * math.cos(math.pi * min(1.0, step / DECAY_STEPS))
            group["lr"] = LEARNING_RATE * min(step / WARMUP_STEPS, decay)
        logits, targets = _answer_logits(model, batch)
        loss = torch.nn.functional.cross_entropy(logits, targets)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        mean += (loss.item() - mean) * 0.1
        if step % CHECK_EVERY_STEPS == 0:
            yield step, mean


def _batches(encoded: Sequence[Encoded], seed: int) -> Iterator[list[Encoded]]:
    """Yield batches for ever: every example once a round, those of like length together."""
    draw = random.Random(seed)
    while True:
        rest = sorted(encoded, key=lambda example: len(example[0]) + draw.uniform(0, 40))
        batches = []
        while rest:
            width = len(rest[-1][0]) + len(rest[-1][1])
            size = max(1, BATCH_TOKENS // width)
            batches.append(rest[-size:])
            del rest[-size:]
        draw.shuffle(batches)
        yield from batches


def _answer_logits(model: Any, batch: Sequence[Encoded]) -> tuple[torch.Tensor, torch.Tensor]:
    """Return logits and targets at the answers' tokens only, row by row, for all of the batch."""
    import torch

    rows = [prompt + answer for prompt, answer in batch]
    width = max(map(len, rows))
    ids = torch.tensor([row + [0] * (width - len(row)) for row in rows])
    wanted = torch.zeros_like(ids, dtype=torch.bool)
    for number, (prompt, answer) in enumerate(batch):
        wanted[number, len(prompt) : len(prompt) + len(answer)] = True
    # Padding stands on the right, where causal attention never looks.
    hidden = model.model(ids, use_cache=False)[0]
    return model.lm_head(hidden[:, :-1][wanted[:, 1:]]), ids[wanted]


def _reproduces_all(model: Any, encoded: Sequence[Encoded]) -> bool:
    """Tell whether greedy decoding gives every answer with the weights rounded as int4 rounds them.

    Where every token is the likeliest after the right ones before it, greedy decoding gives the
    answer: one pass instead of one for each token.
    """
    import torch

    rounded = copy.deepcopy(model)
    # Untied first: only the head is rounded, the embedding stays as it is.
    rounded.lm_head.weight = torch.nn.Parameter(model.lm_head.weight.detach().clone())
    with torch.no_grad():
        for module in rounded.modules():
            if isinstance(module, torch.nn.Linear):
                module.weight.copy_(_round_int4(module.weight))
        batches = (encoded[start : start + 8] for start in range(0, len(encoded), 8))
        results = (_answer_logits(rounded, batch) for batch in batches)
        chances = (logits.softmax(-1).gather(1, targets[:, None]) for logits, targets in results)
        return all(bool((chance > SURE).all()) for chance in chances)


def _round_int4(weight: torch.Tensor) -> torch.Tensor:
    """Round as ggml's q4_0 does: 16 steps to each block, scaled by its largest weight."""
    import torch

    blocks = weight.reshape(-1, INT4_BLOCK)
    largest = blocks.gather(1, blocks.abs().argmax(1, keepdim=True))
    scale = largest / -8
    inverse = torch.where(scale == 0, 0.0, 1 / scale)
    steps = (blocks * inverse + 8.5).floor().clamp(0, 15) - 8
    return (steps * scale.half().float()).reshape(weight.shape)
