from __future__ import annotations

import pytest

from vectorstore import Filter, NewChunk, NewSource, Store, StoreRetriever


@pytest.mark.usefixtures("handbook")
def test_it_gives_langchain_documents_the_best_first(store: Store) -> None:
    documents = StoreRetriever(store=store, collection="handbook", limit=2).invoke("工龄满五年有几天年假？")
    hits = store.search("handbook", "工龄满五年有几天年假？", 2)
    assert [document.page_content for document in documents] == [hit.text for hit in hits]
    assert documents[0].id == str(hits[0].id)
    assert documents[0].metadata == {
        "number": 1,
        "source": "制度/年假.md",
        "title": "",
        "heading": "员工手册 › 假期",
        "headings": ["员工手册", "假期"],
        "page": None,
        "lines": [[0, 1]],
        "repeated": 0,
        "link": None,
        "text_hash": hits[0].text_hash.hex(),
        "neighbour": False,
        "cosine": None,
        "score": hits[0].score,
        "coverage": hits[0].coverage,
    }


@pytest.mark.usefixtures("handbook")
def test_it_keeps_to_the_sources_it_was_given(store: Store) -> None:
    retriever = StoreRetriever(store=store, collection="handbook", limit=5, only=Filter(source="support/*"))
    found = retriever.invoke("batteries and WireGuard 年假")
    assert {document.metadata["source"] for document in found} == {"support/warranty.html", "support/vpn.md"}


@pytest.mark.usefixtures("handbook")
@pytest.mark.parametrize(("weight", "first"), [(0.25, "support/vpn.md"), (1.0, "support/warranty.html")])
def test_several_wordings_are_fused_by_their_weights(store: Store, weight: float, first: str) -> None:
    alone = StoreRetriever(store=store, collection="handbook", limit=1).invoke("batteries")
    wordings = ((1.25 - weight, "WireGuard"),)
    found = StoreRetriever(store=store, collection="handbook", limit=10, weight=weight, wordings=wordings).invoke(
        "batteries"
    )
    assert [document.metadata["number"] for document in found] == list(range(1, len(found) + 1))
    order = [document.metadata["source"] for document in found]
    named = [source for source in order if source in ("support/vpn.md", "support/warranty.html")]
    assert (named[0], len(set(named))) == (first, 2)
    coverage = {document.metadata["source"]: document.metadata["coverage"] for document in reversed(found)}
    assert coverage["support/vpn.md"] == 1.25 - weight
    assert coverage["support/warranty.html"] == weight * alone[0].metadata["coverage"]


@pytest.mark.usefixtures("handbook")
def test_passages_are_ranked_but_not_judged_by_context(store: Store) -> None:
    retriever = StoreRetriever(store=store, collection="handbook", limit=3, context=((5.0, "WireGuard"),))
    found = retriever.invoke("batteries")
    assert (found[0].metadata["source"], found[0].metadata["coverage"]) == ("support/vpn.md", 0.0)


def test_a_section_is_what_follows_each_other_under_the_same_headings(store: Store) -> None:
    collection = store.prepare("sections")
    parts = [(("A",), "one apple"), (("A",), "two apples"), (("A", "B"), "three pears"), (("A",), "four apples")]
    chunks = tuple(
        NewChunk(text, "", heading, page, ((0, page),), 0, len(text))
        for page, (heading, text) in enumerate(parts, start=1)
    )
    store.replace(collection, [NewSource("fruit.md", "/fruit.md", "h", "1", "ready", None, None, (), chunks)])
    expected = {"two": ["one apple", "two apples"], "three": ["three pears"], "four": ["four apples"]}
    for asked, texts in expected.items():
        (found,) = store.search("sections", asked, 1)
        section = store.section("sections", found.id, 20)
        assert [passage.text for passage in section] == texts
        assert [parts[(passage.page or 0) - 1][1] for passage in section] == texts, "each has a page of its own"
    store.remove(collection, ["fruit.md"])
    assert store.section("sections", found.id, 20) == []
