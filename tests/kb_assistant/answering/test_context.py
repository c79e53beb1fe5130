"""What an engine is given: the best passages, and what stands around them, within the budget."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st
from langchain_core.documents import Document

from kb_assistant.answering.context import within_budget


def document(name: int, words: int = 10) -> Document:
    return Document(page_content=" ".join([str(name)] * words), metadata={"number": 0}, id=str(name))


def tokens(passage: Document) -> int:
    return len(passage.page_content.split())


SECTION = [document(name) for name in range(10)]


def names(found: Sequence[Document]) -> list[int]:
    assert [one.metadata["number"] for one in found] == list(range(1, len(found) + 1))
    return [int(one.id or "") for one in found]


def widened(places: Sequence[int], budget: int) -> list[int]:
    return names(within_budget([SECTION[place] for place in places], budget, tokens, lambda _: SECTION))


def test_room_that_is_left_is_the_neighbours_the_nearest_first() -> None:
    assert widened([4], 10) == [4]
    assert widened([4], 20) == [4, 5]
    assert widened([4], 39) == [3, 4, 5]
    assert widened([4], 50) == [2, 3, 4, 5, 6]


def test_what_was_found_comes_before_any_neighbour_and_the_best_ones_neighbours_before_others() -> None:
    assert widened([8, 2], 20) == [8, 2]
    assert widened([8, 2], 40) == [7, 8, 9, 2]
    assert widened([8, 2], 60) == [7, 8, 9, 1, 2, 3]


def test_neighbours_that_were_found_themselves_stand_once() -> None:
    assert widened([5, 4], 40) == [5, 6, 3, 4]


def test_the_ends_of_a_section_end_it() -> None:
    assert widened([0], 1000) == list(range(10))


def test_one_that_does_not_fit_is_not_passed_over() -> None:
    section = [document(0), document(1, words=30), document(2)]
    assert names(within_budget([section[0]], 30, tokens, lambda _: section)) == [0]


def test_without_sections_nothing_is_widened_and_nothing_renumbered() -> None:
    found = within_budget(SECTION[:3], 20, tokens)
    assert found == SECTION[:2]
    gone = within_budget([SECTION[3]], 100, tokens, lambda _: [])
    assert names(gone) == [3]


@given(st.lists(st.integers(1, 40), min_size=1, max_size=12), st.integers(0, 200), st.data())
def test_the_budget_holds_whatever_the_lengths(lengths: list[int], budget: int, data: st.DataObject) -> None:
    section = [document(name, words) for name, words in enumerate(lengths)]
    found = data.draw(st.permutations(section))[: data.draw(st.integers(1, len(section)))]
    given_ = within_budget(found, budget, tokens, lambda _: section)
    plain = within_budget(found, budget, tokens)
    assert sum(tokens(one) for one in given_) <= max(budget, tokens(found[0]))
    assert len(set(names(given_))) == len(given_)
    assert {one.id for one in plain} <= {one.id for one in given_}, "no neighbour takes the place of what was found"
