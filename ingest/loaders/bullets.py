"""Bullets that are typed before a list item, as characters of its text."""

from __future__ import annotations

import re

__all__ = ["BULLET"]

BULLET = re.compile(r"(?:[•‣⁃⁌⁍∙○●◘◦☙❥❧⦾⦿\uf0b7]|[-–*·](?=\s|$))\s*")
"""A bullet and the white space after it; a sign that is also written within text only where white space follows."""
