"""The messages that the code can show, read from its source: errors, notes of files, help and findings.

A message is a string or an f-string at the place that shows it. Its template has a name in braces for each value:
`f"no model {name!r} in {folder}"` is `no model {name} in {folder}`.
"""

from __future__ import annotations

import ast
import re


def template_of(node: ast.expr) -> str | None:
    """Return the template of a string or f-string; None of anything else."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value.replace("{", "{{").replace("}", "}}")
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        left, right = template_of(node.left), template_of(node.right)
        return None if left is None or right is None else left + right
    if not isinstance(node, ast.JoinedStr):
        return None
    parts, seen = [], {}
    for part in node.values:
        if isinstance(part, ast.Constant):
            parts.append(str(part.value).replace("{", "{{").replace("}", "}}"))
            continue
        assert isinstance(part, ast.FormattedValue)
        name = _name_of(part.value)
        seen[name] = seen.get(name, 0) + 1
        parts.append("{" + (name if seen[name] == 1 else f"{name}{seen[name]}") + "}")
    return "".join(parts)


def _name_of(node: ast.expr) -> str:
    """The last name in an expression that says most about its value."""
    words = [one for one in re.findall(r"[A-Za-z_]\w*", ast.unparse(node)) if one not in _NO_NAMES]
    if isinstance(node, ast.Attribute):
        return node.attr
    return words[-1] if words else "value"


_NO_NAMES = {"str", "len", "repr", "join", "format", "if", "else", "or", "and", "not", "self", "e"}
