"""Loads linear models from JSON: named features with their coefficients."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources

__all__ = ["LinearModel", "load_coefficients"]


@dataclass(frozen=True, slots=True)
class LinearModel:
    """A weighted sum of named features."""

    intercept: float
    coefficients: Mapping[str, float]

    def __call__(self, features: Mapping[str, float]) -> float:
        """Return the sum; features that the model does not know are ignored."""
        return self.intercept + sum(
            weight * features[name] for name, weight in self.coefficients.items() if name in features
        )

    def probability(self, features: Mapping[str, float]) -> float:
        """Return the probability, 0 to 1, if the model is a logistic regression: the sum is its log odds."""
        return 1 / (1 + math.exp(-max(-50.0, min(50.0, self(features)))))


@cache
def load_coefficients(name: str) -> LinearModel:
    """Return the model in `name`.json."""
    text = resources.files(__package__).joinpath(f"{name}.json").read_text(encoding="utf-8")
    found = json.loads(text)
    return LinearModel(found["intercept"], found["coefficients"])
