"""Passages as a search finds them, for tests."""

import re

from vectorstore import Hit


def hit(number: int, text: str, source: str = "", heading: str = "") -> Hit:
    """Return the passage of that rank; its first line is line 10 times the rank of its file."""
    starts = [0] + [match.end() for match in re.finditer("\n", text)]
    return Hit(
        id=number,
        source=source or f"{number}.md",
        text=text,
        heading=(heading,) if heading else (),
        lines=tuple((start, 10 * number + line) for line, start in enumerate(starts)),
        rank=number,
        score=0.5,
    )
