from __future__ import annotations

from collections.abc import Callable

import pytest

from vectorstore import NewSource, Store, StoreRetriever

EN = (
    "The customer shall pay each invoice within thirty days of the date on which it was received, by transfer to the "
    "account named on it. Where payment is late, interest is due at the rate that the central bank sets, and "
    "deliveries may be held back until the account is settled in full. Complaints do not change when payment is due."
)
ZH = (
    "客户应当在收到发票之日起三十日内付款，款项汇入发票所载明的账户。逾期付款的，按照中央银行公布的利率计收利息，"
    "供应商可以暂停交货，直至全部款项结清为止。对货物质量提出的异议不影响付款期限。双方另有书面约定的，从其约定。"
)
QUESTIONS = {EN: "When does the customer pay an invoice?", ZH: "客户应当何时付款？"}


def found(store: Store, source: Callable[..., NewSource], text: str, other: str) -> list[str]:
    store.replace(store.prepare("docs"), [source("a.md", text), source("b.md", other)])
    return [hit.text for hit in store.search("docs", QUESTIONS.get(text, QUESTIONS[EN]), 10)]


@pytest.mark.parametrize(
    ("text", "old", "new"),
    [
        (EN, "held back", "withheld"),
        (EN, "Complaints", "COMPLAINTS"),
        (EN, "by transfer to", "by bank transfer to"),
        (ZH, "暂停交货", "停止交货"),
        (ZH, "所载明的", "载明的"),
        (ZH, "从其约定。", "从其约定。（完）"),
    ],
)
def test_nearly_the_same_text_is_found_once(
    store: Store, source: Callable[..., NewSource], text: str, old: str, new: str
) -> None:
    changed = text.replace(old, new)
    hits = found(store, source, text, changed)
    assert len(hits) == 1
    assert hits[0] in (text, changed)


@pytest.mark.parametrize(
    ("text", "old", "new"),
    [
        (EN, "thirty", "sixty"),
        (f"{EN} Rates: 3 and 5.", "3 and 5", "5 and 3"),
        (EN, "Complaints do not", "Complaints do"),
        (EN, "The customer", "Version 2: The customer"),
        (ZH, "三十日", "六十日"),
        (ZH, "三十日", "30日"),
        (ZH, "不影响", "影响"),
        (ZH, "客户应当", "2023年客户应当"),
        (ZH, "另有", "没有"),
        (EN, "The customer shall pay", "Payment is governed by the framework agreement, under which the buyer settles"),
        (ZH, "对货物质量提出的异议不影响付款期限。", "不合格的货物可以退回，退货运费由供应商承担，退款原路返回。"),
    ],
)
def test_another_number_or_another_sense_is_found_beside(
    store: Store, source: Callable[..., NewSource], text: str, old: str, new: str
) -> None:
    changed = text.replace(old, new)
    assert set(found(store, source, text, changed)) == {text, changed}


@pytest.mark.parametrize(("one", "other"), [("Rates 2022", "Rates 2023"), ("价目表 一", "价目表 二")])
def test_another_number_in_a_heading_is_another_passage(
    store: Store, source: Callable[..., NewSource], one: str, other: str
) -> None:
    made = [source("a.md", EN, heading=(one,)), source("b.md", EN, heading=(other,))]
    store.replace(store.prepare("docs"), made)
    assert {hit.source for hit in store.search("docs", QUESTIONS[EN], 10)} == {"a.md", "b.md"}


@pytest.mark.parametrize("text", [EN, ZH])
def test_copies_do_not_crowd_out_what_else_there_is(store: Store, source: Callable[..., NewSource], text: str) -> None:
    copies = [source(f"{name}.md", f"{text} {name}") for name in "abcdefghijklmnopqrstuvwxyz"]
    other = source("other.md", "Invoices are paid by the finance department. 付款由财务部门办理。")
    store.replace(store.prepare("docs"), [*copies, other])
    hits = store.search("docs", QUESTIONS[text], 3)
    assert [hit.rank for hit in hits] == [1, 2]
    assert {hit.source for hit in hits} > {"other.md"}
    retriever = StoreRetriever(store=store, collection="docs", limit=5, wordings=((0.5, "invoice 付款 z"),))
    documents = retriever.invoke(QUESTIONS[text])
    assert [document.metadata["number"] for document in documents] == [1, 2]
