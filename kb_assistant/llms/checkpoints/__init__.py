"""Model folders in Hugging Face form: checking, reading and rewriting their weights."""
