"""The ipex engine: int4 models on an Intel CPU through ipex-llm."""
