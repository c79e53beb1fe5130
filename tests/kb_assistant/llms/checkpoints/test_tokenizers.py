"""Loading tokenizers: what transformers says of long texts does not reach the user."""

import logging

from kb_assistant.llms.checkpoints.tokenizers import load_tokenizer


def test_a_text_longer_than_the_model_reads_is_counted_without_a_warning(shared_models, caplog):
    tokenizer = load_tokenizer(shared_models / "aidreams260K-llama" / "hf")
    assert tokenizer.model_max_length == 128
    transformers_logger = logging.getLogger("transformers")
    transformers_logger.addHandler(caplog.handler)
    try:
        ids = tokenizer.encode("Once upon a time there was a cat. " * 100)
    finally:
        transformers_logger.removeHandler(caplog.handler)
    assert len(ids) > tokenizer.model_max_length
    assert not caplog.records
