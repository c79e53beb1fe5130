"""Detokenizer: whole characters only, and all of them."""

import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import AutoTokenizer

from kb_assistant.llms.detokenizer import Detokenizer


def pieces(tokenizer, ids):
    detokenizer = Detokenizer(lambda part: tokenizer.decode(part, clean_up_tokenization_spaces=False))
    return [*(detokenizer.push(number) for number in ids), detokenizer.flush()]


@pytest.fixture(scope="module")
def qwen2(shared_models):
    return AutoTokenizer.from_pretrained(shared_models / "qwen2-tokenizer", local_files_only=True)


@pytest.mark.parametrize("text", ["彧龘𠮷野家", "👩🏽‍🔬 and 🇨🇳", "naïve — ½ ﬁ", "a\n\n  b\t。"])
def test_characters_of_several_tokens_come_whole(qwen2, text):
    ids = qwen2.encode(text)
    shown = pieces(qwen2, ids)
    assert "".join(shown) == unicodedata.normalize("NFC", text)
    assert not any("\ufffd" in piece for piece in shown)


def test_the_rare_character_really_takes_several_tokens(qwen2):
    ids = qwen2.encode("龘")
    assert len(ids) > 1
    assert pieces(qwen2, ids) == [""] * (len(ids) - 1) + ["龘", ""]


def test_a_character_cut_off_at_the_end_is_dropped(qwen2):
    ids = [*qwen2.encode("好"), *qwen2.encode("龘")[:-1]]
    assert "".join(pieces(qwen2, ids)) == "好"


def test_broken_bytes_do_not_hold_up_what_follows(qwen2):
    ids = [*qwen2.encode("龘")[:1], *qwen2.encode("abc")]
    assert "".join(pieces(qwen2, ids)).endswith("abc")


@settings(max_examples=60, deadline=None)
@given(text=st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\ufffd"), max_size=40))
def test_any_text_comes_out_as_the_tokenizer_decodes_it(qwen2, text):
    ids = qwen2.encode(text)
    whole = qwen2.decode(ids, clean_up_tokenization_spaces=False)
    assert "".join(pieces(qwen2, ids)) == whole


def test_sentencepiece_keeps_the_blanks_between_words(shared_models):
    llama = AutoTokenizer.from_pretrained(
        shared_models / "aidreams260K-llama" / "hf", local_files_only=True, clean_up_tokenization_spaces=False
    )
    ids = llama.encode("Once upon a time", add_special_tokens=False)
    assert "".join(pieces(llama, ids)) == llama.decode(ids, clean_up_tokenization_spaces=False)
