"""Intervals of counted images against published values, and hits as text."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contract.interval import (
    discordant_gap,
    pack_hits,
    paired_gap,
    share_gap,
    unpack_hits,
    wilson,
)

SHARE = st.floats(0, 1)
COUNT = st.integers(1, 100_000)
HITS = st.lists(st.booleans(), max_size=200)


def test_the_score_interval_matches_newcombes_worked_example() -> None:
    interval = wilson(81 / 263, 263)
    assert (interval.low, interval.high) == pytest.approx((0.2553, 0.3662), abs=1e-4)


def test_the_gap_of_two_shares_matches_newcombes_worked_example() -> None:
    interval = share_gap(56 / 70, 70, 48 / 80, 80)
    assert (interval.low, interval.high) == pytest.approx((0.0524, 0.3339), abs=1e-4)


def test_360_images_do_not_tell_97_from_98_percent() -> None:
    assert share_gap(0.98, 360, 0.97, 360).low < 0
    assert share_gap(0.98, 50_000, 0.97, 50_000).low > 0


def test_without_images_nothing_is_known() -> None:
    assert (wilson(0.9, 0).low, wilson(0.9, 0).high) == (0.0, 1.0)
    assert (paired_gap([], []).low, paired_gap([], []).high) == (-1.0, 1.0)


@given(SHARE, COUNT)
def test_an_interval_holds_its_share_and_stays_a_share(share: float, n: int) -> None:
    interval = wilson(share, n)
    assert 0 <= interval.low <= share <= interval.high <= 1


@pytest.mark.parametrize(
    ("only_first", "only_second", "pairs", "low", "high"),
    [
        # Cavo et al. 2012 and Bentur et al. 2009, as worked in Fagerland, Lydersen and Laake,
        # Recommended tests and confidence intervals for paired binomial proportions, 2014.
        (6, 16, 161, -0.1240, -0.0054),
        (1, 7, 21, -0.5173, -0.0260),
    ],
)
def test_the_paired_gap_matches_published_score_intervals(
    only_first: int, only_second: int, pairs: int, low: float, high: float
) -> None:
    interval = discordant_gap(only_first, only_second, pairs)
    assert (interval.low, interval.high) == pytest.approx((low, high), abs=1e-4)


def test_pairs_without_a_difference_leave_room_for_one() -> None:
    """Where no pair differs Tango's interval is z2/(n + z2) either way (his paper, 1998)."""
    interval = discordant_gap(0, 0, 100)
    assert (interval.low, interval.high) == pytest.approx((-0.0370, 0.0370), abs=1e-4)


def test_pairs_tell_closer_accuracies_apart_than_totals_do() -> None:
    first = [True] * 970 + [False] * 30
    second = [True] * 955 + [False] * 45

    assert paired_gap(first, second).low > 0
    assert share_gap(0.970, 1000, 0.955, 1000).low < 0


def test_hits_of_other_images_are_refused() -> None:
    with pytest.raises(ValueError, match="shorter"):
        paired_gap([True, False], [True])


@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=300))
def test_a_paired_gap_holds_the_difference_and_turns_with_the_order(
    pairs: list[tuple[bool, bool]],
) -> None:
    first, second = [one for one, _ in pairs], [other for _, other in pairs]
    gap = (sum(first) - sum(second)) / len(pairs)

    interval, turned = paired_gap(first, second), paired_gap(second, first)

    assert -1 <= interval.low <= gap <= interval.high <= 1
    assert (interval.low, interval.high) == pytest.approx((-turned.high, -turned.low), abs=1e-9)


def test_a_paired_gap_covers_the_truth_about_as_often_as_it_says() -> None:
    source = random.Random(1)  # noqa: S311 - a simulation
    covered = 0
    for _ in range(500):
        draws = [source.random() for _ in range(200)]
        # Each alone is right on 3 % and 8 % of the images: a true difference of -0.05.
        interval = discordant_gap(
            sum(draw < 0.03 for draw in draws), sum(draw > 0.92 for draw in draws), len(draws)
        )
        covered += interval.low <= -0.05 <= interval.high
    assert 0.92 <= covered / 500 <= 0.98


@given(HITS)
def test_hits_survive_packing(hits: list[bool]) -> None:
    assert unpack_hits(pack_hits(hits), len(hits)) == hits


def test_the_first_image_is_the_highest_bit() -> None:
    assert pack_hits([True, *[False] * 7, False, True]) == "gEA="


@pytest.mark.parametrize(
    ("packed", "complaint"),
    [("gEA=", "expected 1 bytes for 8 images, got 2"), ("g!", "expected base64, got 'g!'")],
)
def test_hits_that_do_not_fit_the_images_are_refused(packed: str, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        unpack_hits(packed, 8)
