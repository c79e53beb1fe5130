from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Connection

from vectorstore import query_terms
from vectorstore.catalog import Catalog
from vectorstore.fulltext import MOST_OF_A_TERM, FullTextIndex

ROWS = [
    (1, "年假.md", "员工手册 假期", "年休假满五年的员工每年十七天。"),
    (2, "差旅.docx", "", "一类城市的酒店每晚最多报销六百元。"),
    (3, "warranty.html", "Warranty", "Rechargeable batteries are covered for 12 months."),
    (4, "vpn.md", "", "Remote access uses WireGuard."),
]


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[Connection]:
    catalog = Catalog(tmp_path / "catalog.db")
    with catalog.transaction() as connection:
        yield connection
    catalog.close()


@pytest.fixture
def index(connection: Connection) -> FullTextIndex:
    index = FullTextIndex(7)
    index.create(connection)
    index.add(connection, ROWS)
    return index


@pytest.mark.parametrize(
    ("question", "best"),
    [
        ("年休假几天", 1),
        ("酒店报销多少", 2),
        ("battery months", 3),
        ("wireguard", 4),
        ("vpn", 4),  # by the file's name
        ("员工手册", 1),  # by the heading
    ],
)
def test_the_best_comes_first(connection: Connection, index: FullTextIndex, question: str, best: int) -> None:
    assert index.search(connection, query_terms(question), 10)[0][0] == best


def test_nothing_is_found_for_no_terms_or_unknown_ones(connection: Connection, index: FullTextIndex) -> None:
    assert index.search(connection, [], 10) == []
    assert index.search(connection, query_terms("zebra"), 10) == []
    assert index.search(connection, ["near", "or", "and", "not"], 10) == []


def test_no_more_than_asked_for(connection: Connection, index: FullTextIndex) -> None:
    asked = query_terms("年假 酒店 batteries wireguard")
    assert len(index.search(connection, asked, 10)) == 4
    assert len(index.search(connection, asked, 2)) == 2


def test_no_score_is_more_than_the_most_that_the_terms_can_give(connection: Connection, index: FullTextIndex) -> None:
    index.add(connection, [(5, "tunnel tunnel", "tunnel " * 50, "tunnel " * 500), (6, "x", "", "tunnel y " * 40)])
    for asked in (["tunnel"], ["vpn"], query_terms("年假 酒店 batteries wireguard")):
        scores = [score for _, score in index.search(connection, asked, 10)]
        assert scores == sorted(scores, reverse=True)
        assert 0 < scores[-1] <= scores[0] < MOST_OF_A_TERM * sum(index.weights(connection, asked).values())


def test_a_renamed_file_is_found_by_its_new_name_only(connection: Connection, index: FullTextIndex) -> None:
    index.rename(connection, 4, "tunnel.md")
    assert index.search(connection, ["vpn"], 10) == []
    assert index.search(connection, ["tunnel"], 10)[0][0] == 4
    assert index.search(connection, ["wireguard"], 10)[0][0] == 4


def test_what_is_removed_is_not_found_and_not_counted(connection: Connection, index: FullTextIndex) -> None:
    index.remove(connection, [3, 99])
    assert index.search(connection, query_terms("batteries"), 10) == []
    assert index.count(connection) == 3


def test_rare_terms_weigh_more_and_unknown_ones_most(connection: Connection, index: FullTextIndex) -> None:
    weights = index.weights(connection, ["年", "最", "zebra"])
    assert weights == {
        "年": pytest.approx(math.log(35 / 1.5)),
        "最": pytest.approx(math.log(35 / 1.5)),
        "zebra": pytest.approx(math.log(35 / 0.5)),
    }
    index.add(connection, [(5, "x", "", "年年有余")])
    assert 0 < index.weights(connection, ["年"])["年"] < index.weights(connection, ["最"])["最"]


def test_a_dropped_index_leaves_no_table(connection: Connection, index: FullTextIndex) -> None:
    index.drop(connection)
    tables = connection.exec_driver_sql("SELECT name FROM sqlite_master WHERE name LIKE 'fulltext_7%'").all()
    assert tables == []
