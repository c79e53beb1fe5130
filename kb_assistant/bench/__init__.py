"""`kb bench`: how fast language models and embeddings are on this machine, and what they take of it."""

from kb_assistant.bench.measurements import EmbeddingSpeed, GenerationSpeed, LoadSpeed, Measurement
from kb_assistant.bench.running import bench
from kb_assistant.bench.shapes import SHAPES

__all__ = ["SHAPES", "EmbeddingSpeed", "GenerationSpeed", "LoadSpeed", "Measurement", "bench"]
