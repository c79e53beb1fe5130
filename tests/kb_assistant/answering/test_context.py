"""What an engine is given: the best passages, and what stands around them, within the budget."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from kb_assistant.answering.context import FindSection, fit_to_budget
from vectorstore import Hit


def passage(name: int, words: int = 10) -> Hit:
    return Hit(id=name, source="a.md", text=" ".join([str(name)] * words), rank=0, score=0.5)


def tokens(hit: Hit) -> int:
    return len(hit.text.split())


def within(section: Sequence[Hit]) -> FindSection:
    return lambda name, reach: section[max(0, name - reach) : name + reach + 1]


SECTION = [passage(name) for name in range(10)]
FAR = 40


def names(found: Sequence[Hit]) -> list[int]:
    assert [hit.rank for hit in found] == list(range(1, len(found) + 1))
    return [hit.id for hit in found]


def widened(places: Sequence[int], budget: int) -> list[int]:
    return names(fit_to_budget([SECTION[place] for place in places], budget, tokens, within(SECTION), FAR))


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
    section = [passage(0), passage(1, words=30), passage(2)]
    assert names(fit_to_budget([section[0]], 30, tokens, within(section), FAR)) == [0]


def test_without_sections_nothing_is_widened_and_nothing_renumbered() -> None:
    found = fit_to_budget(SECTION[:3], 20, tokens)
    assert found == SECTION[:2]
    gone = fit_to_budget([SECTION[3]], 100, tokens, lambda name, reach: [], FAR)
    assert names(gone) == [3]


@given(st.lists(st.integers(1, 40), min_size=1, max_size=12), st.integers(0, 200), st.data())
def test_the_budget_holds_whatever_the_lengths(lengths: list[int], budget: int, data: st.DataObject) -> None:
    section = [passage(name, words) for name, words in enumerate(lengths)]
    found = data.draw(st.permutations(section))[: data.draw(st.integers(1, len(section)))]
    given_ = fit_to_budget(found, budget, tokens, within(section), FAR)
    plain = fit_to_budget(found, budget, tokens)
    assert sum(tokens(one) for one in given_) <= max(budget, tokens(found[0]))
    assert len(set(names(given_))) == len(given_)
    assert {one.id for one in plain} <= {one.id for one in given_}, "no neighbour takes the place of what was found"
