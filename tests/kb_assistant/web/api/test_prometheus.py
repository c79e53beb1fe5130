"""/metrics, as Prometheus reads it."""

from pathlib import Path

import httpx
from paths import SAMPLES
from prometheus_client.parser import text_string_to_metric_families
from serving import served

from kb_assistant import Assistant


def figures(address: str) -> dict[str, float]:
    reply = httpx.get(f"{address}/metrics")
    assert reply.headers["content-type"].startswith("text/plain; version=0.0.4")
    samples = [one for family in text_string_to_metric_families(reply.text) for one in family.samples]
    return {" ".join([one.name, *one.labels.values()]): one.value for one in samples}


def test_questions_are_counted_and_their_text_is_not_shown(own_home: Path) -> None:
    with Assistant.open(own_home) as kb:
        kb.ingest(SAMPLES)
        chunks = sum(one.chunks for one in kb.sources())
    with served(own_home) as address:
        before = figures(address)
        assert (before["kb_questions_total answered"], before["kb_total_seconds_count"]) == (0, 0)
        assert (before["kb_sources"], before["kb_chunks"], before["kb_queue_length"]) == (10, chunks, 0)
        for question in ("How long is the warranty on rechargeable batteries?", "公司班车早上几点从地铁站发车？"):
            httpx.post(f"{address}/api/ask", json={"question": question}, timeout=60)
        after = figures(address)
        counted = {key: after[f"kb_questions_total {key}"] for key in ("answered", "refused", "stopped", "failed")}
        assert counted == {"answered": 1, "refused": 1, "stopped": 0, "failed": 0}
        for step in ("retrieval", "first_token", "total"):
            assert after[f"kb_{step}_seconds_count"] == 2
            assert after[f"kb_{step}_seconds_sum"] > 0
        assert after["process_resident_memory_bytes"] > 1e7
        text = httpx.get(f"{address}/metrics").text
        assert not any(word in text for word in ("warranty", "班车", "default", str(own_home)))
