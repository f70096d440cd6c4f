"""How much better, and how sure: against simulated truths and simple cases."""

from __future__ import annotations

import math
import random
import statistics

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from contract.interval import Interval, median_interval
from fleet.choosing.candidate import Candidate
from fleet.choosing.margin import Margin, margin_between
from fleet.choosing.metric import Metric
from support.measurements import make_candidate


def timed(name: str, p50_ms: float, share: float) -> Candidate:
    return make_candidate(
        name, p50_ms=p50_ms, ci_low_ms=p50_ms * (1 - share), ci_high_ms=p50_ms * (1 + share)
    )


def test_a_faster_pick_is_told_with_its_interval_and_confidence() -> None:
    margin = margin_between(Metric.P50_MS, timed("a", 88, 0.04), timed("b", 100, 0.04))
    assert margin.words == (
        "p50_ms 88 ms against 100 ms, 12 % lower (95 % interval 6.9 to 17 %), beyond the tie "
        "band; the pick is really better with a confidence of more than 99.9 %"
    )


def test_shares_are_compared_in_points() -> None:
    ours = make_candidate("a", top1=0.98, accuracy_images=2_000)
    theirs = make_candidate("b", top1=0.972, accuracy_images=2_000)
    margin = margin_between(Metric.TOP1, ours, theirs)
    assert margin.words == (
        "top1 98.00 % against 97.20 %, 0.8 points higher (95 % interval 0.16 points lower to 1.8 "
        "points higher), within the tie band; the pick is really better with a confidence of "
        "95 %"
    )


def test_a_drop_is_compared_by_top1_and_is_better_when_lower() -> None:
    ours = make_candidate("a", top1=0.98, top1_drop=0.0)
    theirs = make_candidate("b", top1=0.95, top1_drop=0.03)
    margin = margin_between(Metric.TOP1_DROP, ours, theirs)
    assert margin.change == pytest.approx(-0.03)
    assert margin.confidence is not None
    assert margin.confidence > 0.99


def test_figures_without_an_interval_say_so() -> None:
    ours = make_candidate("a", energy_mj=9.0)
    theirs = make_candidate("b", energy_mj=10.0)
    margin = margin_between(Metric.ENERGY_MJ, ours, theirs)
    assert margin.words == (
        "energy_mj 9 mJ against 10 mJ, 10 % lower (it has no interval), beyond the tie band"
    )
    unmeasured = margin_between(Metric.ENERGY_MJ, make_candidate("a"), theirs)
    assert unmeasured.words == "energy_mj unmeasured against 10 mJ"
    assert not unmeasured.is_tie


def test_sizes_are_exact() -> None:
    ours, theirs = make_candidate("a", bytes=9_000_000), make_candidate("b", bytes=12_000_000)
    words = margin_between(Metric.SIZE_MB, ours, theirs).words
    assert words == "size_mb 9 MB against 12 MB, 25 % lower, beyond the tie band"


POSITIVE = st.floats(0.5, 500.0)
WIDTH = st.floats(0.0, 0.4)


@given(POSITIVE, WIDTH, POSITIVE, WIDTH)
def test_an_interval_holds_its_change_and_swapping_sides_turns_it_round(
    first: float, first_width: float, second: float, second_width: float
) -> None:
    one, other = timed("a", first, first_width), timed("b", second, second_width)
    there, back = (margin_between(Metric.P50_MS, *pair) for pair in ((one, other), (other, one)))
    low, change, high = ends(there)
    assert low <= change + 1e-9
    assert change <= high + 1e-9
    assert (1 + low) * (1 + ends(back)[2]) == pytest.approx(1)
    if there.confidence is not None and back.confidence is not None:
        assert there.confidence == pytest.approx(1 - back.confidence)
        if not math.isclose(high, 0, abs_tol=1e-9):
            assert (there.confidence > 0.975) is (high < 0)


def test_an_interval_of_two_medians_covers_their_true_ratio() -> None:
    """Medians of 100 log-normal samples each, 20 % apart."""
    draw = random.Random(5)  # noqa: S311 - a simulation
    hits = 0
    for _ in range(300):
        pair = [_sampled(draw, math.log(scale)) for scale in (8.0, 10.0)]
        low, _, high = ends(margin_between(Metric.P50_MS, *pair))
        hits += low <= 0.8 - 1 <= high
    assert hits >= 0.93 * 300


def _sampled(draw: random.Random, centre: float) -> Candidate:
    samples = [draw.lognormvariate(centre, 0.2) for _ in range(100)]
    interval = median_interval(samples) or Interval(0, 0)
    return msgspec.structs.replace(
        make_candidate(),
        p50_ms=statistics.median(samples),
        ci_low_ms=interval.low,
        ci_high_ms=interval.high,
    )


def ends(margin: Margin) -> tuple[float, float, float]:
    assert margin.low is not None
    assert margin.change is not None
    assert margin.high is not None
    return margin.low, margin.change, margin.high
