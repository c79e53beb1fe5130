"""`kb bench`: how fast language models and embeddings are on this machine, and what they take of it."""

from kb_assistant.bench.measurements import EmbeddingSpeed, GenerationSpeed, LoadSpeed, Measurement
from kb_assistant.bench.suite import BenchOptions, bench

__all__ = ["BenchOptions", "EmbeddingSpeed", "GenerationSpeed", "LoadSpeed", "Measurement", "bench"]
