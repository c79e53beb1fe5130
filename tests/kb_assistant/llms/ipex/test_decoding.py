"""The decoder: prefixes kept, drafts from the prompt, sampling, and leaving in the middle."""

import threading
from itertools import islice

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, GPT2Config, GPT2LMHeadModel

from kb_assistant.llms.ipex.decoding import MAX_DRAFT_TOKENS, Decoder, Sampling
from kb_assistant.llms.ipex.engine import IpexEngine

GREEDY = Sampling()


class Counting:
    """How many tokens each step of the model was given."""

    def __init__(self, model):
        self.steps = []
        self.hook = model.register_forward_pre_hook(self.count, with_kwargs=True)

    def count(self, _, __, kwargs):
        self.steps.append(kwargs["input_ids"].shape[1])


@pytest.fixture(params=["qwen2", "llama"])
def family(request, lessons):
    """A model in float32, and prompts as tokens: of the trained Qwen2, and of the trained Llama."""
    if request.param == "qwen2":
        path = request.getfixturevalue("small_model")
        tokenizer = AutoTokenizer.from_pretrained(path)
        chats = [[{"role": "user", "content": prompt}] for prompt, _ in lessons[:3]]
        prompts = [tokenizer.apply_chat_template(chat, add_generation_prompt=True) for chat in chats]
    else:
        path = request.getfixturevalue("shared_models") / "aidreams260K-llama" / "hf"
        tokenizer = AutoTokenizer.from_pretrained(path, clean_up_tokenization_spaces=False)
        texts = ("Once upon a time, there was a girl", "Once upon a time, the sea sang", "Once upon a")
        prompts = [tokenizer.encode(text) for text in texts]
    return AutoModelForCausalLM.from_pretrained(path).eval(), prompts


@pytest.fixture
def int4(small_model_int4):
    return IpexEngine.load(small_model_int4).model


def written(decoder, prompt, count=24, sampling=GREEDY, cancelled=None):
    return list(islice(decoder.tokens(prompt, frozenset(), sampling, cancelled or threading.Event()), count))


def reference(model, prompt, count=24):
    ids = torch.tensor([prompt])
    out = model.generate(
        ids,
        attention_mask=torch.ones_like(ids),
        max_new_tokens=count,
        do_sample=False,
        eos_token_id=None,
        pad_token_id=0,
    )
    return out[0, len(prompt) :].tolist()


@pytest.mark.parametrize("lookup", [False, True])
def test_what_is_written_is_what_transformers_writes(family, lookup):
    model, prompts = family
    decoder = Decoder(model, lookup=lookup)
    for prompt in [*prompts, prompts[0], prompts[0][:-2], prompts[1]]:
        assert written(decoder, prompt) == reference(model, prompt)


def test_a_prompt_that_begins_like_the_last_is_computed_from_where_they_part(family):
    model, (first, *_) = family
    decoder = Decoder(model, lookup=False)
    answer = written(decoder, first, 5)
    counting = Counting(model)
    longer = [*first, *answer, 7, 8, 9]
    assert written(decoder, longer, 2) == reference(model, longer, 2)
    # The fifth token had been written, but not read yet.
    assert counting.steps[0] == 4


def test_the_same_prompt_again_costs_one_token(family):
    model, (first, *_) = family
    decoder = Decoder(model, lookup=False)
    once = written(decoder, first, 6)
    counting = Counting(model)
    assert written(decoder, first, 6) == once
    assert counting.steps == [1] * 6


def test_drafts_from_the_prompt_save_steps_where_the_answer_copies(int4, lessons, small_model_int4):
    model = int4.float()
    tokenizer = AutoTokenizer.from_pretrained(small_model_int4)
    saved = 0
    for prompt, answer in lessons:
        chat = [{"role": "user", "content": prompt}]
        ids = tokenizer.apply_chat_template(chat, add_generation_prompt=True)
        count = len(tokenizer.encode(answer))
        plain = written(Decoder(model, lookup=False), ids, count)
        counting = Counting(model)
        assert written(Decoder(model, lookup=True), ids, count) == plain
        counting.hook.remove()
        assert max(counting.steps[1:]) <= MAX_DRAFT_TOKENS + 1
        saved += count - len(counting.steps)
        assert tokenizer.decode(plain) == answer
    assert saved > sum(len(tokenizer.encode(answer)) for _, answer in lessons) // 3


def test_a_prompt_left_in_the_middle_spoils_nothing(family):
    model, (first, second, *_) = family
    decoder = Decoder(model, lookup=False)
    written(decoder, first, 3)
    cancelled = threading.Event()
    hook = model.model.layers[1].register_forward_pre_hook(lambda *_: cancelled.set())
    # Set in the second layer, seen before the next one; the first has already kept its part.
    assert len(written(decoder, second, 3, cancelled=cancelled)) <= 1
    hook.remove()
    assert written(decoder, second) == reference(model, second)
    assert written(decoder, first) == reference(model, first)


def test_a_model_with_a_cache_of_its_own_form_is_decoded_all_the_same():
    torch.manual_seed(0)
    model = GPT2LMHeadModel(GPT2Config(vocab_size=97, n_positions=64, n_embd=32, n_layer=2, n_head=2)).eval()
    assert not getattr(model, "_supports_cache_class", False)
    decoder = Decoder(model, lookup=True)
    for prompt in ([1, 2, 3, 4, 5], [1, 2, 3, 9]):
        assert written(decoder, prompt) == reference(model, prompt)


def test_temperature_draws_and_zero_does_not(family):
    model, (first, *_) = family
    decoder = Decoder(model, lookup=True)
    torch.manual_seed(1)
    drawn = {tuple(written(decoder, first, 12, Sampling(temperature=2.0, top_p=1.0))) for _ in range(5)}
    assert len(drawn) == 5
    greedy = {tuple(written(decoder, first, 12, Sampling(temperature=0.0, top_p=0.1))) for _ in range(3)}
    assert len(greedy) == 1


def test_only_the_likeliest_that_make_top_p_are_drawn():
    logits = torch.tensor([[0.5, 0.3, 0.15, 0.05]]).log()
    torch.manual_seed(0)
    assert {Sampling(1.0, 0.7).pick(logits)[0] for _ in range(200)} == {0, 1}
    assert {Sampling(1.0, 0.01).pick(logits)[0] for _ in range(50)} == {0}
    counts = [Sampling(1.0, 1.0).pick(logits)[0] for _ in range(2000)]
    assert 0.45 < counts.count(0) / 2000 < 0.55
    assert 0.02 < counts.count(3) / 2000 < 0.08
