"""A real `kb serve` over the sample handbook."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from paths import SAMPLES
from serving import served

from kb_assistant import Assistant


@pytest.fixture(scope="package")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Where it listens; collection "other" holds one note."""
    home, other = tmp_path_factory.mktemp("home"), tmp_path_factory.mktemp("other")
    (other / "zebra.md").write_text("# Zebra notice\n\nThe zebra quota is 42 per year.\n")
    with Assistant.open(home) as kb:
        kb.ingest(SAMPLES)
        kb.ingest(other, collection="other")
    with served(home) as url:
        yield url
