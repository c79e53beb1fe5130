"""StopFilter: what it shows does not depend on how the text is split."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kb_assistant.errors import UsageError
from kb_assistant.llms.stopping import StopFilter

# Few letters, so that stop strings begin, overlap and end all over the text.
LETTERS = st.text("ab。<", max_size=12)
STOPS = st.lists(st.text("ab。<", min_size=1, max_size=4), max_size=3)


def shown(pieces, stops):
    stop_filter = StopFilter(stops)
    text = "".join(stop_filter.feed(piece) for piece in pieces)
    return text + stop_filter.flush(), stop_filter.stopped


def before_first_stop(text, stops):
    """The definition, letter by letter: the first stop string to be complete, the longest of several."""
    for end in range(1, len(text) + 1):
        complete = [stop for stop in stops if text[:end].endswith(stop)]
        if complete:
            return text[: end - len(max(complete, key=len))], True
    return text, False


@given(pieces=st.lists(LETTERS, max_size=6), stops=STOPS)
def test_any_split_shows_the_text_up_to_the_first_stop_string(pieces, stops):
    assert shown(pieces, stops) == before_first_stop("".join(pieces), stops)


@given(text=st.text(max_size=30), stop=st.text(min_size=1, max_size=3))
def test_one_stop_string_cuts_as_str_partition_does(text, stop):
    assert shown(list(text), [stop])[0] == text.partition(stop)[0]


@given(pieces=st.lists(LETTERS, max_size=6), stops=STOPS)
def test_nothing_shown_is_ever_taken_back(pieces, stops):
    stop_filter = StopFilter(stops)
    final, _ = before_first_stop("".join(pieces), stops)
    so_far = ""
    for piece in pieces:
        so_far += stop_filter.feed(piece)
        assert final.startswith(so_far)


def test_text_that_cannot_be_a_stop_string_is_not_held_back():
    stop_filter = StopFilter(["END"])
    assert stop_filter.feed("one E") == "one "
    assert stop_filter.feed("x") == "Ex"


def test_after_the_stop_string_nothing_comes():
    stop_filter = StopFilter(["。"])
    assert stop_filter.feed("十天。顺延") == "十天"
    assert stop_filter.stopped
    assert stop_filter.feed("更多") == ""
    assert stop_filter.flush() == ""


def test_an_empty_stop_string_is_refused():
    with pytest.raises(UsageError, match="stop string is empty"):
        StopFilter(["。", ""])
