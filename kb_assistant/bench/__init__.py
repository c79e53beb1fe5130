"""`kb bench`: speed and memory of language and embedding models on this machine."""

from kb_assistant.bench.measurements import EmbeddingSpeed, GenerationSpeed, LoadSpeed, Measurement
from kb_assistant.bench.suite import BenchOptions, bench

__all__ = ["BenchOptions", "EmbeddingSpeed", "GenerationSpeed", "LoadSpeed", "Measurement", "bench"]
