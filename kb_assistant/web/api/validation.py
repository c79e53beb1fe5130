"""Explains in plain words what is wrong with a parameter."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["explain_invalid"]

_PLACES = frozenset({"body", "query", "path"})

_REASONS = {
    "missing": "missing",
    "extra_forbidden": "unknown parameter",
    "int_parsing": "must be a whole number",
    "int_type": "must be a whole number",
    "int_from_float": "must be a whole number",
    "bool_parsing": "must be true or false",
    "bool_type": "must be true or false",
    "string_type": "must be text",
    "list_type": "must be a list",
    "dict_type": "must be an object",
    "model_attributes_type": "must be an object",
    "greater_than_equal": "must be at least {ge}",
    "less_than_equal": "must be at most {le}",
    "string_too_short": "must not be empty",
    "string_too_long": "must have at most {max_length} characters",
    "too_short": "must have at least {min_length} items",
    "too_long": "must have at most {max_length} items",
    "literal_error": "must be {expected}",
    "string_pattern_mismatch": "has characters that are not allowed, or is blank",
    "json_invalid": "the body is not JSON: {error}",
}
"""By pydantic's type of the error; placeholders are filled from its context."""


def explain_invalid(error: Mapping[str, Any]) -> tuple[str, str | None]:
    """Return a message for one of pydantic's errors, and the name of the parameter, if there is one."""
    reason = _REASONS.get(error["type"])
    explained = reason.format_map(error.get("ctx", {})) if reason else str(error["msg"])
    if error["type"] == "json_invalid":  # its location is a position in the body
        return explained, None
    # Pydantic names each type of a union that it tried as if it were a part of the path.
    parts = [str(part) for part in error["loc"] if part not in _PLACES and not str(part).startswith(_UNION_MEMBERS)]
    if not parts:
        return (explained if error["type"] not in ("missing", "model_attributes_type") else _NO_OBJECT), None
    name = ".".join(parts)
    return f"{name}: {explained}", name


_UNION_MEMBERS = ("constrained-str", "list[", "function-", "str")
_NO_OBJECT = "the body must be a JSON object"
