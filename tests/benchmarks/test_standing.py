"""What counts as covered, and by how much a point is missed."""

from __future__ import annotations

import pytest

from benchmarks.lib.rounds import Ratio
from benchmarks.lib.standing import Rivalry, Standing, Verdict, judge, spanned
from builder.report.gap import Gap


def rivalry(tried: str, times_faster: float, points: float) -> Rivalry:
    """Rival with a time known to one percent and a top-1 known to one point."""
    share = points / 100
    return Rivalry(
        tried=tried,
        speed=Ratio(
            contender=tried,
            reference="point",
            times_faster=times_faster,
            low=times_faster * 0.99,
            high=times_faster * 1.01,
            rounds=9,
        ),
        gap=Gap(difference=share, low=share - 0.01, high=share + 0.01, is_paired=True),
    )


def verdict_on_point(*rivals: Rivalry) -> Verdict:
    found = {rival.tried: rival for rival in rivals}
    [verdict] = judge(["point"], list(found), lambda one, _: found[one])
    return verdict


def test_the_very_variant_is_the_same() -> None:
    [verdict] = judge(["point"], ["point"], lambda one, _: rivalry(one, 1.0, 0.0))
    assert (verdict.standing, verdict.by) == (Standing.SAME, "point")


def test_what_is_as_fast_and_as_accurate_dominates_the_most_accurate_first() -> None:
    verdict = verdict_on_point(rivalry("fast", 3.0, 0.0), rivalry("good", 1.0, 0.5))
    assert (verdict.standing, verdict.by) == (Standing.DOMINATED, "good")


@pytest.mark.parametrize(
    ("times_faster", "points"),
    [(0.985, 0.5), (0.995, -0.5), (2.0, -0.9)],
    ids=["a tie of time", "both may be chance", "top-1 may be chance"],
)
def test_what_cannot_be_told_apart_is_within_measurement(
    times_faster: float, points: float
) -> None:
    verdict = verdict_on_point(rivalry("rival", times_faster, points))
    assert (verdict.standing, verdict.by) == (Standing.WITHIN, "rival")


def test_a_point_that_is_missed_says_by_how_much() -> None:
    verdict = verdict_on_point(rivalry("slow", 0.8, 0.5), rivalry("poor", 2.0, -3.0))
    assert verdict.standing is Standing.MISSED
    assert verdict.time_missed == pytest.approx(0.25)
    assert verdict.top1_missed == pytest.approx(0.03)


def test_where_nothing_comes_near_no_miss_is_told() -> None:
    verdict = verdict_on_point(rivalry("hopeless", 0.5, -5.0))
    assert verdict.standing is Standing.MISSED
    assert (verdict.time_missed, verdict.top1_missed) == (None, None)


def test_the_area_counts_what_is_better_than_the_worst_and_nothing_twice() -> None:
    worst = (4.0, 0.5)
    assert spanned([(1.0, 0.6), (2.0, 0.9)], worst) == pytest.approx(3 * 0.1 + 2 * 0.3)
    assert spanned([(1.0, 0.6), (2.0, 0.9), (3.0, 0.8)], worst) == pytest.approx(0.9)
    assert spanned([(5.0, 0.9), (1.0, 0.4)], worst) == pytest.approx(0.0)
