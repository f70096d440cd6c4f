"""What nothing else beats in everything at once."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from builder.front import pareto_front

Item = tuple[int, int, int]


def _front(items: list[Item]) -> list[Item]:
    return pareto_front(
        items, gain=lambda item: item[0], costs=[lambda item: item[1], lambda item: item[2]]
    )


def test_what_is_dearer_and_no_better_is_left_out() -> None:
    assert _front([(90, 20, 1), (90, 10, 1), (80, 5, 1), (70, 6, 1)]) == [(80, 5, 1), (90, 10, 1)]


def test_one_that_is_cheaper_in_the_second_cost_only_stays() -> None:
    assert _front([(90, 10, 9), (90, 20, 3)]) == [(90, 10, 9), (90, 20, 3)]


def test_of_items_that_are_equal_all_round_the_first_stays() -> None:
    first, second = ("a", 1), ("b", 1)

    front = pareto_front([first, second], gain=lambda _: 1.0, costs=[lambda item: item[1]])

    assert front == [first]


def test_nothing_has_an_empty_front() -> None:
    assert _front([]) == []


@given(st.lists(st.tuples(*[st.integers(0, 4)] * 3), max_size=12))
def test_every_item_is_on_the_front_or_matched_by_one_that_is(items: list[Item]) -> None:
    front = _front(items)

    for gain, cost, other_cost in items:
        assert any(g >= gain and c <= cost and o <= other_cost for g, c, o in front)
    for one, other in itertools.permutations(front, 2):
        assert not (one[0] >= other[0] and one[1] <= other[1] and one[2] <= other[2])
    assert [item[1] for item in front] == sorted(item[1] for item in front)
