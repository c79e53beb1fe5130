"""How well a passage matches a question: by the terms that it covers, and by the similarity of vectors."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from vectorstore.analysis import terms

__all__ = ["coverage", "similarity"]


def coverage(weights: Mapping[str, float], text: str) -> float:
    """Return the share of the question terms' total weight whose terms are in `text`, 0 to 1."""
    total = sum(weights.values())
    present = set(terms(text))
    # Summed in the order of `weights`, like the total, so that rounding cannot make it larger than the total.
    return sum(weight for term, weight in weights.items() if term in present) / total if total > 0 else 0.0


def similarity(left: np.ndarray, right: np.ndarray) -> float:
    """Return the cosine of two unit vectors, negative ones as 0."""
    return float(min(1.0, max(0.0, np.dot(left, right))))
