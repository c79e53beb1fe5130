from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, create_engine, text

from vectorstore import query_terms
from vectorstore.catalog import Catalog
from vectorstore.fulltext import MOST_OF_A_TERM, FullTextIndex

ROWS = [
    (1, "年假.md", "员工手册 假期", "年休假满五年的员工每年十七天。"),
    (2, "差旅.docx", "", "一类城市的酒店每晚最多报销六百元。"),
    (3, "warranty.html", "Warranty", "Rechargeable batteries are covered for 12 months."),
    (4, "vpn.md", "", "Remote access uses WireGuard."),
]


def found(index: FullTextIndex, connection: Connection, asked: Sequence[str], limit: int) -> list[int]:
    return [one for one, _ in index.search(connection, asked, limit)]


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
    assert found(index, connection, query_terms(question), 10)[0] == best


def test_nothing_is_found_for_no_terms_or_unknown_ones(connection: Connection, index: FullTextIndex) -> None:
    assert found(index, connection, [], 10) == []
    assert found(index, connection, query_terms("zebra"), 10) == []
    assert found(index, connection, ["near", "or", "and", "not"], 10) == []


def test_no_more_than_asked_for(connection: Connection, index: FullTextIndex) -> None:
    asked = query_terms("年假 酒店 batteries wireguard")
    assert len(found(index, connection, asked, 10)) == 4
    assert len(found(index, connection, asked, 2)) == 2


def test_no_score_is_more_than_the_most_that_the_terms_can_give(connection: Connection, index: FullTextIndex) -> None:
    index.add(connection, [(5, "tunnel tunnel", "tunnel " * 50, "tunnel " * 500), (6, "x", "", "tunnel y " * 40)])
    for asked in (["tunnel"], ["vpn"], query_terms("年假 酒店 batteries wireguard")):
        scores = [score for _, score in index.search(connection, asked, 10)]
        assert scores == sorted(scores, reverse=True)
        assert 0 < scores[-1] <= scores[0] < MOST_OF_A_TERM * sum(index.weights(connection, asked).values())


def test_a_renamed_file_is_found_by_its_new_name_only(connection: Connection, index: FullTextIndex) -> None:
    index.rename(connection, 4, "tunnel.md")
    assert found(index, connection, ["vpn"], 10) == []
    assert found(index, connection, ["tunnel"], 10) == [4]
    assert found(index, connection, ["wireguard"], 10) == [4]


def test_what_is_removed_is_not_found_and_not_counted(connection: Connection, index: FullTextIndex) -> None:
    index.remove(connection, [3, 99])
    assert found(index, connection, query_terms("batteries"), 10) == []
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


@given(st.lists(st.tuples(st.sampled_from(["add", "remove", "rename"]), st.integers(0, 5)), max_size=12))
@settings(max_examples=40, deadline=None)
def test_frequencies_are_what_fts5_counts(steps: list[tuple[str, int]]) -> None:
    words = ["年假 年假", "酒店 hotel", "hotel hotels 12", "机票 2023", "vpn", ""]
    index = FullTextIndex(1)
    engine = create_engine("sqlite://")
    with engine.begin() as connection:
        index.create(connection)
        connection.execute(text("CREATE VIRTUAL TABLE counted USING fts5vocab(fulltext_1, 'row')"))
        present: set[int] = set()
        for number, (step, key) in enumerate(steps):
            if step == "add" and key not in present:
                index.add(connection, [(key, f"{number}.md", words[number % 6], words[key])])
                present.add(key)
            elif step == "remove":
                index.remove(connection, [key, 99])
                present.discard(key)
            elif step == "rename":
                index.rename(connection, key, f"{words[number % 6]}.docx")
        rows = connection.execute(text("SELECT term, passages FROM fulltext_1_frequencies"))
        kept = {row.term: row.passages for row in rows}
        counted = {row.term: row.doc for row in connection.execute(text("SELECT term, doc FROM counted"))}
        total = connection.execute(text("SELECT sum(cnt) FROM counted")).scalar()
        assert kept.pop("", 0) == index.count(connection) == len(present)
        assert kept.pop(" ", 0) == (total or 0)
        assert kept == counted
    engine.dispose()


LONG = [
    "The annual leave of employees is fifteen days, and annual leave may be carried over.",
    "Employees book hotels themselves. Annual reports of employees go to the office.",
    "员工的年假每年十五天，年假可以结转。员工入职满一年后才有年假。",
    "员工出差的酒店由员工自己预订，每年的报告交给办公室。",
]
QUESTIONS = [
    "how many days of annual leave do employees have",
    "员工每年有几天年假",
    "员工 employees annual",
]


@pytest.mark.parametrize("question", QUESTIONS)
def test_few_look_ups_rank_as_all_do(connection: Connection, index: FullTextIndex, question: str) -> None:
    """Where candidates are chosen by the rarest terms, all terms rank them, with the order that FTS5 gives."""
    index.add(connection, [(10 + n, f"{n}.md", "", f"{LONG[n % 4]} {'页 page ' * n}") for n in range(40)])
    asked = query_terms(question)
    everything = found(index, connection, asked, 100)
    few = found(FullTextIndex(7, most_postings=25), connection, asked, 8)
    assert len(few) == 8
    assert few == [one for one in everything if one in few]
    ranked = index.rank(connection, asked, range(100))
    assert [one for one, _ in ranked] == everything
    assert [score for _, score in ranked] == pytest.approx([score for _, score in index.search(connection, asked, 100)])


@pytest.mark.usefixtures("index")
def test_as_many_terms_are_looked_up_as_find_enough(connection: Connection) -> None:
    index = FullTextIndex(7, most_postings=0)
    assert found(index, connection, query_terms("wireguard batteries"), 1) == [4]
    assert sorted(found(index, connection, query_terms("wireguard batteries"), 2)) == [3, 4]
